"""The button at the bed: a hand that presses, or a wire that is loose.

A press pauses the sound for two minutes. A contact that chatters would renew that for ever, and at
every alarm anew: nobody would hear one again. More presses in a minute than a hand makes on purpose
are not followed, until it has been quieter for a minute; a pause that runs ends at its time.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_PRESSES: Final = 6
"""In `SPAN_S`: more are no hand that means it. A pause lasts two minutes, so none is needed."""
SPAN_S: Final = 60.0


class Button:
    """Counts presses."""

    def __init__(self) -> None:
        self._pressed_s: deque[float] = deque(maxlen=MOST_PRESSES + 1)
        self.since_s: float | None = None
        """Since when it is not believed; None: it is."""

    def press(self, now_s: float) -> bool:
        """Count a press; return whether it is followed."""
        self._pressed_s.append(now_s)
        if not self._chatters(now_s):
            self.since_s = None
        elif self.since_s is None:
            self.since_s = now_s
        return self.since_s is None

    def trouble(self, now_s: float) -> str:
        """Return why it is not believed now; empty: it is."""
        if self.since_s is None or not self._chatters(now_s):
            return ""
        return (
            f"the button was pressed more than {MOST_PRESSES} times in {SPAN_S:.0f} s: it sticks, "
            f"or its wire is loose; it is not followed until it rests; see to its wiring"
        )

    def _chatters(self, now_s: float) -> bool:
        full = len(self._pressed_s) > MOST_PRESSES
        return full and now_s - self._pressed_s[0] < SPAN_S
