"""The alarms at the box itself: sound and light, opened and closed with the monitor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from edge.alerts import Answer
from edge.annunciators import Annunciator, Opened, Quiet, Rim, Signal
from edge.clock import BootClock
from edge.daemon.button import Button
from edge.pipeline import ANSWER
from edge.records import Packet, Role

BUTTON: Final = "button"
"""Who is said to have pressed it."""

_log = structlog.get_logger("local")


class Chosen(msgspec.Struct, frozen=True):
    """An annunciator that is to be used, and how it is set."""

    kind: Annunciator
    settings: Any


class AnnunciatorReport(msgspec.Struct, frozen=True):
    """What the status says of one: whether it can be heard or seen, and since when.

    Attributes
    ----------
    n_given, given_s : int, float | None
        How many signals have come out, and the boot time of the last.
    n_shown : int
        How many were to come out.
    gives : tuple[str, ...]
        What that means for an alert: ``sounded``, ``shown``.
    """

    name: str
    works: bool
    reason: str
    since_s: float
    n_given: int = 0
    given_s: float | None = None
    n_shown: int = 0
    gives: tuple[str, ...] = ()


class Local:
    """Hands the signal to every annunciator that was chosen.

    Parameters
    ----------
    clock : BootClock
        The clocks of this box.
    put : Callable
        Takes a packet: what the button says. Called in the loop's thread.
    """

    def __init__(self, clock: BootClock, put: Callable[[Packet], None]) -> None:
        self._clock, self._put = clock, put
        self._opened: dict[str, Opened] = {}
        self._gives: dict[str, tuple[str, ...]] = {}
        self._failed: list[AnnunciatorReport] = []
        self._signal: Signal = Quiet()
        self._button = Button()
        self.press_awaited: Callable[[], None] | None = None
        """Called in place of what a press means, while no alarm sounds: a self-test waits."""

    @property
    def opened(self) -> Mapping[str, Opened]:
        """Those in use, by name."""
        return dict(self._opened)

    @property
    def unopened(self) -> Mapping[str, str]:
        """Those that could not be opened, and why."""
        return {report.name: report.reason for report in self._failed}

    def open(self, chosen: Sequence[Chosen]) -> None:
        """Open them, from the running loop; one that cannot be opened is told, and no more.

        Nothing here waits: an annunciator works, or does not, in threads of its own.
        """
        loop = asyncio.get_running_loop()

        def answered() -> None:
            loop.call_soon_threadsafe(self._press)

        rim = Rim(self._clock.now_s, self._minute_of_day, answered)
        for one in chosen:
            gives = self._gives[one.kind.name] = one.kind.gives(one.settings)
            try:
                self._opened[one.kind.name] = one.kind.open(one.settings, rim)
            except Exception as error:  # noqa: BLE001  # limits and storage go on without it
                _log.exception("cannot be opened", annunciator=one.kind.name)
                reason = f"cannot be opened ({error!r}); start the monitor again"
                at_s = self._clock.now_s()
                report = AnnunciatorReport(one.kind.name, False, reason, at_s, gives=gives)  # noqa: FBT003
                self._failed.append(report)

    def show(self, signal: Signal) -> None:
        """Hand on what should be heard and seen now; one that fails does not silence the others."""
        self._signal = signal
        for name, opened in self._opened.items():
            try:
                opened.show(signal)
            except Exception:  # noqa: BLE001  # it promised not to
                _log.exception("cannot show", annunciator=name)

    def reports(self) -> tuple[AnnunciatorReport, ...]:
        """Return how each of them is now."""
        states = ((name, opened.state()) for name, opened in self._opened.items())
        working = (
            AnnunciatorReport(
                *(name, s.works, s.reason, s.since_s, s.n_given, s.given_s if s.n_given else None),
                n_shown=s.n_shown,
                gives=self._gives[name],
            )
            for name, s in states
        )
        return (*working, *self._failed, *self._button_report())

    def close(self) -> None:
        """Be silent; waits for their threads, so call it in one."""
        for name, opened in self._opened.items():
            try:
                opened.close()
            except Exception:  # noqa: BLE001  # the others are closed too
                _log.exception("cannot be closed", annunciator=name)

    def _press(self) -> None:
        """Say what a press of the button means: whoever is at the bed pauses the sound."""
        if self.press_awaited is not None and not self._signal.audible:
            self.press_awaited()
            return
        believed = self._button.since_s is None
        if not self._button.press(self._clock.now_s()):
            if believed:
                _log.warning(
                    "button not followed", reason=self._button.trouble(self._clock.now_s())
                )
            return
        answer = Answer("pause_audio", by=BUTTON, role=Role.PATIENT)
        said = Packet("person", ANSWER, self._clock.now_s(), msgspec.json.encode(answer))
        self._put(said)

    def _button_report(self) -> tuple[AnnunciatorReport, ...]:
        """Return what the status says of a button that is not believed; nothing while it is."""
        reason, since_s = self._button.trouble(self._clock.now_s()), self._button.since_s
        if not reason or since_s is None:
            return ()
        return (AnnunciatorReport(BUTTON, works=False, reason=reason, since_s=since_s),)

    def _minute_of_day(self) -> float | None:
        now = self._clock.read()
        if not now.synchronised:
            return None
        local = datetime.fromtimestamp(now.wall_s, tz=UTC).astimezone()
        return 60.0 * local.hour + local.minute
