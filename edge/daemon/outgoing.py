"""All that has to do with what leaves: the gate, consent, and forgetting what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from edge.clock import TimeQuality, WallLog
from edge.config import Config
from edge.control import Became, ChangeConsent, ControlError, ForgetSent, Leaves
from edge.daemon.consent import ConsentDesk
from edge.daemon.gate import Gate
from edge.daemon.recorder import Recorder
from edge.store import Keep, Run, Store, StoreError

OutgoingRequest: TypeAlias = Leaves | Became | ChangeConsent | ForgetSent
MAX_FORGOTTEN: Final = 10_000
"""Messages that are forgotten at once, at most."""


class Outgoing:
    """Answers senders, and people who say what may leave.

    Parameters
    ----------
    recorder : Recorder
        Takes what is to be kept.
    run : Run
        This start of the monitor.
    now_s : Callable
        The boot clock.
    wall : WallLog
        What wall time it was.
    stored : Callable
        ``await stored()`` says whether all that was made by now is on the disk.
    """

    def __init__(
        self,
        recorder: Recorder,
        run: Run,
        now_s: Callable[[], float],
        wall: WallLog,
        stored: Callable[[], Awaitable[bool]],
    ) -> None:
        self._recorder, self._run, self._now_s, self._wall = recorder, run, now_s, wall
        self.gate = Gate(recorder, run, now_s, wall)
        self.consent = ConsentDesk(self.gate, recorder, stored, now_s)

    def begin(self, config: Config) -> None:
        """Go by the settings, from before anything can leave."""
        self.consent.begin(config.box.data_dir, config.consent)
        keep = Keep(config.ledger.content_days, int(config.ledger.content_mb * 1e6))
        self._recorder.tidy.append(partial(self._tidy, keep=keep))

    async def answer(self, request: OutgoingRequest) -> Any:  # noqa: ANN401  # whatever JSON can say
        """Return the answer to one request.

        Raises
        ------
        ControlError
            It cannot be done, or may not leave; the text says why.
        """
        match request:
            case Leaves(what=what):
                return self.gate.leaves(what)
            case Became():
                return await self.gate.became(request)
            case ChangeConsent():
                return await self.consent.change(request)
            case ForgetSent():
                return await self._forget(request)

    async def _forget(self, request: ForgetSent) -> dict[str, int]:
        by = request.by.strip()
        if not by or request.last < request.first:
            raise ControlError("say which and who: `homeward ledger forget N --by NAME`")
        numbers = range(request.first, min(request.last + 1, request.first + MAX_FORGOTTEN))

        def act(store: Store) -> dict[str, int]:
            erased = store.erase_sent(numbers, by, request.why, self._now_s())
            return {"n": erased.n, "n_to_ask": erased.n_to_ask}

        try:
            told = await self._recorder.using(act)
        except StoreError as error:
            raise ControlError(str(error)) from error
        self._recorder.tell()
        return told

    def _tidy(self, store: Store, keep: Keep) -> None:
        now_s, wall_s = self._now_s(), None
        try:
            utc, quality = self._wall.utc_of(now_s, self._run.boot_id)
        except LookupError:
            quality = TimeQuality.UNSYNCED
        if quality is not TimeQuality.UNSYNCED:
            wall_s = utc.timestamp()
        store.keep_sent(keep, wall_s, now_s)
