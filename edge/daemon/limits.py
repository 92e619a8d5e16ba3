"""Limits that are changed while the monitor runs: decided, written down, told, recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge.config import Config, ConfigError
from edge.config.changes import in_force
from edge.config.kept import Kept, KeptPatient, holds_words, write_kept
from edge.config.words import Words, words_of
from edge.control import ChangeLimits, ControlError
from edge.daemon.people import ANSWER_S, People
from edge.events import FACTS, LIMIT, PERSON, tell
from edge.limits import Decision, LimitsError, Reload, decide
from edge.records import LimitAct, Packet, Record, SettingChange

_log = structlog.get_logger("limits")


class LimitsReport(msgspec.Struct, frozen=True):
    """How one patient is watched, as far as people have decided it, for the status.

    Attributes
    ----------
    preset : str
        Empty: none.
    n_own : int
        Settings that were changed for this patient with `homeward limits`.
    spo2_scale, decided : int, str
        NEWS2's scale, and who decided on scale 2, when and why.
    off : tuple[str, ...]
        Alarms that somebody switched off for this patient, and who, when and why.
    """

    patient: str
    preset: str
    n_own: int
    spo2_scale: int
    decided: str
    off: tuple[str, ...] = ()


class Desk:
    """Takes changes one after the other.

    Parameters
    ----------
    config : Config
        What the monitor runs with.
    reload : Reload
        The same with other limits kept.
    people : People
        Waits for what comes of it.
    now_s : Callable
        The boot clock.
    """

    def __init__(
        self, config: Config, reload: Reload, people: People, now_s: Callable[[], float]
    ) -> None:
        self._config, self._reload, self._people, self._now_s = config, reload, people, now_s
        self._one_by_one = asyncio.Lock()
        self.taken: Callable[[Config], None] = lambda _: None
        """Told of the configuration whenever it has become another."""
        self.keep: Callable[[Words], None] = lambda _: None
        """Takes who decided on a limit and why, to be kept with the records."""

    async def change(self, request: ChangeLimits) -> dict[str, Any]:
        """Change limits, and say what came of it.

        Written down first: what is in force is what the next start finds.

        Raises
        ------
        ControlError
            It cannot be done; nothing is changed.
        """
        async with self._one_by_one:
            decision = await asyncio.to_thread(self._decide, request)
            self._keep_words(decision.kept)
            await asyncio.to_thread(self._write, decision.kept)
            self._config = decision.config
            self.taken(decision.config)
            now_s = self._now_s()
            said = []
            if decision.told.act is not LimitAct.SCALE:
                said.append(Packet(PERSON, LIMIT, now_s, msgspec.json.encode(decision.told)))
            if decision.facts is not None:
                said.append(tell(FACTS, decision.facts, now_s))
            made: list[SettingChange] = []

            def fits(record: Record) -> bool:
                if not isinstance(record, SettingChange) or record.at_s < now_s:
                    return False
                made.append(record)
                return True

            late = f"it is written down, but the monitor did not act within {ANSWER_S:.0f} s"
            _, stored = await self._people.put_and_wait(said, fits, late)
            _log.warning("limits changed", act=request.act.value, n=len(made))
            return {"changes": made, "stored": stored, "warnings": decision.warnings}

    def reports(self) -> tuple[LimitsReport, ...]:
        """Return how each patient is watched."""
        return tuple(
            LimitsReport(
                one.id,
                one.preset or "",
                sum(map(len, self._config.kept[one.id].alarms.values()))
                if one.id in self._config.kept
                else 0,
                one.spo2_scale,
                f"{one.spo2_scale_by} on {one.spo2_scale_on}: {one.spo2_scale_why}"
                if one.spo2_scale == 2
                else "",
                tuple(_switched_off(self._config, one.id)),
            )
            for one in self._config.patients
        )

    async def move_words(self, stored: Callable[[], Awaitable[bool]]) -> None:
        """Take names and reasons that an older Homeward wrote into the file to the records."""
        async with self._one_by_one:
            self._keep_words(self._config.kept)
            try:
                if await asyncio.to_thread(holds_words, self._config.box.data_dir):
                    if not await stored():
                        return  # at the next start
                    await asyncio.to_thread(
                        write_kept, self._config.box.data_dir, self._config.kept
                    )
            except (OSError, ConfigError) as error:
                _log.warning("names stay in the file of the limits", error=str(error))

    def _keep_words(self, kept: Kept) -> None:
        for words in words_of(kept):
            self.keep(words)

    def _decide(self, request: ChangeLimits) -> Decision:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            return decide(self._config, request, at, self._reload)
        except (ConfigError, LimitsError) as error:
            raise ControlError(str(error)) from error

    def _write(self, kept: Kept) -> None:
        folder: Path = self._config.box.data_dir
        try:
            write_kept(folder, kept)
        except OSError as error:
            raise ControlError(
                f"cannot be written down in {folder} ({error.strerror or error}), and so nothing "
                f"is changed: check its rights and the space on its disk"
            ) from error


def _switched_off(config: Config, patient: str) -> Iterator[str]:
    for rule, kept in config.kept.get(patient, KeptPatient()).alarms.items():
        switch = kept.get("enabled")
        if switch is not None and not switch.value:
            priority = in_force(config, patient)[rule].priority.value
            yield f"{rule.replace('_', ' ')} ({priority} priority) by {switch.who.words}"
