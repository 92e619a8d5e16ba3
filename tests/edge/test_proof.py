"""What people enter, what the alarms go by, and what the notifier reports comes into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.assemble import facts_of, settings_of
from edge.cli._shared import load_config
from edge.control import ControlError, Delivered
from edge.daemon import proof as proof_module
from edge.daemon.proof import MAX_REPORTS, Proof
from edge.daemon.recorder import Recorder
from edge.events import Entry, Facts
from edge.live import MuteLive, Signal
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import Alert, Outcome, Priority
from edge.store import History, LedgerRow
from edge.store.verification import verify
from tests.edge.store.test_store import RUN, alert

NOW_S = 1000.0
ENTRY = Entry("p1", "oxygen", "oxygen", "Ann", "carer", 3600.0)
SCALE_2 = Facts(
    *("p1", 71, False, 2),
    decided_by="Dr Lee",
    decided_on="2026-11-02",
    why="hypercapnic failure in 2024",
)


def run(folder: Path, act: Callable[[Proof, Recorder], Awaitable[None]]) -> list[LedgerRow]:
    """Let `act` use the proof of a recorder that runs; return the rows of the ledger."""
    path = folder / "homeward.db"

    async def live() -> None:
        recorder = Recorder(path, RUN, lambda: NOW_S)
        writing = asyncio.get_running_loop().create_task(recorder.run())
        try:
            pipeline = Pipeline(PipelineSettings(), [], [], [], None, "run-1")
            await act(Proof(pipeline, recorder, lambda: NOW_S), recorder)
            assert await recorder.stored()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await recorder.close()

    asyncio.run(live())
    assert verify(path).whole
    with History.open(path) as history:
        return history._ledger("ledger.kind NOT IN ('run', 'clock')", (10_000,))


def told(stage: Any = "sent", at_s: float = 900.0, alert_id: str = "alert-1") -> Delivered:
    return Delivered(alert_id, stage, "ntfy", at_s)


def test_an_entry_by_hand_is_vouched_for(tmp_path: Path) -> None:
    async def act(proof: Proof, _: Recorder) -> None:
        proof.entered(ENTRY)

    (row,) = run(tmp_path, act)
    assert (row.kind, row.ref, row.stage, row.by) == ("entry", "p1", "oxygen", "Ann")
    assert row.body == {"entry": msgspec.to_builtins(ENTRY)}


def test_settings_and_decisions_are_written_when_they_change_and_only_then(tmp_path: Path) -> None:
    settings = msgspec.structs.asdict(settings_of(load_config(None, tmp_path)))
    plain = Facts("p1", 71)

    async def act(proof: Proof, _: Recorder) -> None:
        for in_force, facts in (
            (settings, plain),
            (settings, plain),
            (settings, SCALE_2),
            ({**settings, "ring_s": 1.0}, SCALE_2),
            (settings, plain),
        ):
            proof.begin(in_force, [facts], 1.0)

    rows = run(tmp_path, act)
    assert [(row.kind, row.by) for row in rows] == [
        ("setting", ""),
        ("setting", ""),
        ("decision", "Dr Lee"),
        ("setting", ""),
        ("setting", ""),
        ("setting", ""),
    ]
    assert rows[0].body["rules"]["low_spo2"]["values"]["limit_pct"] == 88.0
    assert rows[2].body["facts"]["why"] == "hypercapnic failure in 2024"


def test_every_setting_of_the_alarms_can_be_written(tmp_path: Path) -> None:
    config = load_config(None, tmp_path)

    async def act(proof: Proof, _: Recorder) -> None:
        in_force = msgspec.structs.asdict(settings_of(config))
        proof.begin(in_force, facts_of(config, 2026), 1.0)

    (alarms, facts) = run(tmp_path, act)
    assert set(alarms.body["rules"]) == set(config.alarms)
    assert (alarms.ref, facts.ref) == ("alarms", "facts:patient-1")


def test_reports_are_taken_for_alerts_the_box_has_stored_and_no_other(tmp_path: Path) -> None:
    async def act(proof: Proof, recorder: Recorder) -> None:
        recorder.add((), Outcome((alert(),)), NOW_S)
        assert await recorder.stored()
        await proof.deliver(told("queued"))
        with pytest.raises(ControlError, match="there is no alert 'alert-2'"):
            await proof.deliver(told(alert_id="alert-2"))

    rows = run(tmp_path, act)
    assert [(row.stage, row.by) for row in rows] == [("raised", ""), ("queued", "ntfy")]


@pytest.mark.parametrize("at_s", [-1.0, NOW_S + 60.0, float("inf"), float("nan")])
def test_a_report_that_cannot_be_true_is_refused(tmp_path: Path, at_s: float) -> None:
    async def act(proof: Proof, _: Recorder) -> None:
        with pytest.raises(ControlError, match="CLOCK_BOOTTIME"):
            proof.take(told(at_s=at_s))

    assert run(tmp_path, act) == []


def test_a_notifier_gone_wild_cannot_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_module, "N_REPORTED", 3)

    async def act(proof: Proof, _: Recorder) -> None:
        for number in range(MAX_REPORTS):
            proof.take(told(at_s=float(number)))
            proof.take(told(at_s=float(number)))  # the same again is not a second one
        with pytest.raises(ControlError, match=f"{MAX_REPORTS} reports"):
            proof.take(told(at_s=999.0))
        for number in range(20):
            proof.take(told(alert_id=f"other-{number}"))
        assert len(proof._told) == 3

    assert len(run(tmp_path, act)) == MAX_REPORTS + 20


class Alarmed:
    """A pipeline in which something stands."""

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = alerts

    def alarms(self, _: float) -> tuple[tuple[Alert, ...], tuple[MuteLive, ...]]:
        return self.alerts, ()


def test_a_proof_that_fails_leaves_the_alarms_alone(tmp_path: Path) -> None:
    async def act(proof: Proof, _: Recorder) -> None:
        def broken() -> Any:
            raise ZeroDivisionError("a bug")

        proof.reports = broken
        proof.look(Signal(), ())
        proof.reports = tuple
        proof._pipeline = Alarmed(alert())  # type: ignore[assignment]
        proof.look(Signal(Priority.HIGH, audible=True, alert_id="alert-1"), ())

    (row,) = run(tmp_path, act)
    assert (row.stage, row.body["why"]) == ("not_sounded", "none")
