"""The box watches itself: what can be known of it, told to the pipeline as ``box:health``.

    this file   the turn of every second; what is told, and when
    parts       what the running monitor knows without waiting: clock, recording, sound, notices
    vault       whether raw packets are kept
    looks       looks that may hang, each in a thread of its own
    disk        room on the disk, and whether it can be written
    hardware    power supply, heat, memory: files of the kernel
    steady      numbers that tremble, made still

What comes of it: the longest from the cause to the alert, in seconds. What is known here is told
within 1 s, what has to be looked for within 3 s, and the rules are asked every second and have
delays of their own. `tests/edge/daemon/test_boxwatch.py` and
`tests/edge/alarms/test_box_rules.py` hold them to 10 s.

| cause                                              | rule            | priority    | s  |
| -------------------------------------------------- | --------------- | ----------- | -- |
| clock never set (from 90 s after switching on)     | clock_unset     | medium      | 3  |
| no time server has answered for nine hours         | clock_unset     | low         | 3  |
| 10 % of the disk free; 5 %                         | disk_low        | low, medium | 5  |
| the store refuses a write; it does not come back   | cannot_record   | medium      | 6; 9 |
| the store does not open at the start               | cannot_record   | medium      | 10 |
| the disk is read-only, full, or the file gone      | cannot_record   | medium      | 7  |
| records given up                                   | cannot_record   | medium      | 6  |
| on a full disk only alarms are recorded            | disk_low        | medium      | 5  |
| the records were damaged and are begun anew        | store_damaged   | low         | 3  |
| the packet log ended                               | cannot_record   | low         | 6  |
| the key of the vault cannot be had; it is refused  | vault_down      | low         | 6  |
| raw packets given up                               | vault_down      | low         | 6  |
| one way to be heard or seen fails, another works   | cannot_be_heard | medium      | 4 * |
| nothing at the box can be heard or seen            | cannot_be_heard | high        | 4 * |
| the notifier is gone                               | cannot_notify   | medium      | 10 |
| it says that notices cannot be delivered           | cannot_notify   | medium      | 6  |
| an alert waits 1 h to leave the box; 12 h          | sync_stale      | low, medium | 3  |
| too little voltage                                 | under_voltage   | medium      | 5  |
| 80 degrees Celsius; 85                             | over_heat       | low, medium | 5  |
| 8 % of the memory free; 5 %                        | memory_short    | low, medium | 5  |
| a look does not come back                          | box_blind       | medium      | 10 |

(*) After it has said so itself: a sound card that stops says so after 3 s, one that was never there
at once, and it is believed 7.5 s after the start (`edge.annunciators._pace`). Nothing is
written to find out whether writing works: one flush every few seconds would wear the card more
than all the records do. So a disk that refuses writes without becoming read-only is found at the
next write: at once where it is an alert, within ten minutes otherwise; the 8 s count from there.

A file that is not there, or a part that is not used, is not known: its rule cannot tell, and says
nothing. Who builds another part hands it to `BoxWatch.know_with`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import structlog

from edge.daemon.boxwatch.looks import Look
from edge.daemon.boxwatch.steady import Steady
from edge.events import HEALTH, BoxHealth, tell
from edge.records import Packet

__all__ = ["BoxWatch", "Look", "Part"]

TURN_S: Final = 0.9
"""Less than a second, so that a tick that is early by a hair is not a quarter late."""
AGAIN_S: Final = 60.0
"""It is told again so often although nothing has changed: a replay from the middle knows then."""

Part: TypeAlias = Callable[[float], BoxHealth]
"""``part(now_s)``: what is known of one part of the box at this moment; must not wait."""

_log = structlog.get_logger("boxwatch")


class BoxWatch:
    """Tells the pipeline what is known of the box.

    Parameters
    ----------
    put : Callable
        Takes the packet.
    parts : Sequence[Part]
        What is known without waiting.
    looks : Sequence[Look]
        What has to be looked for.
    """

    def __init__(
        self,
        put: Callable[[Packet], None],
        parts: Sequence[Part] = (),
        looks: Sequence[Look] = (),
    ) -> None:
        self._put = put
        self._parts = [*parts]
        self._looks = tuple(looks)
        self._steady = Steady()
        self._due_s: float | None = None
        self._told: tuple[float, BoxHealth] | None = None
        self._failed: set[str] = set()

    def know_with(self, *parts: Part) -> None:
        """Ask these too."""
        self._parts.extend(parts)

    def turn(self, now_s: float) -> None:
        """Look around once a second, and tell what has changed; never waits, never raises."""
        if self._due_s is not None and now_s < self._due_s <= now_s + TURN_S:
            return
        self._due_s = now_s + TURN_S
        facts: dict[str, float] = {}
        since_s: dict[str, float] = {}
        for part in (*self._parts, *(look.turn for look in self._looks)):
            known = self._ask(part, now_s)
            facts |= known.facts
            since_s |= known.since_s
        health = BoxHealth(self._steady.still(facts), since_s)
        before = self._told
        if before is None or health != before[1] or not 0.0 <= now_s - before[0] < AGAIN_S:
            self._told = now_s, health
            self._put(tell(HEALTH, health, now_s))

    def close(self) -> None:
        """Begin no more looks; one that hangs is not waited for."""
        for look in self._looks:
            look.close()

    def _ask(self, part: Part, now_s: float) -> BoxHealth:
        try:
            return part(now_s)
        except Exception:  # noqa: BLE001  # what one part does must not blind the others
            name = repr(part)
            if name not in self._failed:  # once: it will fail every second
                self._failed.add(name)
                _log.exception("cannot tell of the box", part=name)
            return BoxHealth()
