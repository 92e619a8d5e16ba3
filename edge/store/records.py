"""Records as rows, and rows as records again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from edge.clock import WallEntry
from edge.records import (
    AlarmAct,
    AlarmEvent,
    Alert,
    AlertState,
    Gap,
    Kind,
    LimitAct,
    LinkChange,
    LinkState,
    Meaning,
    Priority,
    Reading,
    Role,
    Score,
    Security,
    SelfTest,
    SelfTestRow,
    SettingChange,
    Step,
    Summary,
    encode_record,
)
from edge.store.stored import (
    KeptAlerts,
    LedgerRow,
    Run,
    StoredAlarmEvent,
    StoredAlert,
    StoredLink,
    StoredReading,
    StoredSelfTest,
    StoredSettingChange,
    StoredSummary,
)

Row: TypeAlias = dict[str, Any]

N_CONTRIBUTIONS = 3
"""How many of a score's contributions are kept, the largest first; the whole list comes out of
the packets again."""


def alert_row(alert: Alert, run: int, n: int, sequence: int) -> Row:
    """Return the row of one state of an alert."""
    return {
        "n": n,
        "run": run,
        "id": alert.id,
        "sequence": sequence,
        "patient": alert.patient,
        "episode": alert.episode,
        "rule": alert.rule,
        "kind": alert.kind.value,
        "priority": alert.priority.value,
        "state": alert.state.value,
        "since_s": alert.since_s,
        "at_s": alert.at_s,
        "reason": alert.reason,
        "evidence": _numbers_text(alert.evidence),
        "answered_by": alert.answered_by,
        "role": alert.role.value if alert.role else "",
        "meaning": alert.meaning.value if alert.meaning else "",
    }


def alert_from(row: Row) -> StoredAlert:
    """Return the alert in a row of ``alerts`` joined with its run."""
    alert = Alert(
        id=row["id"],
        patient=row["patient"],
        episode=row["episode"],
        rule=row["rule"],
        kind=Kind(row["kind"]),
        priority=Priority(row["priority"]),
        state=AlertState(row["state"]),
        since_s=row["since_s"],
        at_s=row["at_s"],
        reason=row["reason"],
        evidence=_numbers(row["evidence"]),
        answered_by=row["answered_by"],
        role=Role(row["role"]) if row["role"] else msgspec.UNSET,
        meaning=Meaning(row["meaning"]) if row["meaning"] else msgspec.UNSET,
    )
    return StoredAlert(row["n"], row["sequence"], row["run_id"], row["boot_id"], alert)


def alarm_event_row(event: AlarmEvent, run: int) -> Row:
    """Return the row of what was done to the alarms."""
    return {"run": run, **msgspec.structs.asdict(event)}


def alarm_event_from(row: Row) -> StoredAlarmEvent:
    """Return the event in a row of ``alarm_events`` joined with its run."""
    event = AlarmEvent(
        AlarmAct(row["act"]),
        row["patient"],
        row["at_s"],
        row["reason"],
        row["by"],
        role=None if row["role"] is None else Role(row["role"]),
        of=None if row["of"] is None else AlarmAct(row["of"]),
        priority=None if row["priority"] is None else Priority(row["priority"]),
        until_s=row["until_s"],
        alert_id=row["alert_id"],
        step=None if row["step"] is None else Step(row["step"]),
        to=row["to"],
    )
    return StoredAlarmEvent(row["n"], row["run_id"], row["boot_id"], event)


def ledger_row_from(row: Row) -> LedgerRow:
    """Return a row of ``ledger`` joined with its run."""
    return LedgerRow(**{**row, "body": msgspec.json.decode(row["body"], type=dict[str, Any])})


def self_test_row(test: SelfTest, run: int) -> Row:
    """Return the row of a self-test; what its parts found is JSON."""
    return {
        "run": run,
        "id": test.id,
        "began_s": test.began_s,
        "ended_s": test.ended_s,
        "asked_by": test.asked_by,
        "passed": int(test.passed),
        "rows": msgspec.json.encode(test.rows).decode(),
    }


def self_test_from(row: Row) -> StoredSelfTest:
    """Return the self-test in a row of ``self_tests`` joined with its run."""
    rows = msgspec.json.decode(row["rows"], type=tuple[SelfTestRow, ...])
    test = SelfTest(row["id"], row["began_s"], row["ended_s"], row["asked_by"], rows)
    return StoredSelfTest(row["n"], row["run_id"], row["boot_id"], test)


def setting_change_row(change: SettingChange, run: int) -> Row:
    """Return the row of a setting a person changed."""
    return {"run": run, **msgspec.structs.asdict(change)}


def setting_change_from(row: Row) -> StoredSettingChange:
    """Return the change in a row of ``setting_changes`` joined with its run."""
    change = SettingChange(
        LimitAct(row["act"]),
        row["patient"],
        row["at_s"],
        row["key"],
        row["old"],
        row["new"],
        row["by"],
        Role(row["role"]),
        row["why"],
        row["detail"],
    )
    return StoredSettingChange(row["n"], row["run_id"], row["boot_id"], change)


def kept_alerts_row(kept: KeptAlerts, run: int) -> Row:
    """Return the one row of what the alert engine remembers."""
    at = kept.at
    synced = int(at.synchronised)
    clocks = {"boot_s": at.boot_s, "wall_s": at.wall_s, "synced": synced}
    return {"n": 1, "run": run, **clocks, "body": kept.state}


def kept_alerts_from(row: Row) -> KeptAlerts:
    """Return what the alert engine remembered, from its row joined with its run."""
    return KeptAlerts(bytes(row["body"]), clock_from(row))


def summary_row(summary: Summary, run: int, n: int) -> Row:
    """Return the row of a summary; its body is the record's JSON."""
    return {
        "n": n,
        "run": run,
        "patient": summary.patient,
        "start_s": summary.start_s,
        "length_s": summary.length_s,
        "body": encode_record(summary).decode(),
    }


def summary_from(row: Row) -> StoredSummary:
    """Return the summary in a row of ``summaries`` joined with its run."""
    summary = _SUMMARY.decode(row["body"])
    return StoredSummary(row["n"], row["run_id"], row["boot_id"], summary)


def gap_row(gap: Gap, run: int) -> Row:
    """Return the row of a gap."""
    return {
        "run": run,
        "patient": gap.patient,
        "source": gap.source,
        "stream": gap.stream,
        "start_s": gap.start_s,
        "end_s": gap.end_s,
        "n_lost": gap.n_lost,
        "reason": gap.reason,
    }


def link_row(link: LinkChange, run: int) -> Row:
    """Return the row of a change of a sensor's link."""
    return {
        "run": run,
        "patient": link.patient,
        "source": link.source,
        "at_s": link.at_s,
        "state": link.state.value,
        "security": link.security.value,
        "name": link.name,
        "place": link.place,
        "reason": link.reason,
    }


def reading_row(reading: Reading, run: int) -> Row:
    """Return the row of a measurement of its own."""
    bounded = math.isfinite(reading.uncertainty_s)
    return {
        "run": run,
        "id": reading.id,
        "patient": reading.patient,
        "source": reading.source,
        "signal": reading.signal,
        "value": reading.value,
        "at_s": reading.at_s,
        "uncertainty_s": reading.uncertainty_s if bounded else None,
        "arrived_s": reading.arrived_s,
        "backfilled": int(reading.backfilled),
    }


def reading_from(row: Row) -> StoredReading:
    """Return the measurement in a row of ``readings`` joined with its run."""
    bound_s = row["uncertainty_s"]
    reading = Reading(
        row["id"],
        row["patient"],
        row["source"],
        row["signal"],
        row["value"],
        row["at_s"],
        math.inf if bound_s is None else bound_s,
        row["arrived_s"],
        bool(row["backfilled"]),
    )
    return StoredReading(row["n"], row["run_id"], row["boot_id"], reading)


def link_from(row: Row) -> StoredLink:
    """Return the change in a row of ``links`` joined with its run."""
    link = LinkChange(
        row["patient"],
        row["source"],
        row["at_s"],
        LinkState(row["state"]),
        Security(row["security"]),
        row["name"],
        row["place"],
        row["reason"],
    )
    return StoredLink(row["n"], row["run_id"], row["boot_id"], link)


def score_row(score: Score, run: Run, run_n: int) -> Row:
    """Return the row of a score, with its largest contributions only."""
    largest = sorted(
        (item for item in score.contributions.items() if math.isfinite(item[1])),
        key=lambda item: (-abs(item[1]), item[0]),
    )[:N_CONTRIBUTIONS]
    return {
        "run": run_n,
        "patient": score.patient,
        "start_s": score.start_s,
        "length_s": score.length_s,
        "value": float(score.value) if math.isfinite(score.value) else None,
        "threshold": float(score.threshold),
        "contributions": _numbers_text({name: round(value, 3) for name, value in largest}),
        "model_id": None if score.model_id == run.model_id else score.model_id,
    }


def clock_row(entry: WallEntry, run: int) -> Row:
    """Return the row of a moment at which both clocks were read; its boot is the run's."""
    synced = int(entry.synchronised)
    return {"run": run, "boot_s": entry.boot_s, "wall_s": entry.wall_s, "synced": synced}


def clock_from(row: Row) -> WallEntry:
    """Return the moment in a row of ``clock_log`` joined with its run."""
    return WallEntry(row["boot_id"], row["boot_s"], row["wall_s"], bool(row["synced"]))


_SUMMARY = msgspec.json.Decoder(Summary)


def _numbers_text(numbers: Mapping[str, float]) -> str:
    plain = {name: float(value) for name, value in numbers.items()}
    return msgspec.json.encode(plain).decode()  # NaN becomes null


def _numbers(text: str) -> dict[str, float]:
    found = msgspec.json.decode(text, type=dict[str, float | None])
    return {name: math.nan if value is None else value for name, value in found.items()}
