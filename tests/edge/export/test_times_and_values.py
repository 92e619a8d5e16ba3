"""Every format, read back by another program, against samples whose true times are known."""

import csv
import json
import math
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.decoders
from edge.decoders import Decoder
from edge.discover import discover
from edge.export.edfplus import write_edf
from edge.export.fhir import write_fhir
from edge.export.gather import gather
from edge.export.grid import Grid
from edge.export.notes import Notebook
from edge.export.placing import Run, placed
from edge.export.records import write_records
from edge.export.span import Origin, Span
from edge.export.spool import ExportError, Spool
from edge.export.table import write_tables
from edge.readers import simulated
from edge.records import Packet
from tests.edge.export.drifting import FS_HZ, STARTS_S, drifting, span_of, true_times_s

pyedflib = pytest.importorskip("pyedflib", reason="reads EDF+ as others do")
edfio = pytest.importorskip("edfio", reason="writes the header of EDF+")
wfdb = pytest.importorskip("wfdb", reason="reads WFDB as others do")

PPM = 200.0
FLOAT32 = 4e-6  # what the monitor's own numbers are off at 50 mV
LENGTH_S = 200.0
LOST = ((STARTS_S + 80.0, STARTS_S + 92.0),)
BEGAN = datetime(2026, 11, 22, 22, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture(name="night", scope="module")
def a_night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    origin = Origin(BEGAN - timedelta(seconds=STARTS_S), "given")
    span, spool = span_of(drifting(LENGTH_S, PPM, LOST), folder, origin=origin)
    with spool:
        yield span, folder


def off_s(values, times_s):
    """How far each sample lies off its true time; NaN where there is none."""
    idx = np.rint(np.asarray(values) * 1000)
    return np.abs(np.asarray(times_s) - true_times_s(idx, PPM))


def bounds(text):
    worst, usual = re.search(r"\+-([0-9.]+) s, 95% \+-([0-9.]+) s", text).groups()
    return float(worst), float(usual)


def check_times(values, times_s, worst_s, usual_s):
    error_s = off_s(values, times_s)
    assert np.nanmax(error_s) <= worst_s
    # The first two seconds of the clock are its worst; 95 of 100 keep this.
    assert np.nanquantile(error_s, 0.95) <= usual_s < 0.03
    # The control: as many samples laid at the nominal rate without correction would not.
    there = np.flatnonzero(~np.isnan(error_s))
    uncorrected_s = times_s[0] + np.rint(np.asarray(values)[there] * 1000) / FS_HZ
    assert off_s(np.asarray(values)[there], uncorrected_s).max() > usual_s


def test_edf_values_and_times_hold_what_its_header_promises(night, tmp_path):
    span, _ = night
    path = tmp_path / "n.edf"
    write_edf(path, span)
    with pyedflib.EdfReader(str(path)) as edf:
        assert edf.getSignalLabels() == ["ECG II"]
        assert edf.getPhysicalDimension(0) == "mV"
        assert edf.getSampleFrequency(0) == FS_HZ
        assert edf.filetype == pyedflib.FILETYPE_EDFPLUS
        digital, values = edf.readSignal(0, digital=True), edf.readSignal(0)
        low, high = edf.getPhysicalMinimum(0), edf.getPhysicalMaximum(0)
        worst_s, usual_s = bounds(edf.getTransducer(0))
        onsets, lengths, texts = edf.readAnnotations()
    # pyedflib 0.1.42 reads a tenth of the fraction of a second; edfio reads the whole.
    read = edfio.read_edf(path)
    started = datetime.combine(read.startdate, read.starttime, UTC)
    assert abs((started - span.origin.at(span.from_s)).total_seconds()) < 2e-6
    values = np.where(digital == -32768, np.nan, values)
    # A sample's value is a whole number of thousandths: half a quantum is the most it is off.
    quantum = (high - low) / 65535
    assert np.nanmax(np.abs(values - np.rint(values * 1000) / 1000)) <= quantum / 2 + FLOAT32
    times_s = span.from_s + np.arange(len(values)) / FS_HZ
    check_times(values, times_s, worst_s, usual_s)
    gaps = [(on, length) for on, length, text in zip(onsets, lengths, texts, strict=True)]
    assert list(texts) == ["no samples: ecg_mv II of uart:board"]
    assert gaps[0][0] == pytest.approx(LOST[0][0] - span.from_s, abs=0.2)
    assert float(gaps[0][1]) == pytest.approx(12.0, abs=0.2)
    assert np.isnan(values).sum() == pytest.approx(12.0 * FS_HZ, abs=0.2 * FS_HZ)


def test_wfdb_values_and_times_hold_what_its_header_promises(night, tmp_path):
    span, _ = night
    (written,) = write_records(tmp_path / "w", span)
    stem = tmp_path / "w" / written.name
    record = wfdb.rdrecord(str(stem))
    assert (record.sig_name, record.units, record.fs) == (["ecg_mv II"], ["mV"], FS_HZ)
    values = record.p_signal[:, 0]
    assert (
        np.nanmax(np.abs(values - np.rint(values * 1000) / 1000))
        <= 0.5 / record.adc_gain[0] + FLOAT32
    )
    told = next(line for line in record.comments if line.startswith("ecg_mv II"))
    check_times(values, span.from_s + np.arange(len(values)) / FS_HZ, *bounds(told))
    began = record.base_datetime.replace(tzinfo=UTC)
    assert abs((began - span.origin.at(span.from_s)).total_seconds()) <= 0.001
    raw = wfdb.rdrecord(str(stem), physical=False).d_signal[:, 0]
    assert int(raw.sum()) % 65536 == record.checksum[0] % 65536


def test_a_wave_finer_than_16_bits_is_written_in_24(tmp_path):
    span, spool = span_of(drifting(400.0), tmp_path)
    with spool:
        (written,) = write_records(tmp_path / "w", span)
    record = wfdb.rdrecord(str(tmp_path / "w" / written.name))
    assert record.fmt == ["24"]
    values = record.p_signal[:, 0]
    # Float32 is the finer limit now: the sensor's numbers come back as they were.
    assert np.nanmax(np.abs(values * 1000 - np.rint(values * 1000))) < 0.02
    assert np.nanmax(values) > 65.535 * 1.4


def test_csv_has_every_sample_at_the_time_it_was_placed_with_its_bound(night, tmp_path):
    span, _ = night
    files = write_tables(tmp_path / "c", span)
    wave = next(file for file in files if file.name.startswith("ecg"))
    with wave.open() as file:
        rows = list(csv.DictReader(file))
    values = np.array([float(row["ecg_mv"]) for row in rows])
    times_s = np.array([float(row["time_s"]) for row in rows]) + span.from_s
    bound_s = np.array([float(row["uncertainty_s"]) for row in rows])
    assert (np.diff(np.rint(values * 1000)) >= 1).all()
    assert len(rows) == span.channels[0].n
    assert (off_s(values, times_s) <= bound_s + 1e-6).all()
    with (tmp_path / "c" / "channels.csv").open() as file:
        (about,) = csv.DictReader(file)
    assert about["unit"] == "mv"
    assert about["n_gaps"] == "1"
    assert float(about["clock_ppm"]) == pytest.approx(PPM, abs=60)
    assert datetime.fromisoformat(about["time_0_utc"]) == span.origin.at(span.from_s)
    with (tmp_path / "c" / "notes.csv").open() as file:
        (note,) = csv.DictReader(file)
    assert note["text"] == "no samples: ecg_mv II of uart:board"


def test_fhir_blocks_have_their_own_start_and_period_and_lie_where_their_note_says(night, tmp_path):
    span, _ = night
    write_fhir(tmp_path / "n.json", span)
    bundle = json.loads((tmp_path / "n.json").read_text())
    blocks = [e["resource"] for e in bundle["entry"] if "valueSampledData" in e["resource"]]
    assert len(blocks) == 4  # a minute, what is left before the gap, a minute, the rest
    n = 0
    for block in blocks:
        data = block["valueSampledData"]
        values = np.array([float(word) for word in data["data"].split()])
        values = values * data["factor"] + data["origin"]["value"]
        assert np.abs(values - np.rint(values * 1000) / 1000).max() <= data["factor"] / 2 + FLOAT32
        start = datetime.fromisoformat(block["effectivePeriod"]["start"])
        start_s = (start - BEGAN).total_seconds() + STARTS_S
        times_s = start_s + np.arange(len(values)) * data["period"] / 1000
        line_s, bound_s = map(
            float,
            re.search(r"most ([0-9.]+) s .*\+-([0-9.]+) s", block["note"][0]["text"]).groups(),
        )
        assert off_s(values, times_s).max() <= line_s + bound_s + 2e-6
        n += len(values)
    assert n == span.channels[0].n


def test_a_part_of_the_night_is_the_same_samples_at_the_same_times(night, tmp_path):
    whole, _ = night
    part, spool = span_of(drifting(LENGTH_S, PPM, LOST), tmp_path, 40.0, 60.0)
    with spool:
        path = next(f for f in write_tables(tmp_path / "c", part) if f.name.startswith("ecg"))
        rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    kept = {
        round(float(value) * 1000): run.start_s + i * run.step_s
        for run in whole.channels[0].runs()
        for i, value in enumerate(run.values)
    }
    assert len(rows) == pytest.approx(20 * FS_HZ, abs=2)
    for at_s, _, value in rows:
        assert abs(kept[round(float(value) * 1000)] - float(at_s) - part.from_s) < 2e-6
    assert part.length_s == pytest.approx(20.0)
    assert math.isclose(part.from_s, whole.from_s + 40.0)


def test_values_the_sensor_called_invalid_are_no_samples_in_any_format(tmp_path):
    values = np.arange(500, dtype=np.float32) / 100
    values[100:110] = np.nan
    with Spool(tmp_path) as spool:
        spool.add(Run("p", "s", "ecg_mv", "II", 250.0, 5.0, 0.004, values, 0.001))
        spool.add(Run("p", "s", "flag_flag", "", 250.0, 5.0, 0.004, np.full_like(values, 7), 0.0))
        spool.add(Run("p", "s", "resp_au", "", 250.0, 5.0, 0.004, values * np.nan, 0.001))
        channels = tuple(spool.channels())
        span = Span("n", "p", 5.0, 7.0, channels, Notebook(), False, Origin(), "1")
        write_edf(tmp_path / "n.edf", span)
        (written,) = write_records(tmp_path / "w", span)
        write_fhir(tmp_path / "n.json", span)
        files = write_tables(tmp_path / "c", span)
    edf = edfio.read_edf(tmp_path / "n.edf")
    assert [signal.label for signal in edf.signals] == ["ECG II", "flag_flag"]
    missing = np.flatnonzero(edf.signals[0].digital == -32768)
    assert missing.tolist() == list(range(100, 110))
    assert np.abs(edf.signals[1].data - 7.0).max() < 1e-4  # one value and nothing else
    record = wfdb.rdrecord(str(tmp_path / "w" / written.name))
    assert np.flatnonzero(np.isnan(record.p_signal[:, 0])).tolist() == missing.tolist()
    bundle = json.loads((tmp_path / "n.json").read_text())
    wave = next(e["resource"] for e in bundle["entry"] if "valueSampledData" in e["resource"])
    words = wave["valueSampledData"]["data"].split()
    assert [i for i, word in enumerate(words) if word == "E"] == missing.tolist()
    ecg = next(file for file in files if "ecg" in file.name).read_text().splitlines()
    assert sum(line.endswith(",") for line in ecg) == 10


@settings(max_examples=60, deadline=None)
@given(
    ppm=st.floats(-2000.0, 2000.0),
    phase=st.floats(0.0, 1.0),
    sizes=st.lists(st.integers(1, 120), min_size=1, max_size=30),
    gap_at=st.integers(0, 29),
    block=st.integers(1, 500),
)
def test_whatever_the_clock_every_sample_is_at_most_half_an_interval_off(
    ppm, phase, sizes, gap_at, block
):
    fs_hz, step_s = 250.0, (1 + ppm * 1e-6) / 250.0
    start_s, n = 10.0 + phase / fs_hz, 0
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder)) as spool:
        truth = []
        for i, size in enumerate(sizes):
            if i == gap_at:
                start_s += 0.5
            values = np.arange(n, n + size, dtype=np.float32)
            spool.add(Run("p", "s", "ecg_mv", "", fs_hz, start_s, step_s, values, 0.0))
            truth += [start_s + k * step_s for k in range(size)]
            start_s, n = start_s + size * step_s, n + size
        grid = Grid(spool.channels()[0], fs_hz, 10.0)
        places = np.concatenate([grid.take(block) for _ in range(int(2500 / block) + 2)])
    there = np.flatnonzero(~np.isnan(places))
    off_s = np.abs(10.0 + there / fs_hz - np.array(truth)[places[there].astype(int)])
    assert off_s.max() <= grid.bound_s + 1e-9
    assert grid.off_s <= grid.bound_s + 1e-9
    # Nothing is lost but what is counted, and nothing comes twice but what is counted.
    different = len(np.unique(places[there]))
    assert different == n - grid.n_left_out
    assert len(there) == different + grid.n_repeated
    assert (np.diff(places[there]) >= 0).all()


SIMULATED = """
title = "A board whose radio bursts and whose clock runs off"
duration_s = 170.0
seed = 4
devices = ["board"]

[links.board]
latency_s = 0.004
jitter_s = 0.002
ppm = 60.0

[[events]]
kind = "bursts"
at_s = 50
for_s = 30
device = "board"
every_s = 2.0

[[events]]
kind = "clock_drift"
at_s = 100
for_s = 60
device = "board"
ppm = 800.0
"""


def test_the_simulated_patients_true_times_lie_within_what_the_files_say(tmp_path):
    """The sensor's own clock, bursts of the radio and a clock that runs off, of the simulator."""
    (tmp_path / "s.toml").write_text(SIMULATED)
    settings_ = simulated.Settings(scenario=str(tmp_path / "s.toml"))
    truth = simulated.truth(settings_)
    decoders = discover(edge.decoders, "DECODER", Decoder)
    n = 0
    with Spool(tmp_path) as spool:
        for second in placed(simulated.packets(settings_), decoders):
            for run in second.runs:
                if run.signal == "ecg_mv":
                    # Each value says which sample it is; none is lost in this scenario.
                    values = np.arange(n, n + len(run.values), dtype=np.float32)
                    n += len(values)
                    spool.add(msgspec.structs.replace(run, values=values))
        (channel,) = spool.channels()
        times_s = truth.sample_times_s("sim:board", 0, n)
        at = 0
        for run in channel.runs():
            placed_s = run.start_s + run.step_s * np.arange(len(run.values))
            off = np.abs(placed_s - times_s[at : at + len(placed_s)])
            assert off.max() <= run.uncertainty_s
            at += len(placed_s)
        span = Span("n", "p", 0.0, 170.0, (channel,), Notebook(), False, Origin(), "1")
        write_edf(tmp_path / "n.edf", span)
    with pyedflib.EdfReader(str(tmp_path / "n.edf")) as edf:
        digital, values = edf.readSignal(0, digital=True), edf.readSignal(0)
        worst_s, _ = bounds(edf.getTransducer(0))
    there = np.flatnonzero(digital != -32768)
    off = np.abs(there / FS_HZ - times_s[np.rint(values[there]).astype(int)])
    assert off.max() <= worst_s
    assert len(there) > 0.99 * n


def test_a_clock_that_leaps_years_neither_hangs_nor_fills_the_disk(tmp_path):
    packets = drifting(5.0)
    late = [Packet(p.source, p.stream, p.arrived_s + 1e11, p.payload) for p in packets]
    seconds = placed([*packets, *late], discover(edge.decoders, "DECODER", Decoder))
    with Spool(tmp_path) as spool, pytest.raises(ExportError, match="days long"):
        gather(seconds, spool, 0.0, math.inf)


def test_the_spool_has_no_name_in_the_folder(tmp_path):
    with Spool(tmp_path) as spool:
        values = np.ones(10, np.float32)
        spool.add(Run("p", "s", "ecg_mv", "", 250.0, 0.0, 0.004, values, 0.0))
        assert list(tmp_path.iterdir()) == []
        first, second = spool.channels()[0].runs(), spool.channels()[0].runs()
        assert len(next(first).values) == len(next(second).values) == 10


def test_without_a_known_wall_clock_no_date_is_made_up(tmp_path):
    span, spool = span_of(drifting(20.0), tmp_path)
    with spool:
        write_edf(tmp_path / "n.edf", span)
        (written,) = write_records(tmp_path / "w", span)
        write_fhir(tmp_path / "n.json", span)
    header = (tmp_path / "n.edf").read_bytes()[:256].decode()
    assert "Startdate X X X Homeward_1.0 clock=unknown" in header
    assert wfdb.rdheader(str(tmp_path / "w" / written.name)).base_datetime is None
    assert "effective" not in (tmp_path / "n.json").read_text()
