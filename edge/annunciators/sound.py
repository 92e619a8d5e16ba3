"""The loudspeaker: alarm sounds through ALSA, and silence in between that proves it is there.

    sound        settings; the thread that feeds the player
    _melody      the shape of the sounds
    _levels      how loud, by day and by night
    _sequencer   which burst when, and what cuts it off
    _aplay       the player, a child process
    _standing    what the thread says of itself
    _pace        whether the card takes sound at its rate

`Loudspeaker.show` leaves the newest signal in a slot and rings; everything else happens in a thread
of its own, which waits for the player and for nothing else: no disk, no network, no lock. What it
holds is bounded: one signal, one block, a pipe of 4 KiB and the buffer of ALSA.

A card that stalls, is pulled out or only pretends, a player that dies or is missing, and a thread
that hangs are said by `Loudspeaker.state` within `edge.annunciators.UNHEARD_S`; the player is
started again after `RETRY_FIRST_S`, then after twice as long each time up to `RETRY_MOST_S`, for
ever, and each time after `RETRY_FIRST_S` while an alarm is to sound.

It can not be known from here whether a loudspeaker is plugged in, is turned down at its knob or in
the card's mixer (`alsamixer`), or whether the card is an HDMI output that leads to a screen which
is off: that is what the tone of the self-test and an ear are for.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from typing import Annotated, Final

import structlog
from msgspec import Meta
from msgspec.structs import replace

from edge.annunciators import Annunciator, Proof, Rim, Signal, State
from edge.annunciators._aplay import PERIOD_MS, Player, PlayerError
from edge.annunciators._levels import Levels, level_now
from edge.annunciators._melody import FS_HZ, test_tone
from edge.annunciators._pace import Pace
from edge.annunciators._sequencer import Cue, Sequencer, cue_of
from edge.annunciators._standing import Standing

BLOCK: Final = FS_HZ * PERIOD_MS // 1000
"""Samples handed over at a time."""
WAIT_S: Final = 0.25
"""Longest wait of the thread: how often it looks at the pace when nothing moves."""
RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 8.0
PROVE_S: Final = 5.0
"""What a self-test waits for its tone, beyond its length."""
LEAVE_S: Final = 2.0
MOST_LEFT: Final = 4
"""Players that hang in a driver and cannot be ended; a new one every few seconds would in a night
take every process the box may have."""

_STARTING: Final = "starting: the sound card has not yet taken sound for a few seconds"
_log = structlog.get_logger("sound")


class Settings(Levels, frozen=True, forbid_unknown_fields=True):
    """``[annunciators.sound]``: the loudspeaker."""

    device: Annotated[
        str,
        Meta(
            min_length=1,
            description="The sound card, as ALSA names it (`aplay -L` lists them), e.g. "
            "plughw:CARD=Headphones.",
        ),
    ] = "default"
    buffer_ms: Annotated[
        int,
        Meta(
            ge=60,
            le=200,
            description="What ALSA holds, in milliseconds: shorter is prompter, longer bears a "
            "busier box.",
        ),
    ] = 100


class _Asked:
    """A self-test that waits for its tone."""

    def __init__(self, *, soft: bool) -> None:
        self.soft = soft
        self.done = threading.Event()
        self.finding = ""
        self.left = -1
        """Samples of the tone, or of an alarm in its place, not yet taken; -1 before it began."""
        self.interrupted = False


class Loudspeaker:
    """Plays what is shown, for ever, until it is closed.

    Parameters
    ----------
    settings : Settings
        Where and how loud.
    rim : Rim
        The clocks.
    program : str
        The player; another path in tests.

    Attributes
    ----------
    player_pid : int | None
        The player that runs now, for those who look at the process.
    """

    def __init__(self, settings: Settings, rim: Rim, program: str = "aplay") -> None:
        self._settings, self._now_s, self._program = settings, rim.now_s, program
        self._level = level_now(settings, rim.minute_of_day)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Not in `close`: another thread may just then be about to ring.
        weakref.finalize(self, os.close, self._wake)
        self._slot: tuple[int, Cue | None] = (0, None)
        self._asked: _Asked | None = None
        self._closing = False
        self._retry_s = RETRY_FIRST_S
        self._left: list[Player] = []
        self.player_pid: int | None = None
        self._standing = Standing("sound", _STARTING, rim.now_s)
        self._rate = float("nan")
        self._thread = threading.Thread(target=self._serve, name="sound", daemon=True)
        self._thread.start()

    def show(self, signal: Signal) -> None:
        """Take what should be heard from now on; never waits, never raises."""
        n, cue = self._slot
        wanted = cue_of(signal)
        if wanted != cue:
            self._slot = (n + 1, wanted)
            self._ring()

    def state(self) -> State:
        """Return whether it can be heard; never waits."""
        return replace(self._standing.state(), n_shown=self._slot[0])

    def prove(self, *, soft: bool = False) -> Proof:
        """Play the tone of the self-test, unless an alarm sounds; takes some seconds.

        `soft`: at the volume of the night, whatever the hour.
        """
        state = self.state()
        if not state.works:
            return Proof(passed=False, finding=state.reason)
        asked = _Asked(soft=soft)
        self._asked = asked
        self._ring()
        tone_s = len(test_tone()) / FS_HZ
        if not asked.done.wait(tone_s + PROVE_S):
            return Proof(
                passed=False,
                finding=f"a tone of {tone_s:.1f} s was not taken by ALSA device "
                f"{self._settings.device!r} in {tone_s + PROVE_S:.0f} s; {self.state().reason}",
            )
        return Proof(
            passed=True,
            finding=f"{asked.finding}; the sound card takes {100 * self._rate:.1f} % of its rate. "
            f"Whether the loudspeaker is plugged in and turned up only an ear can tell",
        )

    def close(self) -> None:
        """Be silent and end the player; may be called twice."""
        if self._closing:
            return
        self._closing = self._standing.closed = True
        self._ring()
        self._thread.join(LEAVE_S)

    def _ring(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _serve(self) -> None:
        while not self._closing:
            try:
                self._play()
            except PlayerError as error:
                self._standing.tell(works=False, reason=str(error))
            except Exception as error:  # noqa: BLE001  # told, and tried again
                _log.exception("the sound thread failed")
                self._standing.tell(
                    works=False, reason=f"the player failed: {error!r}; it is tried again"
                )
            self._wait(self._retry_s)
            self._retry_s = min(2 * self._retry_s, RETRY_MOST_S)

    def _play(self) -> None:
        """Feed one player until it fails or we are closed.

        Raises
        ------
        PlayerError
            It does not play.
        """
        self._left = [player for player in self._left if not player.gone]
        if len(self._left) >= MOST_LEFT:
            raise PlayerError(
                f"{len(self._left)} players hang in the driver of ALSA device "
                f"{self._settings.device!r} and no more are started: pull out the sound card, or "
                f"start the box again"
            )
        player = Player(self._settings.device, self._settings.buffer_ms, self._program)
        try:
            self.player_pid = player.pid
            self._feed(player, Sequencer(self._level), Pace(FS_HZ, self._now_s()))
        finally:
            self.player_pid = None
            player.close()
            self._left.append(player)

    def _feed(self, player: Player, sequencer: Sequencer, pace: Pace) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        held: bytes = b""
        while not self._closing:
            now_s = self._standing.turn()
            if complaint := pace.complaint(now_s):
                raise PlayerError(
                    f"the sound card (ALSA device {player.device!r}) {complaint}: see that it is "
                    f"there (`aplay -l`) and that `speaker-test` is heard"
                )
            self._judge(pace)
            n_shown, cue = self._slot
            sequencer.want(cue)
            self._begin_test(sequencer)
            held = held or sequencer.take(BLOCK).tobytes()
            rest_s = pace.wait_s(now_s, BLOCK)
            if rest_s == 0.0 and player.write(memoryview(held)):
                held = b""
                pace.took(now_s, BLOCK)
                self._count(sequencer, n_shown, now_s)
                continue
            if rest_s == 0.0:
                poll.register(player, select.POLLOUT)
            poll.poll(1000 * min(rest_s or WAIT_S, WAIT_S))
            if rest_s == 0.0:
                poll.unregister(player)
            self._drain_bell()

    def _judge(self, pace: Pace) -> None:
        if pace.proven and not self._standing.works:
            self._retry_s = RETRY_FIRST_S
            self._standing.tell(works=True, reason="")
        self._rate = pace.rate

    def _begin_test(self, sequencer: Sequencer) -> None:
        asked = self._asked
        if asked is None or asked.left >= 0:
            return
        level_dbfs = self._settings.night_volume_dbfs if asked.soft else None
        tone = test_tone()
        played = sequencer.play_once(tone, level_dbfs) > 0
        # As much of an alarm as of the tone has to be taken: a card that hangs takes a little too.
        asked.left = len(tone)
        tone_s = asked.left / FS_HZ
        asked.finding = (
            f"a tone of {tone_s:.1f} s was played"
            if played
            else f"an alarm sounds just now, and {tone_s:.1f} s of it were taken"
        )
        asked.interrupted = not played

    def _count(self, sequencer: Sequencer, n_shown: int, now_s: float) -> None:
        """Note what the block that was just taken has done."""
        if sequencer.n_given == sequencer.n_wanted:
            self._standing.give(n_shown, now_s)
        if (asked := self._asked) is not None and asked.left >= 0:
            if not (asked.interrupted or sequencer.tests):
                asked.finding = "an alarm began in the midst of the tone and took its place"
                asked.interrupted = True
            asked.left -= BLOCK
            if asked.left <= 0:
                self._asked = None
                asked.done.set()

    def _wait(self, span_s: float) -> None:
        """Wait before the next try; what is shown meanwhile is played when it works again.

        While an alarm is to sound no more than `RETRY_FIRST_S`: it waits for nothing else.
        """
        began_s = self._now_s()
        while not self._closing:
            longest_s = span_s if self._slot[1] is None else min(span_s, RETRY_FIRST_S)
            left_s = longest_s - (self._now_s() - began_s)
            if left_s <= 0:
                return
            self._standing.turn()
            select.select([self._wake], [], [], min(left_s, WAIT_S))
            self._drain_bell()

    def _drain_bell(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return


def open_loudspeaker(settings: Settings, rim: Rim) -> Loudspeaker:
    """Open it; returns at once."""
    return Loudspeaker(settings, rim)


ANNUNCIATOR = Annunciator(name="sound", settings=Settings, open=open_loudspeaker)
