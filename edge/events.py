"""What people do and what the box notices: payloads of packets that are no sensor's.

They go through the pipeline like any packet and lie in the log with them, so that a night replays
with its answers. ``box:start`` and ``person:answer`` belong to the pipeline and to `edge.alerts`.

What no sensor can see (is oxygen given? is the patient confused?) or what a person measured by
hand comes as ``person:entry`` and expires. What is known of the patient comes as ``box:facts`` at
every start and whenever it changes, with who decided it: so it lies in the log. A limit that is
changed while the monitor runs comes as ``person:limit``, with who changed it and why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from edge.records import LimitAct, LinkState, Packet, Role, Security, SelfTest

BOX: Final = "box"
"""Source of what the box itself notices."""
ASSIGN: Final = "box:assign"
EXPECT: Final = "box:expect"
LINK: Final = "box:link"
DEVICE_CLOCK: Final = "box:device_clock"
HEALTH: Final = "box:health"
MODEL: Final = "box:model"
PERSON: Final = "person"
"""Source of what people do."""
ENTRY: Final = "person:entry"
FACTS: Final = "box:facts"
LIMIT: Final = "person:limit"
SELF_TEST: Final = "box:selftest"
TEST_FAILED: Final = "selftest_failed:"
"""Before the label of each part that failed, among the facts of the box."""
MAX_FACTS: Final = 256
"""Facts of the box; more means that something makes names up."""
BEGUN_LIMITS: Final = "box:limits"
HELD: Final = "held_"
"""A window's signals that begin so were said or measured once and stand until they expire."""


class Assignment(msgspec.Struct, frozen=True):
    """Payload of ``box:assign``: a source was heard on a link, and whose it is from now on."""

    source: str
    patient: str
    link: str = ""


class Expectation(msgspec.Struct, frozen=True):
    """Payload of ``box:expect``: a link was configured, and should bring something."""

    link: str
    patient: str
    withdrawn: bool = False


class LinkTold(msgspec.Struct, frozen=True):
    """Payload of ``box:link``: how the link to a sensor is from now on.

    Attributes
    ----------
    source : str
        Whose link it is.
    state : LinkState
        What became of it.
    security : Security
        How far what comes over it can be trusted.
    name, place : str
        What people call the sensor, and where on the body it is.
    reason : str
        Why, for people; empty where nothing needs saying.
    """

    source: str
    state: LinkState
    security: Security = Security.UNKNOWN
    name: str = ""
    place: str = ""
    reason: str = ""


class ClockBasis(StrEnum):
    """How it is known what a sensor's clock means."""

    READ = "read"
    ASSUMED = "assumed"


class DeviceClock(msgspec.Struct, frozen=True):
    """Payload of ``box:device_clock``: what a sensor's own clock showed, and when.

    Attributes
    ----------
    device_s : float
        The sensor's date and time, seconds since 2000-01-01 in its own idea of local time
        (`edge.bits.date_time_s`).
    boot_s : float
        Boot clock at that moment.
    uncertainty_s : float
        Bound on the error of the pair.
    basis : ClockBasis
        READ from the sensor, or ASSUMED: it was taken to show the box's local time.
    """

    source: str
    device_s: float
    boot_s: float
    uncertainty_s: float
    basis: ClockBasis = ClockBasis.READ


class BoxHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of ``box:health``: all that is known of the box itself; it replaces the last one.

    Sent when something changed in substance, and every minute. A name that is absent is not known:
    the rules that ask for it cannot tell.

    Attributes
    ----------
    facts : Mapping[str, float]
        Name -> number, as the rules read it: ``disk_free_pct``, ``cpu_degc``. Of what works or
        fails (``..._fails_s``) 0: it works.
    since_s : Mapping[str, float]
        Name -> boot time since when; the rules read how long ago that is. So a fault that goes on
        needs no new packet to grow older.
    """

    facts: Mapping[str, float] = {}
    since_s: Mapping[str, float] = {}

    def __post_init__(self) -> None:
        if len(self.facts) + len(self.since_s) > MAX_FACTS:
            raise ValueError(f"more than {MAX_FACTS} facts of the box")

    def at(self, now_s: float) -> dict[str, float]:
        """Return the facts as they are at a moment, by name."""
        ages = {name: max(0.0, now_s - since_s) for name, since_s in self.since_s.items()}
        return {**self.facts, **ages}


class ModelState(StrEnum):
    """What has become of the score of a window."""

    LATE = "late"
    THERE = "there"
    FAILED = "failed"


class ModelTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of ``box:model``: the score of a window was not there when it was due.

    A score that is there in time needs no word, so most nights have none.

    Attributes
    ----------
    patient : str
        Whose window; empty: the model failed while no window waited, which is everybody's.
    start_s : float
        Where the window begins.
    state : ModelState
        LATE: wait on. THERE: it has come after all. FAILED: it does not come any more.
    reason : str
        Why, for people.
    """

    patient: str
    start_s: float
    state: ModelState
    reason: str = ""


class Enterable(msgspec.Struct, frozen=True):
    """What a person may enter.

    Attributes
    ----------
    signal : str
        Its name among a window's signals, without `HELD`.
    low, high : float
        A number outside cannot be true and is refused.
    valid_for_s : float
        How long it stands where nobody says otherwise.
    choices : tuple[str, ...]
        Where it is no number: what it can be; each stands for its place here.
    """

    signal: str
    low: float
    high: float
    valid_for_s: float
    choices: tuple[str, ...] = ()


HOURLY_S: Final = 3600.0
"""A measured value stands this long: a score of 5 or 6 asks for hourly measurements."""
FOUR_HOURLY_S: Final = 4 * 3600.0
"""A judgement stands this long: the shortest interval at which a low score is taken again."""
LONGEST_S: Final = 24 * 3600.0
ENTERABLE: Final[Mapping[str, Enterable]] = {
    "oxygen": Enterable("oxygen_flag", 0.0, 1.0, FOUR_HOURLY_S, ("air", "oxygen")),
    "consciousness": Enterable("acvpu_au", 0.0, 4.0, FOUR_HOURLY_S, ("A", "C", "V", "P", "U")),
    "resp_brpm": Enterable("resp_brpm", 0.0, 100.0, HOURLY_S),
    "nibp_sys_mmhg": Enterable("nibp_sys_mmhg", 30.0, 300.0, HOURLY_S),
    "temp_degc": Enterable("temp_degc", 25.0, 45.0, HOURLY_S),
}
"""By the name a person gives it. Intervals: clinical.md 6.1. SpO2 and pulse are not among them: a
sensor that is off must not be stood in for by what was read an hour ago."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of ``person:entry``: what a person saw or measured; a newer one takes its place.

    Attributes
    ----------
    what : str
        One of `ENTERABLE`.
    value : float | str
        The number, or one of the choices.
    by, role : str
        Who entered it, and as what: ``nurse``, ``carer``, ``patient``.
    valid_for_s : float
        It counts for so long after it was measured, and then is not known any more.
    age_s : float
        It was measured so long before it was entered.

    Raises
    ------
    ValueError
        Nobody can enter this, or it cannot be true, or it stands too long.
    """

    patient: Name
    what: str
    value: float | str
    by: Name
    role: Name
    valid_for_s: float
    age_s: float = 0.0

    def __post_init__(self) -> None:
        known = ENTERABLE.get(self.what)
        if known is None:
            names = ", ".join(ENTERABLE)
            raise ValueError(f"{self.what!r} cannot be entered; what can: {names}")
        if known.choices:
            if self.value not in known.choices:
                choices = ", ".join(known.choices)
                raise ValueError(f"{self.what} is {self.value!r}; write one of {choices}")
        elif isinstance(self.value, str) or not known.low <= self.value <= known.high:
            raise ValueError(
                f"{self.what} is {self.value!r}; write a number from {known.low:g} to "
                f"{known.high:g}"
            )
        if not 0.0 < self.valid_for_s <= LONGEST_S:
            raise ValueError(f"an entry stands for at most 24 h, not {self.valid_for_s!r} s")
        if not 0.0 <= self.age_s <= LONGEST_S:
            raise ValueError(f"an entry is at most 24 h old, not {self.age_s!r} s")
        if self.age_s >= self.valid_for_s:
            raise ValueError(
                f"{self.what} was measured {self.age_s / 3600.0:.3g} h ago and counts for "
                f"{self.valid_for_s / 3600.0:.3g} h: measure again, or say that it counts longer"
            )

    @property
    def left_s(self) -> float:
        """How long it still counts from the moment at which it was entered."""
        return self.valid_for_s - self.age_s

    @property
    def signal(self) -> str:
        """Its name among a window's signals."""
        return HELD + ENTERABLE[self.what].signal

    @property
    def number(self) -> float:
        """The value as a number."""
        if isinstance(self.value, str):
            return float(ENTERABLE[self.what].choices.index(self.value))
        return float(self.value)


class Facts(msgspec.Struct, frozen=True):
    """Payload of ``box:facts``: what is known of a patient that no sensor tells.

    Attributes
    ----------
    at_least_years : int | None
        The patient is at least so old; None: the year of birth is not set.
    pregnant : bool
        What was set.
    spo2_scale : int
        1, or 2 where a clinician has decided so.
    decided_by, decided_on, why : str
        Who decided on the scale, on which day and for what reason.
    decided_as : Role
        As what.
    """

    patient: str
    at_least_years: int | None = None
    pregnant: bool = False
    spo2_scale: int = 1
    decided_by: str = ""
    decided_on: str = ""
    why: str = ""
    decided_as: Role = Role.CLINICIAN

    def __post_init__(self) -> None:
        if self.spo2_scale not in (1, 2):
            raise ValueError(f"SpO2 scale {self.spo2_scale!r}; there are 1 and 2")
        if self.spo2_scale == 2 and not (self.decided_by and self.decided_on and self.why):
            raise ValueError("SpO2 scale 2 without who decided it, when and why")

    @property
    def signals(self) -> dict[str, float]:
        """The facts as a window carries them, by name."""
        years = math.nan if self.at_least_years is None else float(self.at_least_years)
        return {
            f"{HELD}years_au": years,
            f"{HELD}pregnant_flag": float(self.pregnant),
            f"{HELD}spo2_scale_au": float(self.spo2_scale),
        }


class RuleLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one rule is set from now on: whether it watches, and all its settings."""

    enabled: bool
    values: Mapping[str, float]


Why = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of ``person:limit``: how a patient's rules are set from now on.

    Attributes
    ----------
    act : LimitAct
        What was done. NEW_PATIENT also clears what was entered, answered and paused.
    by, role, why : str, Role, str
        Who did it, as what, and for what reason.
    rules : Mapping[str, RuleLimits]
        Rules that change; the others stay as they are.
    detail : str
        A word for people, as the preset's name.

    Raises
    ------
    ValueError
        The patient may not change limits, or nobody says who did.
    """

    act: LimitAct
    patient: Name
    by: Name
    role: Role
    why: Why
    rules: Mapping[str, RuleLimits] = {}
    detail: str = ""

    def __post_init__(self) -> None:
        if not self.by.strip() or not self.why.strip():
            raise ValueError("a limit is changed by somebody and for a reason: give both")
        if self.role is Role.PATIENT:
            raise ValueError("limits are for carers and clinicians; the patient does not set them")


class SelfTestTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of ``box:selftest``: a self-test has ended; at a start, what is known of the last.

    Attributes
    ----------
    test : SelfTest | None
        None: there was none, or nobody knows how long ago it was.
    age_s : float
        It ended so long before this was told.
    known : bool
        It is on record already: told at a start.
    """

    test: SelfTest | None = None
    age_s: float = 0.0
    known: bool = False

    def health(self, at_s: float) -> BoxHealth:
        """Return what the rules are told of it: its age, and what failed.

        Where there was none the age is that of the expectation: since it was told at `at_s`.
        """
        failed = () if self.test is None else self.test.failed
        facts = {f"{TEST_FAILED}{label}": 1.0 for label in failed[: MAX_FACTS - 2]}
        facts["selftest_known_flag"] = float(self.test is not None)
        return BoxHealth(facts, {"selftest_age_s": at_s - self.age_s})


class BegunLimits(msgspec.Struct, frozen=True):
    """Payload of ``box:limits``: how a patient is watched when a run begins.

    So a log replays with the limits of its night, whatever is set by then.
    """

    patient: str
    rules: Mapping[str, RuleLimits]


def tell(stream: str, payload: msgspec.Struct, at_s: float) -> Packet:
    """Return the packet with which the box says something.

    >>> tell(EXPECT, Expectation("strap", "p1"), 2.5).payload
    b'{"link":"strap","patient":"p1","withdrawn":false}'
    """
    return Packet(BOX, stream, at_s, msgspec.json.encode(payload))
