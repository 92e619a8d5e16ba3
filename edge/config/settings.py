"""What can be set: one frozen struct a table, with its defaults, bounds and meaning.

The structs are what the other files are handed; nobody else reads the TOML. Defaults of alarm
rules and of readers live in their own files and reach this floor as `PluginDefaults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.config.selftest import SelfTest
from edge.records import Priority

if TYPE_CHECKING:
    from edge.config.kept import KeptPatient

Document: TypeAlias = dict[str, Any]
"""The TOML as plain values: tables are dicts, arrays are lists."""

UNIT_WORDS: Mapping[str, str] = {
    "au": "arbitrary units",
    "bpm": "beats a minute",
    "brpm": "breaths a minute",
    "dbfs": "decibels against full scale",
    "degc": "degrees Celsius",
    "flag": "0 or 1",
    "g": "g",
    "h": "hours",
    "hz": "hertz",
    "kg": "kilograms",
    "mb": "megabytes",
    "mgdl": "mg/dl",
    "min": "minutes",
    "mmhg": "mmHg",
    "ms": "milliseconds",
    "mv": "millivolts",
    "n": "a whole number",
    "ohm": "ohms",
    "pct": "percent",
    "ppm": "parts per million",
    "s": "seconds",
    "v": "volts",
}
"""Unit as it ends a name -> the same in words."""


def unit_of(name: str) -> str:
    """Return the unit a setting's name ends in, ``n`` for a count, empty where it has none.

    >>> unit_of("limit_pct"), unit_of("n_beats"), unit_of("enabled")
    ('pct', 'n', '')
    """
    if name.startswith("n_"):
        return "n"
    stem, _, last = name.rpartition("_")
    return last if stem and last in UNIT_WORDS else ""


class ConfigError(Exception):
    """The configuration cannot be used; the text lists every fault and how to mend it.

    Attributes
    ----------
    problems : tuple[str, ...]
        One line each: where, what is wrong, what to do.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RuleDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of an alarm rule: see `edge.alarms.Rule`.

    Attributes
    ----------
    priority : Priority
        Of its alerts, where the configuration names none.
    settings, limits : Mapping
        Its settings and the span each may lie in.
    where : str
        The file the defaults live in, relative to the repository.
    source : str
        What the defaults rest on.
    of_box : bool
        It watches over the box: no patient has it otherwise than the rest.
    enabled : bool
        Whether it watches where nobody says otherwise.
    """

    priority: Priority
    settings: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]
    where: str
    source: str = ""
    of_box: bool = False
    enabled: bool = True


class ReaderDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a reader: see `edge.readers.Reader`."""

    settings: type[msgspec.Struct]
    where: str


class AnnunciatorDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a way to be heard or seen: see `edge.annunciators`."""

    settings: type[msgspec.Struct]
    where: str


class ChannelDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a channel of notices: see `edge.notices.channels`."""

    settings: type[msgspec.Struct]
    where: str


class PluginDefaults(msgspec.Struct, frozen=True):
    """The plug-ins by name; the command line builds it from what it finds."""

    rules: Mapping[str, RuleDefaults] = {}
    readers: Mapping[str, ReaderDefaults] = {}
    annunciators: Mapping[str, AnnunciatorDefaults] = {}
    channels: Mapping[str, ChannelDefaults] = {}


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """``[box]``: the computer next to the bed."""

    name: Annotated[
        str, Meta(min_length=1, max_length=64, description="What people call this box.")
    ] = "homeward"
    data_dir: Annotated[
        Path,
        Meta(
            description="Folder of everything the box keeps. Default: $HOMEWARD_DATA_DIR, else "
            "$STATE_DIRECTORY (set by systemd), else /var/lib/homeward for root and "
            "~/.local/share/homeward for people."
        ),
    ]
    socket: Annotated[
        Path,
        Meta(description="Local control socket. Default: control.sock in data_dir."),
    ]
    bluetooth: Annotated[
        bool,
        Meta(
            description="Read the sensors that were paired (`homeward pair`), also where no "
            "[[sources]] names the reader ble."
        ),
    ] = True
    packet_log_mb: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1_000_000.0,
            description="Keep the last packets in data_dir/packets, at most so much, so that "
            "`homeward whatif` finds the past; 0: none. They are not encrypted.",
        ),
    ] = 0.0


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """``[[patients]]``: one person watched.

    Limits of one patient alone stand in ``[patients.alarms.<rule>]`` (`edge.config.layers`).
    """

    id: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="A pseudonym, never a name: it goes into every record. Letters, digits "
            "and . _ - only, 64 at most.",
        ),
    ] = "patient-1"
    birth_year: (
        Annotated[
            int,
            Meta(
                ge=1900,
                le=2100,
                description="Year of birth. Without it there is no NEWS2, which is not valid under "
                "16 years.",
            ),
        ]
        | None
    ) = None
    pregnant: Annotated[
        bool, Meta(description="NEWS2 is not valid in pregnancy and is not computed then.")
    ] = False
    preset: (
        Annotated[
            str,
            Meta(
                description="Limits to begin with: one of edge/config/presets. What [alarms] says "
                "stands above it."
            ),
        ]
        | None
    ) = None
    spo2_scale: Annotated[
        Literal[1, 2],
        Meta(
            description="NEWS2's scale of the oxygen saturation. 2 only where a clinician has "
            "confirmed a hypercapnic respiratory failure and set 88 to 92 %."
        ),
    ] = 1
    spo2_scale_by: (
        Annotated[str, Meta(max_length=64, description="Who decided on scale 2.")] | None
    ) = None
    spo2_scale_on: (
        Annotated[str, Meta(max_length=10, description="On which day, as 2026-03-01.")] | None
    ) = None
    spo2_scale_why: Annotated[str, Meta(max_length=200, description="For what reason.")] | None = (
        None
    )


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """``[[sources]]``: one link to a sensor, and whose sensor it is.

    Attributes
    ----------
    settings : msgspec.Struct
        The reader's own options, an instance of `edge.readers.Reader.settings`; in the TOML
        they stand in the same table.
    """

    reader: Annotated[str, Meta(description="Which file of edge/readers reads it.")]
    name: Annotated[
        str, Meta(min_length=1, max_length=64, description="Its name; default: the reader's.")
    ]
    patient: Annotated[str, Meta(description="Who wears it; default: the only patient.")]
    settings: msgspec.Struct


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """``[alarms.<rule>]``: one rule of edge/alarms.

    Attributes
    ----------
    settings : Mapping[str, float]
        All the rule's settings; in the TOML they stand in the same table.
    """

    enabled: Annotated[bool, Meta(description="Whether the rule watches at all.")] = True
    priority: Annotated[Priority, Meta(description="How bad it is if nobody comes.")]
    settings: Mapping[str, float]


class Annunciator(msgspec.Struct, frozen=True, kw_only=True):
    """``[annunciators.<name>]``: one way to be heard or seen, a file of edge/annunciators.

    Attributes
    ----------
    settings : msgspec.Struct
        Its own options, an instance of `edge.annunciators.Annunciator.settings`; in the TOML they
        stand in the same table.
    """

    enabled: Annotated[bool, Meta(description="Whether it is used at all.")] = True
    settings: msgspec.Struct


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """``[alerts]``: how findings become alerts (`edge.alerts.AlertSettings`)."""

    # 120 s is the longest anything may stay unsaid (hazard H7): it can only be made shorter.
    reraise_s: Annotated[
        float,
        Meta(ge=15.0, le=120.0, description="An unanswered alert sounds anew after this long."),
    ] = 120.0
    clear_s: Annotated[
        float,
        Meta(ge=0.0, le=60.0, description="A condition absent for this long is over."),
    ] = 10.0
    unsure_s: Annotated[
        float,
        Meta(ge=5.0, le=120.0, description="Say so when nothing could be told for this long."),
    ] = 30.0
    signal_delay_s: Annotated[
        float,
        Meta(ge=0.0, le=10.0, description="From an alert to its sound; high priority has none."),
    ] = 0.0
    pause_s: Annotated[
        float,
        Meta(ge=10.0, le=120.0, description="A pause lasts so long where nothing else is said."),
    ] = 120.0
    watch_s: Annotated[
        float,
        Meta(
            ge=600.0,
            le=86400.0,
            description="A watch lasts so long where nothing else is said.",
        ),
    ] = 43200.0


_Wait: TypeAlias = Annotated[
    float, Meta(ge=0.0, le=86400.0, description="So long without an answer.")
]


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """``[escalation]``: who is told of an alert nobody answers, and after how long.

    Each time counts from the alert's beginning, by its priority; a pause by a carer stops it.
    """

    high_page_s: _Wait = 0.0
    high_first_carer_s: _Wait = 15.0
    high_second_carer_s: _Wait = 90.0
    medium_page_s: _Wait = 0.0
    medium_first_carer_s: _Wait = 60.0
    medium_second_carer_s: _Wait = 300.0
    low_page_s: _Wait = 0.0
    low_first_carer_s: _Wait = 600.0
    low_second_carer_s: _Wait = 3600.0

    def times_of(self, priority: str) -> tuple[float, float, float]:
        """Return the three times of ``high``, ``medium`` or ``low``."""
        page_s, first_s, second_s = (float(getattr(self, name)) for name in steps_of(priority))
        return page_s, first_s, second_s


def steps_of(priority: str) -> tuple[str, str, str]:
    """Return the names of the three times of ``high``, ``medium`` or ``low``, in their order."""
    return f"{priority}_page_s", f"{priority}_first_carer_s", f"{priority}_second_carer_s"


_UrlFile: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="File whose first line is the secret address; for its user alone (chmod 600). "
        "A name without / is looked for among systemd's credentials first, then in box.data_dir.",
    ),
]
_Clock: TypeAlias = Annotated[
    str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time of day.")
]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """``[[notices]]``: one way to tell somebody who is not at the box.

    Attributes
    ----------
    settings : msgspec.Struct
        The channel's own options; in the TOML they stand in the same table.
    """

    channel: Annotated[str, Meta(description="Which file of edge/notices/channels sends it.")]
    name: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,31})?$",
            description="What the status and the record call it; default: the channel.",
        ),
    ] = ""
    url_file: _UrlFile
    who: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
        Meta(min_length=1, description="first_carer, second_carer, or names as in a hand-over."),
    ] = ("first_carer",)
    on: Annotated[
        Literal["escalation", "raise"],
        Meta(description="Told when an unanswered alert is carried to them, or at once."),
    ] = "escalation"
    from_priority: Annotated[
        Literal["low", "medium", "high"], Meta(description="The least that is told.")
    ] = "low"
    technical: Annotated[bool, Meta(description="Alerts of the equipment too.")] = True
    details: Annotated[bool, Meta(description="With the reason, and so with measured values.")] = (
        False
    )
    quiet_from: _Clock | None = None
    quiet_to: _Clock | None = None
    quiet_floor: Annotated[
        Literal["low", "medium", "high"],
        Meta(description="Told in the quiet hours all the same; high always is."),
    ] = "high"
    n_burst: Annotated[
        int, Meta(ge=1, le=100, description="So many in a row before they are put together.")
    ] = 6
    refill_s: Annotated[
        float, Meta(ge=1.0, le=3600.0, description="One more may follow after each such time.")
    ] = 60.0
    settings: msgspec.Struct


class Deadman(msgspec.Struct, frozen=True, kw_only=True):
    """``[deadman]``: a watcher far away that calls when this box has not pinged it."""

    url_file: _UrlFile | None = None
    every_s: Annotated[float, Meta(ge=10.0, le=3600.0, description="How often it is pinged.")] = (
        60.0
    )
    fails: Annotated[
        bool, Meta(description="Say so at once at /fail, as healthchecks.io has it.")
    ] = True
    needs: Annotated[
        Literal["progress", "patients"],
        Meta(description="Pinged while the monitor comes on; or only if it hears every patient."),
    ] = "patients"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """``[model]``: the anomaly model."""

    enabled: Annotated[
        bool, Meta(description="Score windows with the model; the limit alarms never need it.")
    ] = True
    bundle: Annotated[
        Path | None, Meta(description="Folder of the model; empty: the one shipped.")
    ] = None


class Summaries(msgspec.Struct, frozen=True, kw_only=True):
    """``[summaries]``: what each period looked like."""

    period_s: Annotated[
        float, Meta(ge=10.0, le=3600.0, description="Length of one summary's period.")
    ] = 60.0


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """``[ring]``: raw samples kept in memory."""

    capacity_s: Annotated[
        float, Meta(ge=60.0, le=900.0, description="How much of every signal is kept in memory.")
    ] = 120.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set, complete: defaults filled in, checked.

    Attributes
    ----------
    alarms : Mapping[str, Alarm]
        Every rule that was found, by name, the disabled ones too.
    patient_alarms : Mapping[str, Mapping[str, Alarm]]
        The same, complete, for each patient that is watched otherwise than the rest.
    annunciators : Mapping[str, Annunciator]
        Every one that was found, by name, the disabled ones too.
    origins : Mapping[str, str]
        Key as `edge.config.effective` prints it -> ``file:line`` or ``command line``; a key
        that is absent has its default.
    kept : Mapping[str, KeptPatient]
        What people changed with `homeward limits`, by patient; all the above have it already.
    tables : Mapping[str, Document]
        The table of each patient as it stands in the file.
    """

    box: Box
    patients: tuple[Patient, ...] = (Patient(),)
    sources: tuple[Source, ...] = ()
    alarms: Mapping[str, Alarm] = {}
    patient_alarms: Mapping[str, Mapping[str, Alarm]] = {}
    annunciators: Mapping[str, Annunciator] = {}
    notices: tuple[Notice, ...] = ()
    deadman: Deadman = Deadman()
    alerts: Alerts = Alerts()
    escalation: Escalation = Escalation()
    model: Model = Model()
    summaries: Summaries = Summaries()
    ring: Ring = Ring()
    selftest: SelfTest = SelfTest()
    origins: Mapping[str, str] = {}
    kept: Mapping[str, KeptPatient] = {}
    tables: Mapping[str, Document] = {}


TABLES: Mapping[str, type[msgspec.Struct]] = {
    "box": Box,
    "alerts": Alerts,
    "escalation": Escalation,
    "deadman": Deadman,
    "model": Model,
    "summaries": Summaries,
    "ring": Ring,
    "selftest": SelfTest,
}
"""The tables that hold nothing but their own struct's fields."""
