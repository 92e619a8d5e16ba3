"""The monitor at this moment: for the screen and the socket, never stored."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge.records import AlarmAct, Alert, Category, LinkState, Priority, Reading, Security, Step


class Signal(msgspec.Struct, frozen=True):
    """What should be heard and seen now; made of the alerts by `edge.alerts`, never stored.

    Attributes
    ----------
    priority : Priority | None
        Of the sound; where none is due, of the worst alert nobody has answered. None: all
        alerts are answered.
    category : Category
        What the alert that speaks is about.
    audible : bool
        The alarm sounds; false too while what there is is paused, off or acknowledged.
    reminder : bool
        The sound is off, and this must not be forgotten.
    visual : Priority | None
        Priority of the light. It stays while the sound is paused and when an alert was
        acknowledged; while all signals are paused it is of what the pause does not cover.
    audio_paused_until_s, alarms_paused_until_s : float | None
        When the longest pause of the sound, and of all signals, ends; None: there is none.
    off_upto : Priority | None
        The highest priority that has no sound until somebody says otherwise; None: all have.
    step : Step
        How far the furthest alert was carried that nobody has answered.
    patient, alert_id : str
        Whose alert speaks, and which; empty: none stands.
    n_waiting : int
        Alerts above information that nobody has answered.
    """

    priority: Priority | None = None
    category: Category = Category.GENERAL
    audible: bool = False
    reminder: bool = False
    visual: Priority | None = None
    audio_paused_until_s: float | None = None
    alarms_paused_until_s: float | None = None
    off_upto: Priority | None = None
    step: Step = Step.BOX
    patient: str = ""
    alert_id: str = ""
    n_waiting: int = 0

    @property
    def paused(self) -> bool:
        """Whether a person has paused something."""
        return self.audio_paused_until_s is not None or self.alarms_paused_until_s is not None


class MuteLive(msgspec.Struct, frozen=True):
    """A pause or "off" in force: what of whom up to which priority, until when, and by whom."""

    act: AlarmAct
    patient: str
    upto: Priority
    by: str
    until_s: float | None


class WatchLive(msgspec.Struct, frozen=True):
    """Who has the watch over a patient (empty: everybody), and until when."""

    patient: str
    holder: str
    until_s: float


class SourceLive(msgspec.Struct, frozen=True):
    """What has come from one stream of one source since the start."""

    source: str
    stream: str
    patient: str
    n_packets: int
    n_not_mine: int
    n_broken: int
    n_lost: int
    age_s: float
    ppm: float
    last_error: str


class SensorLive(msgspec.Struct, frozen=True):
    """One sensor: how its link is and since when, how it is protected, its battery.

    `battery_pct` is NaN where the sensor does not tell; `reason` says in words what is wrong.
    """

    source: str
    name: str
    place: str
    patient: str
    state: LinkState
    security: Security
    reason: str
    battery_pct: float
    since_s: float


class PatientLive(msgspec.Struct, frozen=True):
    """One patient's numbers of this second; a value that is not known is NaN.

    `n_implausible` counts values that could be no measurement, `n_refused` runs that
    found no room: more signals than a patient can have, or a clock far ahead of time.
    """

    patient: str
    vitals: Mapping[str, float]
    age_s: Mapping[str, float]
    score: float
    n_beats: int
    n_windows: int
    n_implausible: int = 0
    n_refused: int = 0


class Live(msgspec.Struct, frozen=True):
    """The monitor at this moment, for the screen and the socket; nothing here is stored.

    `n_unknown` counts packets of streams that no decoder knows; `readings` are the latest of
    every patient and signal; `signal` is what should be heard and seen at this box; `box` is what
    is known of the box itself (`edge.events.BoxHealth`), empty while nothing was told.
    """

    now_s: float
    patients: tuple[PatientLive, ...]
    alerts: tuple[Alert, ...]
    sources: tuple[SourceLive, ...]
    n_unknown: int
    notes: tuple[str, ...]
    sensors: tuple[SensorLive, ...] = ()
    readings: tuple[Reading, ...] = ()
    signal: Signal = Signal()
    mutes: tuple[MuteLive, ...] = ()
    watches: tuple[WatchLive, ...] = ()
    box: Mapping[str, float] = {}
