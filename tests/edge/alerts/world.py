"""An engine among people, and what must be true of it, kept by an independent reckoning.

`Reckoning` knows nothing of the engine's code: it is told what happened and says what must be
heard and seen. `World.happen` lets one event happen to both and compares them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

from edge.alerts import AlertEngine, AlertRule, Answer, Restart
from edge.records import AlertState, Category, Finding, Kind, Priority, Role

HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW
RULES = {
    "low_spo2": AlertRule(Kind.PHYSIOLOGICAL, MEDIUM, False, Category.OXYGENATION),
    "very_low_spo2": AlertRule(Kind.PHYSIOLOGICAL, HIGH, False, Category.OXYGENATION),
    "asystole": AlertRule(Kind.PHYSIOLOGICAL, HIGH, True, Category.CARDIOVASCULAR),
    "signal_lost": AlertRule(Kind.TECHNICAL, MEDIUM, False, Category.EQUIPMENT),
    "score": AlertRule(Kind.PHYSIOLOGICAL, LOW, False),
}
SHORT = {"low": "low_spo2", "very": "very_low_spo2", "stop": "asystole", "lost": "signal_lost"}
SHORT["score"] = "score"

FINDINGS = (
    *("low yes", "low over", "low blind", "very yes", "very over", "very blind"),
    *("stop yes", "stop over", "lost a", "lost ab", "lost over"),
    *("score low", "score medium", "score high", "score over"),
)
PEOPLE = (
    *("ack low", "ack very", "ack stop", "ack lost", "ack score", "patient acks very"),
    *("pause audio", "pause audio low", "pause alarms", "pause alarms high", "off", "resume"),
)
TIME = ("nothing 1", "nothing 40", "nothing 130", "restart", "reboot", "reboot after 50")
EVENTS = FINDINGS + PEOPLE + TIME


class BrokenPromiseError(AssertionError):
    """A property does not hold; the first word says which."""


@dataclass
class Stands:
    """One condition that stands.

    `sounds`: True; False once answered; None: over, latched, and heard on. `gone_s`: fault ->
    for how long it was seen to be gone, None while it is there. `told_s`: when the condition was
    last seen, None where it was not since. `seen_s`: when it was last seen, there or
    not, None where nobody knows.
    """

    priority: Priority
    sounds: bool | None = True
    gone_s: dict = field(default_factory=dict)
    told_s: float | None = None
    seen_s: float | None = None
    lesser: Priority | None = None
    lesser_s: float = 0.0

    def see(self, priority, faults, now_s):
        """The condition is there; what is worse or new sounds, what is less counts if it lasts."""
        passed_s = 0.0 if self.told_s is None else now_s - self.told_s
        self.told_s = now_s
        out_of_sight = self.seen_s is None or now_s - self.seen_s > 120.0
        self.seen_s = now_s
        worse = priority.rank > self.priority.rank
        if worse or out_of_sight or faults - set(self.gone_s):
            self.sounds = True
        self.note_faults(faults, passed_s)
        if worse or priority is self.priority:
            self.priority, self.lesser, self.lesser_s = priority, None, 0.0
        else:
            self.ease(priority, passed_s)
        if self.sounds is None:
            self.sounds = True

    def note_faults(self, faults, passed_s):
        for name in set(self.gone_s) - faults:
            gone_s = self.gone_s[name]
            self.gone_s[name] = 0.0 if gone_s is None else gone_s + passed_s
            if self.gone_s[name] >= 10.0:
                del self.gone_s[name]
        self.gone_s.update(dict.fromkeys(faults))

    def ease(self, priority, passed_s):
        if self.lesser is not None:
            self.lesser_s += passed_s
        if self.lesser is None or priority.rank > self.lesser.rank:
            self.lesser = priority
        if self.lesser_s >= 10.0:
            self.priority, self.lesser, self.lesser_s = self.lesser, None, 0.0


class Reckoning:
    """What must be heard, by what happened alone."""

    def __init__(self):
        self.stands = {}
        """Rule -> `Stands`."""
        self.mutes = {}
        """Kind -> (highest priority, over at); over at None: until resumed."""

    def copied(self):
        other = Reckoning()
        other.stands = {r: replace(s, gone_s=dict(s.gone_s)) for r, s in self.stands.items()}
        other.mutes = dict(self.mutes)
        return other

    def found(self, rule, priority, faults, now_s):
        if rule in self.stands:
            self.stands[rule].see(priority, faults, now_s)
        else:
            none_gone = dict.fromkeys(faults)
            self.stands[rule] = Stands(priority, gone_s=none_gone, told_s=now_s, seen_s=now_s)

    def blind(self, rule):
        if rule in self.stands:
            self.stands[rule].told_s = None

    def over(self, rule):
        stands = self.stands.get(rule)
        if stands and RULES[rule].latching and stands.sounds is not False:
            stands.sounds = stands.told_s = None
        else:
            self.stands.pop(rule, None)

    def answered(self, rule, now_s):
        stands = self.stands[rule]
        if stands.sounds is None:
            del self.stands[rule]
        else:
            stands.sounds, stands.seen_s = False, now_s

    def loudest(self):
        return worst(s.priority for s in self.stands.values() if s.sounds is not False)

    def hidden(self, priority, now_s, kinds=("audio", "alarms", "off")):
        return any(
            priority.rank <= upto.rank and (over_s is None or now_s < over_s)
            for kind, (upto, over_s) in self.mutes.items()
            if kind in kinds
        )

    def heard(self, now_s):
        """Return the highest priority that must sound, None for silence."""
        return worst(
            stands.priority
            for stands in self.stands.values()
            if stands.sounds is not False and not self.hidden(stands.priority, now_s)
        )

    def seen(self, now_s):
        """Return the priority of the light."""
        stands = (s.priority for s in self.stands.values())
        return worst(p for p in stands if not self.hidden(p, now_s, ("alarms",)))


def worst(priorities):
    return max(priorities, key=lambda p: p.rank, default=None)


class World:
    """An engine and the reckoning beside it."""

    def __init__(self, kind=AlertEngine):
        self.kind = kind
        self.on = kind("run", RULES)
        self.must = Reckoning()
        self.now_s = 1000.0

    def copied(self):
        other = copy.copy(self)
        other.on = self.kind("run", RULES)
        other.on.restore(self.on.state())
        other.must = self.must.copied()
        return other

    def happen(self, event):
        """Let an event happen, and check everything."""
        word, *rest = event.split()
        if word in SHORT:
            self.find(word, rest[0])
        elif word == "nothing":
            self.step([], float(rest[0]))
        elif word in ("restart", "reboot"):
            self.begin_again(event)
        else:
            self.person(event)
        self.look(event)

    def possible(self, event):
        """Return whether an event can happen now (an answer needs what it answers)."""
        word, *rest = event.split()
        if word == "patient":
            return "very_low_spo2" in self.must.stands
        if word == "ack":
            return SHORT[rest[0]] in self.must.stands
        return event != "resume" or any(
            over_s is None or self.now_s < over_s for _, over_s in self.must.mutes.values()
        )

    def find(self, short, what):
        rule = SHORT[short]
        if what == "blind":
            self.must.blind(rule)
            self.step([Finding("p", rule, self.now_s + 1, None, "no reading")], 1.0)
        elif what == "over":
            for wait_s in (1.0, 11.0):
                at_s = self.now_s + wait_s
                self.step([Finding("p", rule, at_s, False, "fine")], wait_s, over=rule)
            self.must.over(rule)
        else:
            names = set(what) if short == "lost" else {"x"}
            priority = Priority(what) if short == "score" else RULES[rule].priority
            own = priority if short == "score" else None
            found = Finding(
                "p", rule, self.now_s + 1, True, what, dict.fromkeys(sorted(names), 1.0), own
            )
            self.must.found(rule, priority, names, self.now_s + 1)
            self.step([found], 1.0, found=rule)

    def step(self, findings, wait_s, *, found="", over=""):
        before = {a.id: a for a in self.on.standing()}
        self.now_s += wait_s
        changed = self.on.step(findings, self.now_s)
        self.on.elapse(self.now_s)
        for alert in changed:
            self.check(alert, before.get(alert.id), found, over)
        gone = set(before) - {a.id for a in self.on.standing()}
        said = {a.id for a in changed if a.state is AlertState.ENDED}
        if gone != said:
            raise BrokenPromiseError(f"ends without a record: {gone - said}")

    @staticmethod
    def check(alert, before, found, over):
        if alert.state is AlertState.ENDED and alert.rule not in (found, over):
            raise BrokenPromiseError(f"ends on None: {alert.rule}")
        new = before is None or (
            before.state is AlertState.ACKNOWLEDGED
            and alert.state in (AlertState.ACTIVE, AlertState.RAISED)
        )
        if new and alert.rule != found:
            raise BrokenPromiseError(f"alarms on stale data: {alert.rule} {alert.state}")

    def person(self, event):
        words = event.split()
        if words[0] in ("ack", "patient"):
            rule = SHORT[words[-1]]
            alert = next(a for a in self.on.standing() if a.rule == rule)
            role = Role.PATIENT if words[0] == "patient" else Role.CARER
            self.on.answer(Answer("acknowledge", alert.id, "Ann", role), self.now_s)
            self.must.answered(rule, self.now_s)
            return
        if event == "resume":
            self.on.answer(Answer("resume", by="Ann"), self.now_s)
            self.must.mutes.clear()
            return
        upto = Priority(words[2]) if len(words) == 3 else None
        action = "audio_off" if event == "off" else f"{words[0]}_{words[1]}"
        self.on.answer(Answer(action, by="Ann", priority=upto), self.now_s)
        given = upto or self.must.loudest() or MEDIUM
        if event == "off":
            self.must.mutes["off"] = (min(given, MEDIUM, key=lambda p: p.rank), None)
        else:
            self.must.mutes[words[1]] = (given, self.now_s + 120.0)

    def begin_again(self, event):
        """Restart the process, or the box: with the wall clock known (after so long) or not."""
        state = self.on.state()
        for stands in self.must.stands.values():
            stands.told_s = None
        self.on = self.kind("run-2" if self.on._run_id == "run" else "run", RULES)
        kept_s = self.now_s
        if event == "restart":
            self.now_s += 5.0
            self.on.restore(state, Restart(self.now_s, kept_s, same_boot=True))
            return
        away_s = float(event.split()[-1]) if "after" in event else None
        self.now_s = 20.0
        self.on.restore(state, Restart(self.now_s, kept_s, same_boot=False, away_s=away_s))
        for stands in self.must.stands.values():
            known = away_s is not None and stands.seen_s is not None
            stands.seen_s = stands.seen_s - kept_s - away_s + self.now_s if known else None
        timed = {kind: told for kind, told in self.must.mutes.items() if told[1] is not None}
        for kind, (upto, over_s) in timed.items():
            left_s = 0.0 if away_s is None else over_s - kept_s - away_s
            self.must.mutes[kind] = (upto, self.now_s + left_s)

    def look(self, event):
        signal = self.on.signal(self.now_s)
        heard = signal.priority if signal.audible else None
        must = self.must.heard(self.now_s)
        if heard is not must:
            rank = -1 if heard is None else heard.rank
            if must is not None and rank < must.rank:
                word = "stays silent" if heard is None else "hides a higher priority"
                raise BrokenPromiseError(f"{word}: {must} must sound, {heard} does, after {event}")
            raise BrokenPromiseError(f"sounds for nothing: {heard} instead of {must} after {event}")
        if signal.visual is not self.must.seen(self.now_s):
            raise BrokenPromiseError(f"light: {signal.visual} after {event}")
        off = "off" in self.must.mutes
        paused = any(o is not None and self.now_s < o for _, o in self.must.mutes.values())
        if (signal.reminder, signal.paused) != (off, paused):
            raise BrokenPromiseError(f"not marked: {self.must.mutes} after {event}")
        if {a.rule for a in self.on.standing()} != set(self.must.stands):
            raise BrokenPromiseError(
                f"stands: {[a.rule for a in self.on.standing()]} after {event}"
            )
