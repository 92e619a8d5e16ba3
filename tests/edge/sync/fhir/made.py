"""Alerts and summaries as the list lets them leave, and any that hypothesis can build."""

from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import strategies as st

from edge.clock import TimeQuality
from edge.egress.alert import AlertOut, VitalsOut
from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.outbox import Handed
from edge.egress.summary import AlertCountOut, CoverageOut, SummaryOut, Vital, VitalOut
from edge.records import AlertState, Kind, Meaning, Priority, Role
from edge.sync.fhir import resources_of
from edge.sync.parcel import Item

UUID = "3f2b0c9e-7a51-4c1e-9d55-0d7e6f1a2b3c"
OTHER = "9a1be0d4-55c3-4f7e-8a1e-2f60c9d8e7b1"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOX, PATIENT = "hw-abcdefghijklmnop", "hw-qrstuvwxyz234567"

ALERT = AlertOut(
    *(UUID, BOX, PATIENT, "alert-0123456789abcdef", 2, "very_low_spo2", "very low SpO2"),
    *(Kind.PHYSIOLOGICAL, Priority.HIGH, AlertState.ACTIVE, NOON, NOON, TimeQuality.SYNCED),
    "SpO2 has been 82 % for 12 s, below 85 %",
    VitalsOut(spo2_pct=82.0, pulse_bpm=112.4),
)
VITALS = ("hr_bpm", "spo2_pct", "pulse_bpm", "resp_brpm", "temp_degc")
SUMMARY = SummaryOut(
    *(OTHER, BOX, PATIENT, NOON, TimeQuality.SYNCED, 60.0, 71, 2, 1),
    (
        *(VitalOut(name, 57, 61.2, 62.3, 70.5, 80.1, 90.4) for name in VITALS),
        VitalOut("news2_lower", 57, 1.0, 1.0, 2.0, 3.0, 3.0),
        VitalOut("news2_upper", 57, 4.0, 4.0, 5.0, 6.0, 7.0),
    ),
    (CoverageOut("ecg_mv", 0.998), CoverageOut("pleth_au", 0.95)),
    (AlertCountOut("very_low_spo2", 1),),
)
BEAT = HeartbeatOut(
    *(UUID, BOX, "0.1.0", "model-1", NOON, TimeQuality.SYNCED, 5.0, True, 1, 0, 0, 50.0)
)


def handed(what):
    """An entry of the outbox."""
    if isinstance(what, AlertOut):
        return Handed(what.uuid, 1, alert=what)
    return Handed(what.uuid, 1, summary=what)


def resources(what):
    return resources_of(handed(what))


def items(*entries):
    return [
        Item(
            handed(one), Content.ALERT if hasattr(one, "rule") else Content.SUMMARY, resources(one)
        )
        for one in entries
    ]


uuids = st.uuids(version=4).map(str)
times = st.none() | st.integers(0, 7_258_118_400_000_000).map(
    lambda us: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us)
)
"""1970 to 2200."""


def texts(most):
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=most)


def some(low, high):
    return st.none() | st.floats(low, high)


alerts = st.builds(
    AlertOut,
    uuid=uuids,
    box=texts(64),
    patient=texts(64),
    id=texts(200),
    sequence=st.integers(0, 10_000_000),
    rule=texts(64),
    words=texts(128),
    kind=st.sampled_from(Kind),
    priority=st.sampled_from(Priority),
    state=st.sampled_from(AlertState),
    since_utc=times,
    at_utc=times,
    time_quality=st.none() | st.sampled_from(TimeQuality),
    reason=texts(400),
    values=st.builds(
        VitalsOut,
        hr_bpm=some(0, 400),
        spo2_pct=some(0, 100),
        pulse_bpm=some(0, 400),
        resp_brpm=some(0, 150),
        temp_degc=some(10, 50),
        news2_lower=some(0, 20),
        news2_upper=some(0, 20),
    ),
    role=st.none() | st.sampled_from(Role),
    meaning=st.none() | st.sampled_from(Meaning),
)
_counts = st.integers(0, 10_000_000)
_quantile = st.floats(0, 500)
summaries = st.builds(
    SummaryOut,
    uuid=uuids,
    box=texts(64),
    patient=texts(64),
    start_utc=times,
    time_quality=st.none() | st.sampled_from(TimeQuality),
    length_s=st.floats(10, 86400),
    n_beats=_counts,
    n_broken=_counts,
    n_gaps=_counts,
    vitals=st.lists(
        st.builds(
            VitalOut,
            st.sampled_from(get_args(Vital)),
            _counts,
            *[_quantile] * 5,
        ),
        max_size=7,
        unique_by=lambda one: one.name,
    ).map(tuple),
    coverage=st.lists(
        st.builds(CoverageOut, st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True), st.floats(0, 1)),
        max_size=16,
    ).map(tuple),
    alerts=st.lists(st.builds(AlertCountOut, texts(64), _counts), max_size=6).map(tuple),
    epsilon=st.sampled_from([0.0, 0.25, 1.0]),
)
