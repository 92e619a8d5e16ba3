"""Boxes that say nothing any more; the wall clock plays no part in it, for it may step."""

from __future__ import annotations

from collections.abc import Mapping


class SilenceWatch:
    """Tells which boxes have been silent for too long.

    Parameters
    ----------
    silence_s : float
        For how long a box may say nothing: three of its heartbeats.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._changed: dict[str, tuple[float, float]] = {}

    def look(self, now_s: float, heard: Mapping[str, float], since_s: float | None) -> list[str]:
        """Return the boxes that are silent.

        Parameters
        ----------
        now_s : float
            A clock that never steps.
        heard : Mapping[str, float]
            Box -> a number that is another one whenever it has spoken, to whichever receiver.
        since_s : float | None
            Since when boxes could be heard here; None: they cannot be, and nobody is accused.

        >>> watch = SilenceWatch(900.0)
        >>> watch.look(0.0, {"pi-7": 1.0}, 0.0), watch.look(901.0, {"pi-7": 1.0}, 0.0)
        ([], ['pi-7'])
        >>> watch.look(902.0, {"pi-7": 902.5}, 0.0)
        []
        """
        for box, mark in heard.items():
            if self._changed.get(box, (mark + 1.0, 0.0))[0] != mark:
                self._changed[box] = mark, now_s
        if since_s is None:
            return []
        return [
            box for box in heard if now_s - max(self._changed[box][1], since_s) > self._silence_s
        ]
