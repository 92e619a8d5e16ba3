"""What the pipeline consists of: shared by its stages and by what is told to them."""

from __future__ import annotations

from collections.abc import Sequence

from edge.bedside import Bedside
from edge.decoders import Decoder
from edge.pipeline.alarms import Alarms
from edge.pipeline.box import Box
from edge.pipeline.limits import alert_rule
from edge.pipeline.scoring import Scoring
from edge.pipeline.settings import N_NOTES, PipelineSettings
from edge.pipeline.watched import NOBODY, Stages, Watched
from edge.records import AlarmEvent, Alert, Record
from edge.sensors import Sensors
from edge.sources import Sources


class Parts:
    """The parts of one pipeline, and what they have made since it was last asked.

    Parameters
    ----------
    settings : PipelineSettings
        What was configured.
    decoders : Sequence[Decoder]
        Of every sensor.
    stages : Stages
        What every patient is watched with.
    run_id : str
        Part of every alert's id.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        decoders: Sequence[Decoder],
        stages: Stages,
        run_id: str,
    ) -> None:
        self._stages = stages
        self._default_patient, self._ring_s = settings.default_patient, settings.ring_s
        self.sources = Sources(decoders, settings.patient_of, settings.default_patient)
        self.sensors = Sensors()
        self.link_of: dict[str, str] = {}
        """Source -> the link it was heard on."""
        facts = {rule.name: alert_rule(rule, told) for rule, told in stages.rules}
        self.alarms = Alarms(facts, settings.alerts, run_id)
        self.box = Box(stages.rules_of(NOBODY))
        self.scoring = Scoring(self.note)
        self.patients: dict[str, Watched] = {}
        self.out: list[Record] = []
        """Records in the order in which they came to be."""
        self.notes: list[str] = []
        """What the status should say, the last of it."""

    def patient(self, name: str) -> Watched:
        """Return a patient; from now on they are watched."""
        patient = self.patients.get(name)
        if patient is None:
            bedside = Bedside(name, self._ring_s)
            patient = self.patients[name] = Watched(bedside, self._stages)
        return patient

    def patient_told(self, name: str) -> Watched:
        """Return the patient somebody named; whoever named none means the only one there is."""
        return self.patient(name or self._default_patient)

    def give_alerts(self, records: Sequence[Alert | AlarmEvent]) -> None:
        """Let alerts out, and count them where they are a patient's."""
        for record in records:
            if isinstance(record, Alert) and record.patient != NOBODY:
                self.patient(record.patient).tally.add_alerts((record,))
        self.out.extend(records)

    def note(self, text: str) -> None:
        """Take what the status should say."""
        self.notes = [*self.notes, text][-N_NOTES:]
