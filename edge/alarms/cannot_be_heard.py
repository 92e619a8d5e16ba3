"""An alarm would not be heard, or not be seen.

Present when a loudspeaker or a lamp that is switched on in the settings has not worked for
``delay_s`` or longer (``>=``). Each is told as ``unheard_fails_s:<name>`` and is a fault of its
own. One that has just been opened has the time to show that it works (`edge.daemon.boxwatch`).
None where none is switched on: that was somebody's decision, and `homeward status` shows it.

Priority (clinical.md 6.2): the patient is well, and harm needs a second event that nobody hears:
death, delayed: MEDIUM while another of them works. Where none works the box is mute and dark. What
is left are the page and the people who are told, and by night those may be told of nothing less
than HIGH: at MEDIUM nobody might learn until the morning that the box cannot call. So it is HIGH.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule, Scope
from edge.alarms._failing import failing, named
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "cannot_be_heard"

PREFIX = "unheard_fails_s:"
WORDS = {"sound": "the loudspeaker", "gpio": "the alarm lamp or buzzer at the pins"}
"""Name of an annunciator -> what a carer calls it."""
CHECK = "look at its plug and its volume, and at homeward status"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name what does not work; see the module."""
    names = named(PREFIX, seen.values)
    found = failing(names, seen.values, settings["delay_s"])
    if not found.for_s:
        reason = "alarms can be heard" if found.present is False else "nothing tells of the sound"
        return state, Finding(seen.patient, NAME, seen.end_s, found.present, reason)
    parts = " and ".join(_word(name) for name in found.for_s)
    mute = len(found.for_s) == len(names)
    why = "no alarm can be heard or seen at the box" if mute else "an alarm may go unnoticed"
    for_s = max(found.for_s.values())
    verb = "do" if len(found.for_s) > 1 else "does"
    reason = f"{parts} {verb} not work (for {for_s:.0f} s): {why}; stay within sight, {CHECK}"
    priority = None if mute else Priority.MEDIUM
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, found.for_s, priority)  # noqa: FBT003


def _word(name: str) -> str:
    one = name.removeprefix(PREFIX)
    return WORDS.get(one, one)


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.HIGH,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"delay_s": 1.0},
    limits={"delay_s": (0.0, 10.0)},
    start=None,
    step=step,
    source="clinical.md 6.2, 6.3: speaker; users-ask.md 1; security-safety.md H1",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
