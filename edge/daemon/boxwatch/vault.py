"""Whether raw packets are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge.daemon.boxwatch.parts import GIVEN_UP_S, Since, joined
from edge.daemon.vaultstate import VaultState
from edge.events import BoxHealth

STUCK_S: Final = 20.0
"""Writing older segments anew without what has expired takes a Pi some seconds."""


class VaultPart:
    """Whether raw packets are kept; unknown where none are to be."""

    def __init__(self, report: Callable[[], VaultState | None]) -> None:
        self._report = report
        self._stuck, self._given_up = Since(), Since()
        self._n_dropped = 0
        self._dropped_s: float | None = None

    def __call__(self, now_s: float) -> BoxHealth:
        """Return what is known now."""
        report = self._report()
        if report is None:
            return BoxHealth()
        if report.n_dropped > self._n_dropped:
            self._n_dropped, self._dropped_s = report.n_dropped, now_s
        lately = self._dropped_s is not None and now_s - self._dropped_s < GIVEN_UP_S
        stuck = report.busy_s is not None and now_s - report.busy_s >= STUCK_S
        return joined(
            [
                _since("vault_key_fails_s", report, "key", now_s),
                _since("vault_write_fails_s", report, "write", now_s),
                self._stuck.health("vault_stuck_fails_s", now_s, fails=stuck),
                self._given_up.health("vault_lost_fails_s", now_s, fails=lately),
            ]
        )


def _since(name: str, report: VaultState, kind: str, now_s: float) -> BoxHealth:
    if report.failing_s is None or report.kind != kind:
        return BoxHealth({name: 0.0})
    return BoxHealth({}, {name: min(report.failing_s, now_s)})
