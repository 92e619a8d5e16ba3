"""How it goes with what leaves for records far away: for the status, and an alarm of the box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from edge.config import Sink
from edge.control.syncing import SinkState, SyncState
from edge.events import BoxHealth
from edge.store import Waits

HEARD_S: Final = 15.0
"""A sender that has not told how it is for so long is gone; it is due every few seconds."""
START_S: Final = 60.0
"""So long after its own start the monitor waits for a sender that may be starting too."""
NO_SENDER: Final = "the sender does not run: start it with `homeward sync`"


class SinkReport(msgspec.Struct, frozen=True):
    """One destination.

    Attributes
    ----------
    name, sink, content : str, str, tuple[str, ...]
        As in the settings.
    works : bool | None
        None: nobody has said yet.
    trouble, quiet : str
        Why it does not work; why nothing is tried now.
    sent_s, received_s : float | None
        Boot time of the last message, and of the last receipt.
    certificate_s : float | None
        Wall time at which our certificate ends.
    n_urgent, n_alerts, n_summaries, n_erase : int
        What waits; urgent ones are among the alerts.
    oldest_s : float | None
        Boot time since when an alert has waited.
    n_rejected, rejected : int, str
        What it will never take, and why it does not take the last of it.
    """

    name: str
    sink: str
    content: tuple[str, ...]
    works: bool | None = None
    since_s: float | None = None
    trouble: str = ""
    quiet: str = ""
    sent_s: float | None = None
    received_s: float | None = None
    certificate_s: float | None = None
    n_bytes_today: int = 0
    n_forged: int = 0
    n_urgent: int = 0
    n_alerts: int = 0
    n_summaries: int = 0
    n_erase: int = 0
    oldest_s: float | None = None
    n_rejected: int = 0
    rejected: str = ""


class SyncReport(msgspec.Struct, frozen=True):
    """What the status says of what leaves for records far away.

    Attributes
    ----------
    box : str
        What receivers call this box; empty: not known yet.
    age_s : float | None
        Since the sender last said how it is; None: never since the start.
    trouble : str
        Why nothing leaves; empty: it does, or may.
    impossible : dict[str, int]
        Requests to delete that nobody can be asked, or was refused, by destination.
    """

    box: str
    age_s: float | None
    trouble: str
    sinks: tuple[SinkReport, ...]
    impossible: dict[str, int] = {}


class Heard:
    """What the sender has said of itself.

    Parameters
    ----------
    began_s : float
        Start of the monitor.
    """

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._heard_s: float | None = None
        self._sinks: dict[str, SinkState] = {}

    def hear(self, told: SyncState, now_s: float) -> None:
        """Take it."""
        self._heard_s, self._sinks = now_s, {one.name: one for one in told.sinks}

    def age_s(self, now_s: float) -> float | None:
        """Return how long ago it last said something; None: never."""
        return None if self._heard_s is None else max(0.0, now_s - self._heard_s)

    def trouble(self, now_s: float) -> str:
        """Return why nothing leaves; empty: it does, or it may yet begin."""
        age_s = self.age_s(now_s)
        gone = now_s - self._began_s > START_S if age_s is None else age_s > HEARD_S
        return NO_SENDER if gone else ""

    def of(self, sink: str, now_s: float) -> SinkState | None:
        """Return how a destination is; None: nobody knows now."""
        age_s = self.age_s(now_s)
        return self._sinks.get(sink) if age_s is not None and age_s <= HEARD_S else None


def sink_report(
    sink: Sink,
    state: SinkState | None,
    waits: Waits | None,
    since_s: Callable[[float, str], float],
) -> SinkReport:
    """Return how a destination is.

    Parameters
    ----------
    state, waits : SinkState | None, Waits | None
        What the sender says of it, and what waits for it; None: nobody knows.
    since_s : Callable
        Gives a moment of any boot on the clock of this one.
    """
    report = SinkReport(sink.name, sink.sink, tuple(sink.content))
    if state is not None:
        own = {"name", "sink"}
        shared = set(SinkReport.__struct_fields__) & set(state.__struct_fields__) - own
        told = {name: getattr(state, name) for name in shared}
        report = msgspec.structs.replace(report, **told)
    if waits is None:
        return report
    return msgspec.structs.replace(
        report,
        n_urgent=waits.n_urgent,
        n_alerts=waits.n_alerts,
        n_summaries=waits.n_summaries,
        n_erase=waits.n_erase,
        oldest_s=None if waits.oldest is None else since_s(*waits.oldest),
        n_rejected=waits.n_rejected,
        rejected=waits.why,
    )


class SyncPart:
    """For how long an alert has waited to leave; not known where nothing is to leave."""

    def __init__(self, oldest_s: Callable[[], tuple[bool, float | None]]) -> None:
        self._oldest_s = oldest_s

    def __call__(self, now_s: float) -> BoxHealth:
        """Return what is known now."""
        known, since_s = self._oldest_s()
        if not known:
            return BoxHealth()
        if since_s is None:
            return BoxHealth({"unsent_s": 0.0})
        return BoxHealth({}, {"unsent_s": min(since_s, now_s)})
