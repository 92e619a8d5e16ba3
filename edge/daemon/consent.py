"""What people let leave, changed while the monitor runs: in force first, then written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge.config.consent import Consent, ConsentFileError, Kept, read_switches, write_switches
from edge.control import ChangeConsent, ControlError
from edge.daemon.gate import Gate
from edge.daemon.recorder import Recorder
from edge.egress.consent import WITHOUT, switches_of
from edge.store import LedgerEntry, LedgerKind

_log = structlog.get_logger("consent")


class ConsentReport(msgspec.Struct, frozen=True):
    """What may leave, for the status.

    Attributes
    ----------
    switches : dict[str, bool]
        By name.
    n_withheld : dict[str, int]
        What was kept back since the start, by switch.
    trouble : str
        Why what people switched does not count; empty: it does.
    """

    switches: dict[str, bool]
    n_withheld: dict[str, int]
    trouble: str = ""


class ConsentDesk:
    """Takes changes one after the other.

    Parameters
    ----------
    gate : Gate
        Goes by the switches.
    recorder : Recorder
        Writes down who switched what.
    stored : Callable
        ``await stored()`` says whether all that was made by now is on the disk.
    now_s : Callable
        The boot clock.

    Attributes
    ----------
    changed : Callable
        Called when a switch is another: whoever sends has to know at once.
    """

    def __init__(
        self,
        gate: Gate,
        recorder: Recorder,
        stored: Callable[[], Awaitable[bool]],
        now_s: Callable[[], float],
    ) -> None:
        self._gate, self._recorder, self._stored, self._now_s = gate, recorder, stored, now_s
        self.changed: Callable[[], None] = lambda: None
        self._folder: Path | None = None
        self._settings = Consent()
        self._kept: Kept | None = {}
        self._trouble = ""
        self._one_by_one = asyncio.Lock()

    def begin(self, folder: Path, settings: Consent) -> None:
        """Go by the settings, and by what people switched; where that is lost, by little."""
        self._folder, self._settings = folder, settings
        try:
            self._kept = read_switches(folder)
        except ConsentFileError as error:
            self._kept, self._trouble = None, str(error)
            _log.error("consent cannot be read", error=str(error))
        self._apply()

    def report(self) -> ConsentReport:
        """Return what may leave."""
        return ConsentReport(
            {switch.value: on for switch, on in self._gate.switches.items()},
            {switch.value: n for switch, n in self._gate.n_withheld.items()},
            self._trouble,
        )

    async def change(self, request: ChangeConsent) -> dict[str, Any]:
        """Switch, and say what came of it.

        What is switched off is so at once, whatever the disk does; what is switched on is written
        down first.

        Raises
        ------
        ControlError
            It cannot be done, or is done and cannot be kept over a restart.
        """
        by, why = request.by.strip(), request.why.strip()
        if self._folder is None or not by or not why:
            raise ControlError('say who switches it and why: --by NAME --why "..."')
        async with self._one_by_one:
            was = self._gate.allows(request.switch)
            kept = {**self._whole(), request.switch.value: request.on}
            if not request.on:
                self._take(kept, request, by, why)
            try:
                await asyncio.to_thread(write_switches, self._folder, kept)
            except ConsentFileError as error:
                done = (
                    "" if request.on else f"{request.switch.value} is off, until the next start: "
                )
                raise ControlError(f"{done}{error}") from error
            if request.on:
                self._take(kept, request, by, why)
            self._trouble = ""
            _log.warning("consent", switch=request.switch.value, on=request.on)
            warnings = () if request.on else (WITHOUT[request.switch],)
            return {
                "switch": request.switch.value,
                "on": request.on,
                "was": was,
                "stored": await self._stored(),
                "warnings": warnings,
            }

    def _whole(self) -> dict[str, bool]:
        """Return what is kept; where that was lost, what is in force is a choice from now on."""
        if self._kept is not None:
            return dict(self._kept)
        return {switch.value: on for switch, on in self._gate.switches.items()}

    def _apply(self) -> None:
        self._gate.switches = switches_of(self._settings, self._kept)
        self._recorder.backlog.withheld = frozenset(self._gate.withheld)
        self.changed()

    def _take(self, kept: Kept, request: ChangeConsent, by: str, why: str) -> None:
        """Go by it, and have it written in the chain; what waits unsent is withdrawn with that."""
        body = {"why": why, "was": self._gate.allows(request.switch)}
        self._kept = kept
        self._apply()
        stage, ref = ("on" if request.on else "off"), f"consent:{request.switch.value}"
        entry = LedgerEntry(LedgerKind.CONSENT, ref, stage, by, self._now_s(), body)
        self._recorder.vouch(entry)
