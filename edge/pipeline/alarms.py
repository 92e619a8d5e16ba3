"""The alert engine as the pipeline uses it: findings, answers and a beginning in, records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.alerts import AlertEngine, AlertRule, AlertSettings, Answer, Restart
from edge.live import MuteLive, Signal, WatchLive
from edge.pipeline.kept import unpack
from edge.pipeline.settings import Start
from edge.records import AlarmEvent, Alert, Finding, Step


class Alarms:
    """Alerts of the box, and what people do about them.

    Parameters
    ----------
    rules : Mapping[str, AlertRule]
        Those that watch.
    settings : AlertSettings
        Times.
    run_id : str
        Part of every alert's id, until a `Start` names another.
    """

    def __init__(
        self, rules: Mapping[str, AlertRule], settings: AlertSettings, run_id: str
    ) -> None:
        self._rules, self._settings = dict(rules), settings
        self._engine = AlertEngine(run_id, rules, settings)
        self.started = False
        """Whether a `Start` has been taken."""

    def begin(self, start: Start, now_s: float) -> list[AlarmEvent]:
        """Take the name of the run and what stood before it; only the first time.

        Raises
        ------
        ValueError
            What stood cannot be read; the run begins without it.
        """
        if self.started or self._engine.standing():
            return []
        self.started = True
        self._engine = AlertEngine(start.run_id, self._rules, self._settings)
        kept = start.alerts
        if kept is None:
            return []
        restart = Restart(now_s, kept.kept_s, kept.same_boot, kept.away_s)
        return self._engine.restore(unpack(kept.state).alerts, restart)

    def answer(self, answer: Answer, now_s: float) -> list[Alert | AlarmEvent]:
        """Take what a person said; see `AlertEngine.answer`."""
        return self._engine.answer(answer, now_s)

    def check(self, answer: Answer) -> None:
        """Raise `AnswerError` where `answer` would."""
        self._engine.check(answer)

    def know(self, name: str, rule: AlertRule) -> None:
        """Take findings of one more rule: it has been switched on."""
        self._rules.setdefault(name, rule)
        self._engine.know(name, rule)

    def begin_patient(self, answer: Answer, now_s: float) -> list[Alert | AlarmEvent]:
        """End what stood of another patient; see `AlertEngine.begin_patient`."""
        return self._engine.begin_patient(answer, now_s)

    def step(self, findings: Sequence[Finding], now_s: float) -> list[Alert | AlarmEvent]:
        """Take the findings of a second, and let it pass."""
        return [*self._engine.step(findings, now_s), *self._engine.elapse(now_s)]

    def standing(self) -> tuple[Alert, ...]:
        """Return the alerts that stand, the worst first."""
        return self._engine.standing()

    def signal(self, now_s: float, patient: str = "") -> Signal:
        """Return what should be heard and seen, of one patient or (empty) of all."""
        return self._engine.signal(now_s, patient)

    def mutes(self, now_s: float) -> tuple[MuteLive, ...]:
        """Return what is paused or off."""
        return self._engine.mutes(now_s)

    def watches(self, now_s: float) -> tuple[WatchLive, ...]:
        """Return who has the watch."""
        return self._engine.watches(now_s)

    def carried(self) -> dict[str, Step]:
        """Return how far each standing alert was carried, by its id."""
        return self._engine.carried()

    def state(self) -> bytes:
        """Return what `Kept` needs of this moment."""
        return self._engine.state()
