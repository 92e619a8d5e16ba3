"""What is to happen to the simulated patient: the TOML of a scenario, checked.

A scenario is a title, a length, a seed, a patient, links and a list of events; every kind of event
has its own numbers, with defaults. An unknown key or kind is an error that says where and what
would be right.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from edge.readers import ReadError
from edge.readers._acts import Act

DeviceName = Literal["board", "clip", "motion", "thermometer", "strap", "pleth"]
"""The devices a simulated patient may wear; the packets' source is ``sim:`` and this name."""
AnyDevice: TypeAlias = DeviceName | Literal["all"]

Rate = Annotated[float, msgspec.Meta(gt=0, le=300)]
Breaths = Annotated[float, msgspec.Meta(ge=2, le=60)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Degrees = Annotated[float, msgspec.Meta(ge=25, le=45)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Event(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """Something that happens over ``[at_s, at_s + for_s)`` of the simulated time."""

    at_s: NotNegative
    for_s: Positive

    @property
    def end_s(self) -> float:
        """End of the event, not inside it."""
        return self.at_s + self.for_s

    def covers(self, at_s: float) -> bool:
        """Return whether the event is under way."""
        return self.at_s <= at_s < self.end_s


class Rest(_Event, frozen=True, kw_only=True, tag="rest"):
    """Calm; the numbers, where given, replace the patient's own for its length."""

    hr_bpm: Rate | None = None
    resp_brpm: Breaths | None = None
    spo2_pct: Percent | None = None


class Exercise(_Event, frozen=True, kw_only=True, tag="exercise"):
    """Walking: a faster heart and breath, steps in the accelerometer, motion in the ECG."""

    hr_bpm: Rate = 125.0
    resp_brpm: Breaths = 26.0
    artefact_mv: NotNegative = 0.15
    steps_per_min: Rate = 115.0


class Bradycardia(_Event, frozen=True, kw_only=True, tag="bradycardia"):
    """A slow sinus rhythm."""

    hr_bpm: Rate = 34.0


class Tachycardia(_Event, frozen=True, kw_only=True, tag="tachycardia"):
    """A fast sinus rhythm."""

    hr_bpm: Rate = 155.0


class AtrialFibrillation(_Event, frozen=True, kw_only=True, tag="af"):
    """Irregular beats without P waves, over a fibrillating base line."""

    hr_bpm: Rate = 105.0
    rr_spread: Annotated[float, msgspec.Meta(ge=0.05, le=0.5)] = 0.22
    f_wave_mv: NotNegative = 0.06


class Pvcs(_Event, frozen=True, kw_only=True, tag="pvcs"):
    """Single premature ventricular beats, each with its compensatory pause."""

    per_min: Annotated[float, msgspec.Meta(gt=0, le=40)] = 10.0
    coupling: Annotated[float, msgspec.Meta(ge=0.35, le=0.85)] = 0.62


class VtRun(_Event, frozen=True, kw_only=True, tag="vt_run"):
    """Ventricular tachycardia: wide beats and nothing else."""

    hr_bpm: Rate = 175.0


class Asystole(_Event, frozen=True, kw_only=True, tag="asystole"):
    """No heart beat."""


class Apnoea(_Event, frozen=True, kw_only=True, tag="apnoea"):
    """No breath."""


class Desaturation(_Event, frozen=True, kw_only=True, tag="desaturation"):
    """Saturation falls within `fall_s`, stays, and rises again within `rise_s` after the end."""

    spo2_pct: Percent = 84.0
    fall_s: Positive = 15.0
    rise_s: Positive = 20.0


class Fever(_Event, frozen=True, kw_only=True, tag="fever"):
    """Temperature climbs to `temp_degc` within `rise_s`; the heart follows, 8 bpm a degree."""

    temp_degc: Degrees = 39.2
    rise_s: Positive = 1200.0


class Fall(_Event, frozen=True, kw_only=True, tag="fall"):
    """Free fall for `drop_s`, an impact, then lying still, turned, until the end."""

    drop_s: Annotated[float, msgspec.Meta(ge=0.2, le=1.0)] = 0.4
    impact_g: Annotated[float, msgspec.Meta(gt=2.5, le=7.5)] = 4.0


class ElectrodeOff(_Event, frozen=True, kw_only=True, tag="electrode_off"):
    """An electrode of the board, or the strap, is off the skin."""

    device: Literal["board", "strap"] = "board"


class ClipOff(_Event, frozen=True, kw_only=True, tag="clip_off"):
    """The finger clip (and the pleth probe with it) is off the finger."""


class FrozenValue(_Event, frozen=True, kw_only=True, tag="frozen_value"):
    """A device repeats its last value, though its clock runs on."""

    device: DeviceName = "clip"


class RadioLoss(_Event, frozen=True, kw_only=True, tag="radio_loss"):
    """A share of the packets never arrives."""

    device: AnyDevice = "all"
    share: Share = 1.0


class Bursts(_Event, frozen=True, kw_only=True, tag="bursts"):
    """Packets are held back and come several at once."""

    device: AnyDevice = "board"
    every_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2.0


class ClockDrift(_Event, frozen=True, kw_only=True, tag="clock_drift"):
    """The sensor's clock runs fast (slow if negative) by `ppm` more than it does anyway."""

    device: DeviceName = "board"
    ppm: Annotated[float, msgspec.Meta(ge=-20_000, le=20_000)] = 200.0


class Battery(_Event, frozen=True, kw_only=True, tag="battery"):
    """The board's battery runs down evenly between these, and is changed at the end."""

    from_pct: Percent = 40.0
    to_pct: Percent = 5.0


class Restart(_Event, frozen=True, kw_only=True, tag="restart"):
    """A device is silent until the end, then begins anew: clock, sequence and description."""

    device: AnyDevice = "board"


Event: TypeAlias = (
    Rest | Exercise | Bradycardia | Tachycardia | AtrialFibrillation | Pvcs | VtRun | Asystole
    | Apnoea | Desaturation | Fever | Fall | ElectrodeOff | ClipOff | FrozenValue | RadioLoss
    | Bursts | ClockDrift | Battery | Restart
)  # fmt: skip
"""Everything that can happen, told apart by ``kind``."""

_BY_KIND = {str(kind.__struct_config__.tag): kind for kind in get_args(Event)}


class Patient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is simulated, at rest."""

    age: Annotated[int, msgspec.Meta(ge=16, le=110)] = 71
    hr_bpm: Rate = 68.0
    resp_brpm: Breaths = 15.0
    spo2_pct: Percent = 97.0
    temp_degc: Degrees = 36.7


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one device's clock and radio behave all the time.

    Attributes
    ----------
    latency_s, jitter_s : float
        Every packet takes the first, and on average the second on top, exponentially spread.
    loss : float
        Share of packets that never arrive.
    ppm : float
        How much too fast the sensor's clock runs.
    clock_start_us : int
        What the sensor's 32-bit counter shows when it is switched on.
    """

    latency_s: NotNegative = 0.02
    jitter_s: NotNegative = 0.01
    loss: Share = 0.0
    ppm: Annotated[float, msgspec.Meta(ge=-20_000, le=20_000)] = 0.0
    clock_start_us: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] = 0


class Links(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The links of all devices; the defaults are a wired board and Bluetooth LE devices."""

    board: Link = Link(0.004, 0.002, ppm=18.0, clock_start_us=412_345)
    clip: Link = Link(0.05, 0.03, ppm=-25.0)
    motion: Link = Link(0.02, 0.015, ppm=-31.0, clock_start_us=98_765)
    thermometer: Link = Link(0.03, 0.02, ppm=44.0, clock_start_us=5_000)
    strap: Link = Link(0.06, 0.05, ppm=12.0)
    pleth: Link = Link(0.02, 0.015, ppm=-12.0, clock_start_us=1_234_567)


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole scenario; `events` may overlap, `acts` are people's and the box's.

    Attributes
    ----------
    begins : str
        Time of day at its beginning, HH:MM, for people; empty: it does not matter.
    devices : tuple[str, ...]
        What the patient wears, where nobody says otherwise.
    """

    title: str
    duration_s: Positive
    begins: Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")] = ""
    devices: tuple[DeviceName, ...] = ("board", "clip", "motion", "thermometer")
    seed: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)] = 1
    patient: Patient = Patient()
    links: Links = Links()
    events: tuple[Event, ...] = ()
    acts: tuple[Act, ...] = ()


def read_scenario(name: str) -> Scenario:
    """Return the scenario of that name, or from the TOML file at that path.

    Raises
    ------
    ReadError
        There is no such scenario, or it cannot be understood; the text names the file, the
        event (counted from 1) and what would be right.
    """
    try:
        scenario = msgspec.toml.decode(_text(name), type=Scenario)
    except msgspec.ValidationError as error:
        raise ReadError(f"scenario {name}: {_explain(str(error), _text(name))}") from error
    except msgspec.DecodeError as error:
        raise ReadError(f"scenario {name} is not valid TOML: {error}; correct that line") from error
    for word, happens in (("event", scenario.events), ("act", scenario.acts)):
        for number, one in enumerate(happens, 1):
            if one.at_s >= scenario.duration_s:
                raise ReadError(
                    f"scenario {name}: {word} {number} begins at {one.at_s:g} s, after the end; "
                    f"raise duration_s above {one.at_s:g} or move the {word}"
                )
    return scenario


def built_in_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the monitor, sorted."""
    folder = resources.files("edge.readers").joinpath("scenarios")
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def _text(name: str) -> str:
    if name in built_in_scenarios():
        path = resources.files("edge.readers").joinpath("scenarios", f"{name}.toml")
        return path.read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(
            f"cannot read the scenario {name!r} ({error}); give one of "
            f"{', '.join(built_in_scenarios())} or the path of a TOML file"
        ) from error


def _explain(message: str, text: str) -> str:
    """Return msgspec's words with the event's number, and the keys that would be right."""
    found = re.search(r"\$\.events\[(\d+)\]", message)
    if found is None:
        table = re.search(r"\$\.(patient|links)", message)
        known = {"patient": Patient, "links": Links if "links`" in message else Link}
        kind = known[table[1]] if table else Scenario
        return f"{message}; its keys are {', '.join(kind.__struct_fields__)}"
    number = int(found[1])
    events = msgspec.toml.decode(text).get("events", [])
    kind_name = str(events[number].get("kind", "")) if isinstance(events[number], dict) else ""
    if kind_name not in _BY_KIND:
        return f"event {number + 1}: {message}; kind is one of {', '.join(_BY_KIND)}"
    keys = ", ".join(_BY_KIND[kind_name].__struct_fields__)
    return f"event {number + 1} ({kind_name}): {message}; its keys are kind, {keys}"
