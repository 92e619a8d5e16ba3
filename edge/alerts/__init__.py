"""Findings -> Alert: raise, re-raise, acknowledge, latch, end; pause, escalate, hand over.

A pure engine without a clock: what happens depends on the findings, the answers and the times
handed in, so a replay of the same night gives the same alerts, byte for byte.

    this file   the public names, and ids
    engine      all alerts of a box, and what people did about them
    episode     the life of one alert
    answer      what people may say, and who may say it
    mutes       pauses, sound that is off, watches
    signals     what should be heard and seen now: derived, never kept
    settings    the times

One alert is one episode of one rule for one patient. Its life (terms of IEC 60601-1-8):

- **raised** when a finding says True; then **active** with every update: the reason has changed
  in substance, nobody has answered for ``reraise_s``, the condition is back or has become worse.
- **acknowledged** by a person: stays quiet until the condition is over. A new episode sounds, and
  so does the same one when its priority rises, or when it is found again after nobody could see
  it for longer than ``answer_s``.
- **latched**: the condition is over, the rule is latching and nobody has answered yet.
- **ended**: the condition was seen to be over for ``clear_s``, and a latching alert was answered.

Findings carry what decided in their evidence, by name; a number that moves is no news, or a
falling SpO2 would write a record every second. For equipment each name is a fault of its own: a
new one, or one gone for ``clear_s``, changes the substance of the reason, and a new one while the
alert is acknowledged ends that episode and raises the next: having answered for the oximeter must
not hide the ECG (hazard H6). For a patient the names only tell why.

None never ends an alert and never begins one. While the data cannot tell, the count towards the
end stands still, and after ``unsure_s`` the alert says so in its reason.

Silence is given for a time, for a patient or for all, and up to a priority: **audio paused**,
**alarms paused** (both at most 120 s, over by themselves) and **audio off** (never for high
priority, with a reminder). It changes no alert: what is heard is derived each moment from what
stands and what is silenced, so nothing can be forgotten, and a mute never hides a higher
priority than it was given for.

An alert nobody answers is carried from the box to the page, to who has the watch, and to the
second carer. Pauses stop that clock: somebody is there. The patient's own answer quietens the
box, but a high priority is carried on.
"""

from __future__ import annotations

from edge.alerts.answer import ACT_OF, Answer, AnswerError, adds
from edge.alerts.engine import N_ENDED_KEPT, AlertEngine, AlertRule, Restart
from edge.alerts.ids import alert_id
from edge.alerts.settings import PAUSE_MOST_S, WATCH_MOST_S, AlertSettings, Steps

__all__ = [
    "ACT_OF",
    "N_ENDED_KEPT",
    "PAUSE_MOST_S",
    "WATCH_MOST_S",
    "AlertEngine",
    "AlertRule",
    "AlertSettings",
    "Answer",
    "AnswerError",
    "Restart",
    "Steps",
    "adds",
    "alert_id",
]
