"""A night of which only the box itself tells, and what comes of that."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge.assemble import assemble
from edge.events import HEALTH, BoxHealth, tell
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import Alert, AlertState, Outcome, Packet

DUE_S = 10.0
"""A technical alarm is due so long after its cause; reliability target A2."""
FINE = {
    "clock_synced_flag": 1.0,
    "clock_set_flag": 1.0,
    "disk_free_pct": 60.0,
    "cpu_degc": 50.0,
    "undervoltage_flag": 0.0,
    "memory_free_pct": 40.0,
    "store_fails_s": 0.0,
    "disk_fails_s": 0.0,
    "given_up_fails_s": 0.0,
    "log_fails_s": 0.0,
    "vault_key_fails_s": 0.0,
    "vault_write_fails_s": 0.0,
    "vault_stuck_fails_s": 0.0,
    "vault_lost_fails_s": 0.0,
    "unheard_fails_s:sound": 0.0,
    "unheard_fails_s:gpio": 0.0,
    "notices_fails_s": 0.0,
    "unsent_s": 0.0,
    "look_fails_s:disk": 0.0,
    "look_fails_s:hardware": 0.0,
}
"""A box with everything, and nothing wrong."""


class BoxNight:
    """A pipeline to which only the box speaks."""

    def __init__(self, start_s: float = 1000.0, **settings: object) -> None:
        self.pipeline: Pipeline = assemble(PipelineSettings(**settings), "box", start_s=start_s)
        self.now_s = start_s
        self.records: list[Alert] = []
        self.packets: list[Packet] = []

    def say(self, since_s: Mapping[str, float] | None = None, **facts: float | None) -> None:
        """Tell that all is well but for what is given; None: that is not known."""
        known = {**FINE, **{name.replace("__", ":"): value for name, value in facts.items()}}
        since_s = dict(since_s or {})
        told = {n: v for n, v in known.items() if v is not None and n not in since_s}
        self._take(tell(HEALTH, BoxHealth(told, since_s), self.now_s))

    def answer(self, action: str, **more: str) -> None:
        """Let a person say something, and the monitor take it."""
        told = {"action": action, "by": "Ann", **more}
        self._take(Packet("person", "person:answer", self.now_s, msgspec.json.encode(told)))
        self.live(0.25)

    def live(self, span_s: float) -> None:
        """Let time pass."""
        self.now_s += span_s
        self._advance([])

    def until(self, rule: str, limit_s: float = DUE_S) -> float:
        """Let time pass until an alert of a rule is raised; return after how long."""
        began_s = self.now_s
        while self.now_s - began_s < limit_s:
            self.live(0.25)
            if any(a.rule == rule and a.at_s > began_s for a in self.raised()):
                return self.now_s - began_s
        raise AssertionError(f"no {rule} within {limit_s} s")

    def raised(self) -> list[Alert]:
        return [alert for alert in self.records if alert.state is AlertState.RAISED]

    def stories(self) -> list[tuple[str, str]]:
        return [(alert.rule, alert.state.value) for alert in self.records]

    def standing(self) -> dict[str, Alert]:
        return {alert.rule: alert for alert in self.pipeline.live().alerts}

    def _take(self, packet: Packet) -> None:
        self.packets.append(packet)
        self._advance([packet])

    def _advance(self, packets: list[Packet]) -> None:
        outcome: Outcome = self.pipeline.advance(packets, self.now_s)
        self.records += [record for record in outcome.records if isinstance(record, Alert)]
