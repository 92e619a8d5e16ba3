import asyncio
import os
import struct
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import frame
from edge.decoders.homeward_serial import DECODER
from edge.packetlog import PacketLogWriter
from edge.readers import ReadError, Rim, _wfdb
from edge.readers._recording import Group, fit_rate, name_channel
from edge.readers.replay import ALL, READER, ReplayReport, ReplaySettings, packets
from edge.records import Packet

wfdb = pytest.importorskip("wfdb", reason="needs pip install 'homeward[recordings]'")
edfio = pytest.importorskip("edfio", reason="needs pip install 'homeward[recordings]'")

ROOT = Path(__file__).parents[3]
RECORDINGS = Path(os.environ.get("HOMEWARD_DATA", ROOT / "../shared/data"))


def real(name):
    path = RECORDINGS / name
    if not (path.exists() or path.with_name(path.name + ".hea").exists()):
        pytest.skip(f"the recording {name} is not here; set HOMEWARD_DATA to the recordings")
    return str(path)


def wrsamp(*args, **options):
    with warnings.catch_warnings():
        # The library's own use of pandas is out of date; that is not ours to test.
        warnings.simplefilter("ignore")
        wfdb.wrsamp(*args, **options)


def write_wfdb(folder, digital, *, name="rec", fs=360, fmt="212", gain=200.0, **more):
    n = digital.shape[1]
    wrsamp(
        name,
        fs=fs,
        units=more.pop("units", ["mV"] * n),
        sig_name=more.pop("sig_name", ["MLII", "V1", "V2"][:n]),
        d_signal=digital,
        fmt=[fmt] * n,
        adc_gain=[gain] * n,
        baseline=more.pop("baseline", [1024] * n),
        write_dir=str(folder),
        **more,
    )
    return str(folder / name)


def counts(n=1000, k=2, low=-2000, high=2000, seed=0):
    return np.random.default_rng(seed).integers(low, high, (n, k))


def decode(stream):
    """Return by source, signal and lead: sample times and values, through the real decoder."""
    decoders, found = {}, {}
    for packet in stream:
        for run in decoders.setdefault(packet.source, DECODER.open())(packet):
            assert run.stamp.host
            times = packet.arrived_s + np.arange(len(run.values)) / run.fs_hz
            found.setdefault((packet.source, run.signal, run.lead), []).append((times, run.values))
    return {
        key: tuple(np.concatenate(part) for part in zip(*runs, strict=True))
        for key, runs in found.items()
    }


def raw_rows(stream):
    """Return descriptions and raw rows, so that nothing is rounded on the way."""
    described, rows = None, []
    for packet in stream:
        whole = frame.unpack(packet.payload)
        if whole.kind == frame.DESCRIPTION:
            described = frame.unpack_description(whole.body)
        else:
            rows.append(np.frombuffer(whole.body, frame.row_type(described.channels)))
    return described, np.concatenate(rows)


def physical(described, rows):
    columns = [
        rows[:, i] if rows.ndim == 2 else rows[str(i)] for i in range(len(described.channels))
    ]
    return [
        (column.astype(np.float64) - c.baseline) / c.gain
        for column, c in zip(columns, described.channels, strict=True)
    ]


@pytest.fixture(name="record", scope="module")
def one_record(tmp_path_factory):
    return write_wfdb(tmp_path_factory.mktemp("record"), counts())


# WFDB


@pytest.mark.parametrize("fmt", ["212", "16", "24", "32", "80"])
def test_a_wfdb_record_comes_out_sample_for_sample(tmp_path, fmt):
    digital = counts(low=-100, high=100) if fmt == "80" else counts()
    path = write_wfdb(tmp_path, digital, fmt=fmt)
    described, rows = raw_rows(packets(ReplaySettings(path)))
    assert np.array_equal(rows, digital)
    truth = wfdb.rdrecord(path).p_signal
    assert np.array_equal(np.array(physical(described, rows)).T, truth)


def test_the_first_packets_of_a_record_are_its_description_and_its_first_second(tmp_path):
    path = write_wfdb(tmp_path, counts())
    report = ReplayReport()
    first, second, third, *_ = packets(ReplaySettings(path), report)
    assert (first.source, first.stream, first.arrived_s) == ("replay:rec", frame.STREAM, 0.0)
    told = frame.unpack_description(frame.unpack(first.payload).body)
    assert told.host_clock
    assert told.fs_hz == 360.0
    assert [(c.signal, c.lead) for c in told.channels] == [("ecg_mv", "MLII"), ("ecg_mv", "V1")]
    assert (second.arrived_s, third.arrived_s) == (0.0, 1.0)
    assert frame.unpack(third.payload).clock_us == 1_000_000
    assert (report.kind, report.name, report.fs_hz) == ("wfdb", "rec", 360)
    assert report.duration_s == pytest.approx(1000 / 360)


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat"])
def test_a_record_is_found_by_any_of_its_files(tmp_path, suffix):
    path = write_wfdb(tmp_path, counts())
    assert len(list(packets(ReplaySettings(path + suffix)))) == 4


def test_a_missing_sample_has_no_value_in_the_monitor(tmp_path):
    digital = counts()
    digital[5:9, 1] = -2048
    path = write_wfdb(tmp_path, digital)
    found = decode(packets(ReplaySettings(path)))
    missing = np.isnan(found["replay:rec", "ecg_mv", "V1"][1])
    assert missing.nonzero()[0].tolist() == [5, 6, 7, 8]
    assert not np.isnan(found["replay:rec", "ecg_mv", "MLII"][1]).any()


def test_the_lowest_value_of_a_format_that_reaches_it_is_a_missing_sample(tmp_path):
    digital = counts()
    digital[0, 0], digital[1, 0] = -(1 << 15), -(1 << 15) + 1
    path = write_wfdb(tmp_path, digital, fmt="16")
    values = decode(packets(ReplaySettings(path)))["replay:rec", "ecg_mv", "MLII"][1]
    assert np.isnan(values[0])
    assert values[1] == np.float32((-(1 << 15) + 1 - 1024) / 200)


@given(st.integers(1, 900), st.integers(0, 2000).map(lambda i: i / 1000))
@settings(max_examples=40, deadline=None)
def test_every_size_of_packet_gives_the_same_samples_at_the_same_times(record, chunk, from_s):
    path = record
    whole = decode(packets(ReplaySettings(path, chunk=ALL, from_s=from_s)))
    cut = decode(packets(ReplaySettings(path, chunk=chunk, from_s=from_s)))
    for key, (times, values) in whole.items():
        assert np.array_equal(values, cut[key][1])
        np.testing.assert_allclose(times, cut[key][0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("chunk", [ALL, 0, 1, 7, 36, 5000])
def test_descriptions_come_at_times_that_do_not_depend_on_the_packets(tmp_path, chunk):
    path = write_wfdb(tmp_path, counts(25 * 100), fs=100)
    stream = list(packets(ReplaySettings(path, chunk=chunk, from_s=3.0)))
    told = [p.arrived_s for p in stream if frame.unpack(p.payload).kind == frame.DESCRIPTION]
    assert told == [3.0, 10.0, 20.0]
    arrivals = [packet.arrived_s for packet in stream]
    assert arrivals == sorted(arrivals)


def test_a_recording_longer_than_a_block_is_read_in_blocks(tmp_path, monkeypatch):
    digital = counts()
    path = write_wfdb(tmp_path, digital)
    monkeypatch.setattr(_wfdb, "BLOCK_FRAMES", 64)
    for chunk in (1, 50, 64, 200, ALL):
        assert np.array_equal(raw_rows(packets(ReplaySettings(path, chunk=chunk)))[1], digital)


def test_channels_of_another_rate_are_a_source_of_their_own(tmp_path):
    fast = counts(4000, 1)[:, 0]
    slow = counts(1000, 1, seed=1)[:, 0]
    wrsamp(
        "multi",
        fs=125,
        units=["mmHg", "mV"],
        sig_name=["ABP", "MCL1"],
        e_d_signal=[slow, fast],
        samps_per_frame=[1, 4],
        fmt=["16", "16"],
        adc_gain=[10.0, 200.0],
        baseline=[0, 0],
        write_dir=str(tmp_path),
    )
    stream = list(packets(ReplaySettings(str(tmp_path / "multi"))))
    found = decode(stream)
    # The ECG is the first source, whatever its place in the file.
    ecg, abp = found["replay:multi", "ecg_mv", "MCL1"], found["replay:multi#1", "abp_mmhg", ""]
    assert np.array_equal(ecg[1], (fast / np.float32(200)).astype(np.float32))
    assert np.array_equal(abp[1], (slow / np.float32(10)).astype(np.float32))
    assert ecg[0][-1] == pytest.approx(4000 / 500 - 1 / 500)
    arrivals = [packet.arrived_s for packet in stream]
    assert arrivals == sorted(arrivals)


def test_a_segmented_record_comes_out_as_physical_values(tmp_path):
    parts = [counts(500, 2, seed=i) for i in range(2)]
    for i, part in enumerate(parts):
        write_wfdb(tmp_path, part, name=f"seg{i}")
    (tmp_path / "both.hea").write_text("both/2 2 360 1000\nseg0 500\nseg1 500\n")
    described, rows = raw_rows(packets(ReplaySettings(str(tmp_path / "both"))))
    truth = (np.concatenate(parts) - 1024) / 200
    assert np.array_equal(np.array(physical(described, rows)).T, truth)


def test_units_other_than_millivolts_are_scaled(tmp_path):
    digital = counts()
    path = write_wfdb(tmp_path, digital, units=["uV", "V"], sig_name=["ECG lead II", "V5"])
    described, rows = raw_rows(packets(ReplaySettings(path)))
    assert [c.lead for c in described.channels] == ["II", "V5"]
    truth = wfdb.rdrecord(path).p_signal
    for column, expected in zip(physical(described, rows), (truth * [1e-3, 1e3]).T, strict=True):
        np.testing.assert_allclose(column, expected, rtol=1e-14)


def test_the_user_names_and_drops_channels(tmp_path):
    path = write_wfdb(tmp_path, counts())
    chosen = {"MLII": "pleth_au", "V1": "-"}
    found = decode(packets(ReplaySettings(path, signals=chosen)))
    assert list(found) == [("replay:rec", "pleth_au", "")]
    with pytest.raises(ReadError, match="must end in a unit"):
        packets(ReplaySettings(path, signals={"V1": "ecg"}))
    with pytest.raises(ReadError, match="choose at least one"):
        packets(ReplaySettings(path, signals={"V1": "-", "MLII": "-"}))


NAMES = {
    ("PLETH", "NU"): ("pleth_au", ""),
    ("RESP", "mV"): ("resp_au", ""),
    ("Resp. Imp.", "mV"): ("resp_au", ""),
    ("ABP", "mmHg"): ("abp_mmhg", ""),
    ("ART", "mmHg"): ("abp_mmhg", ""),
    # Only arterial pressure is called so: limits on it must never see a venous one.
    ("CVP", "mmHg"): ("cvp_mmhg", ""),
    ("PAP", "mmHg"): ("pap_mmhg", ""),
    ("SpO2", "%"): ("spo2_pct", ""),
    ("SaO2", ""): ("spo2_pct", ""),
    ("HR", "bpm"): ("hr_bpm", ""),
    ("hr", ""): ("hr_au", ""),
    ("ECG", "mV"): ("ecg_mv", ""),
    ("EKG2", "uV"): ("ecg_mv", "2"),
    ("aVR", "mV"): ("ecg_mv", "aVR"),
    ("MCL1", "mV"): ("ecg_mv", "MCL1"),
    ("III", ""): ("ecg_mv", "III"),
    ("EEG Fpz-Cz", "uV"): ("eeg_mv", "EEG Fpz-Cz"),
    ("C3-M2", "uV"): ("c3_m2_mv", ""),
    ("acc_x", "g"): ("accel_g", "x"),
    ("Température", "°C"): ("temp_rature_degc", ""),
    ("strange thing with a very long name indeed", "furlong"): (
        "strange_thing_with_a_very_lo_au",
        "",
    ),
}


@pytest.mark.parametrize(("name", "unit"), NAMES)
def test_a_channel_is_named_by_its_words_and_its_unit(name, unit):
    naming = name_channel(name, unit, {})
    assert (naming.signal, naming.lead) == NAMES[name, unit]
    assert len(naming.signal) <= 31


def test_more_channels_than_a_frame_holds_are_split(tmp_path):
    digital = counts(100, 40)
    names = [f"X{i}" for i in range(40)]
    path = write_wfdb(tmp_path, digital, sig_name=names)
    found = decode(packets(ReplaySettings(path)))
    assert [key[2] for key in found] == names
    assert {key[0] for key in found} == {"replay:rec", "replay:rec#1"}


def test_two_channels_of_one_name_are_told_apart(tmp_path):
    path = write_wfdb(tmp_path, counts(), sig_name=["ECG", "EKG"])
    assert [key[2] for key in decode(packets(ReplaySettings(path)))] == ["", "#2"]


def test_values_slower_than_a_hertz_are_held_so_that_their_times_stay_true():
    values = np.arange(5, dtype="<i2").reshape(-1, 1)
    slow = Group(1 / 60, 5, (frame.Channel("hr_bpm"),), lambda a, b: values[a:b])
    group, said = fit_rate(slow)
    assert (group.fs_hz, group.n_samples) == (1.0, 300)
    assert "held" in said
    assert np.array_equal(group.rows(0, 300)[:, 0], np.repeat(np.arange(5), 60))
    assert group.rows(59, 62)[:, 0].tolist() == [0, 1, 1]


def test_a_rate_that_a_frame_cannot_say_is_told():
    group = Group(85.3333333, 5, (frame.Channel("resp_au"),), lambda _a, _b: np.zeros((5, 1)))
    fitted, said = fit_rate(group)
    assert fitted is group
    assert "played at 85.333 Hz" in said


# Spans and settings


def test_a_span_keeps_the_times_of_the_recording(tmp_path):
    digital = counts(3000)
    path = write_wfdb(tmp_path, digital, fs=100)
    report = ReplayReport()
    stream = list(packets(ReplaySettings(path, from_s=5.0, to_s=12.5), report))
    assert stream[0].arrived_s == 5.0
    assert np.array_equal(raw_rows(stream)[1], digital[500:1250])
    assert report.duration_s == 7.5


def test_a_span_after_the_end_says_how_long_the_recording_is(tmp_path):
    path = write_wfdb(tmp_path, counts())
    with pytest.raises(ReadError, match=r"rec is 2\.8 s long"):
        packets(ReplaySettings(path, from_s=5.0))


@pytest.mark.parametrize(
    "wrong", [{"chunk": -2}, {"speed": -1.0}, {"from_s": 5.0, "to_s": 5.0}, {"fs_hz": 0.0}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        ReplaySettings("x", **wrong)


# What cannot be read


def test_paths_that_hold_no_recording_say_what_to_do(tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "photo.hwl").write_bytes(b"\xff\xd8\xff\xe0")
    for name, says in {
        "none": "no recording .*check the path",
        "": "is a folder",
        "empty.csv": "is empty",
        "photo.jpg": "no kind of recording",
        "photo.hwl": "JPEG",
    }.items():
        with pytest.raises(ReadError, match=says):
            packets(ReplaySettings(str(tmp_path / name)))


def test_a_missing_signal_file_is_named(tmp_path):
    path = write_wfdb(tmp_path, counts())
    (tmp_path / "rec.dat").unlink()
    with pytest.raises(ReadError, match=r"rec\.dat; copy it beside"):
        list(packets(ReplaySettings(path)))


def test_a_signal_file_that_is_cut_says_so_and_gives_no_wrong_samples(tmp_path):
    path = write_wfdb(tmp_path, counts())
    dat = tmp_path / "rec.dat"
    dat.write_bytes(dat.read_bytes()[:1000])
    with pytest.raises(ReadError, match="damaged or cut"):
        list(packets(ReplaySettings(path)))


HEADERS = {
    "nothing": "",
    "prose": "this is not a header\n",
    "no signals": "rec 0 360\n",
    "too few lines": "rec 2 360 1000\nrec.dat 212 200 11 1024 0 0 0 MLII\n",
    "no rate": "rec 1 0 1000\nrec.dat 212 200 11 1024 0 0 0 MLII\n",
    "unknown format": "rec 1 360 1000\nrec.dat 999 200 11 1024 0 0 0 MLII\n",
    "binary": "\x00\x01\x02\xff\n",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_damaged_header_says_what_to_do(tmp_path, header):
    path = write_wfdb(tmp_path, counts())
    (tmp_path / "rec.hea").write_text(HEADERS[header], "latin-1")
    with pytest.raises(ReadError, match=r"damaged or cut|nothing to replay|not known|Hz"):
        list(packets(ReplaySettings(path)))


@given(st.integers(0, 200), st.integers(1, 255), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_header_with_one_wrong_byte_is_read_or_refused_in_words(record, at, change, drop):
    header = Path(record).with_name("bad.hea")
    raw = bytearray(Path(record + ".hea").read_bytes())
    at %= len(raw)
    raw[at] ^= change
    header.write_bytes(raw[:at] if drop else raw)
    path = str(header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ReadError):
            assert list(packets(ReplaySettings(path)))


def test_a_scale_that_means_nothing_is_refused_at_once(tmp_path):
    path = write_wfdb(tmp_path, counts())
    header = tmp_path / "rec.hea"
    header.write_text(header.read_text().replace("200.0(1024)/mV", "1e30(1024)/mV"))
    with pytest.raises(ReadError, match="impossible scale"):
        packets(ReplaySettings(path))


def test_without_the_library_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    path = write_wfdb(tmp_path, counts())
    write_edf(tmp_path / "a.edf")
    monkeypatch.setitem(sys.modules, "wfdb", None)
    monkeypatch.setitem(sys.modules, "edfio", None)
    for recording in (path, str(tmp_path / "a.edf")):
        with pytest.raises(ReadError, match=r"pip install 'homeward\[recordings\]'"):
            packets(ReplaySettings(recording))


# EDF


def edf_signal(digital, fs_hz, label, unit="mV", span=(-5.0, 5.0), wide=(-2048, 2047)):
    return edfio.EdfSignal.from_digital(
        np.asarray(digital, np.int16),
        fs_hz,
        label=label,
        physical_dimension=unit,
        physical_range=span,
        digital_range=wide,
    )


def write_edf(path, signals=None, annotations=None):
    signals = signals or [edf_signal(counts(2560)[:, 0], 256, "ECG II")]
    edfio.Edf(signals, annotations=annotations).write(path)
    return str(path)


def test_an_edf_file_comes_out_sample_for_sample_without_its_annotations(tmp_path):
    ecg, spo2 = counts(2560)[:, 0], counts(10)[:, 0]
    path = write_edf(
        tmp_path / "night.edf",
        [
            edf_signal(spo2, 1, "SpO2", "%", (0.0, 100.0)),
            edf_signal(ecg, 256, "ECG II", "uV", (-5000.0, 5000.0)),
        ],
        [edfio.EdfAnnotation(3, None, "turned over")],
    )
    found = decode(packets(ReplaySettings(path)))
    assert list(found) == [("replay:night", "ecg_mv", "II"), ("replay:night#1", "spo2_pct", "")]
    edf = edfio.read_edf(path)
    np.testing.assert_allclose(
        found["replay:night", "ecg_mv", "II"][1], edf.signals[1].data / 1000, rtol=3e-7, atol=1e-6
    )
    np.testing.assert_allclose(
        found["replay:night#1", "spo2_pct", ""][1], edf.signals[0].data, rtol=3e-7, atol=1e-5
    )


def test_a_genuine_lowest_value_in_an_edf_file_is_not_taken_for_missing(tmp_path):
    digital = counts(2560)[:, 0]
    digital[7] = -(1 << 15)
    wide = (-(1 << 15), (1 << 15) - 1)
    path = write_edf(tmp_path / "a.edf", [edf_signal(digital, 256, "ECG", wide=wide)])
    described, rows = raw_rows(packets(ReplaySettings(path)))
    assert np.array_equal(rows[:, 0], digital)
    assert rows.dtype == np.dtype("<i4")
    edf = edfio.read_edf(path)
    np.testing.assert_allclose(physical(described, rows)[0], edf.signals[0].data, atol=1e-9)


def test_an_edf_file_written_by_another_program_reads_the_same(tmp_path):
    pyedflib = pytest.importorskip("pyedflib")
    path = str(tmp_path / "other.edf")
    truth = np.sin(np.arange(2500) / 20)
    with pyedflib.EdfWriter(path, 1, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        writer.setSignalHeader(
            0,
            {
                "label": "PLETH",
                "dimension": "NU",
                "sample_frequency": 250,
                "physical_min": -2.0,
                "physical_max": 2.0,
                "digital_min": -32768,
                "digital_max": 32767,
                "transducer": "",
                "prefilter": "",
            },
        )
        writer.writeSamples([truth])
        writer.writeAnnotation(1.0, -1, "note")
    found = decode(packets(ReplaySettings(path)))
    values = found["replay:other", "pleth_au", ""][1]
    np.testing.assert_allclose(values, truth, atol=4 / 65535)


def with_interruption(path, onset=b"+5"):
    """Make the file's last data record begin later, as a recorder does that was paused."""
    raw = bytearray(Path(path).read_bytes())
    raw[192:197] = b"EDF+D"
    last = raw.rfind(b"+9\x14\x14")
    raw[last : last + 2] = onset
    Path(path).write_bytes(raw)


def test_an_edf_file_with_interruptions_is_refused_in_words(tmp_path):
    path = write_edf(tmp_path / "a.edf", annotations=[edfio.EdfAnnotation(3, None, "x")])
    with_interruption(path, b"+9")
    assert len(list(packets(ReplaySettings(path)))) == 11
    with_interruption(path, b"+7")
    with pytest.raises(ReadError, match="interruptions"):
        packets(ReplaySettings(path))


def test_a_cut_edf_file_gives_its_whole_records_and_says_so(tmp_path):
    path = Path(write_edf(tmp_path / "a.edf"))
    path.write_bytes(path.read_bytes()[:-300])
    report = ReplayReport()
    found = decode(packets(ReplaySettings(str(path)), report))
    assert len(found["replay:a", "ecg_mv", "II"][1]) == 9 * 256
    assert any("truncated" in message for message in report.messages)


def test_an_edf_file_that_is_none_says_so(tmp_path):
    path = tmp_path / "a.edf"
    for content in (b"\xff\xd8\xff\xe0" * 200, b"0       ", b"x" * 256):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=r"cannot be read as EDF|no signals"):
            packets(ReplaySettings(str(path)))


# CSV


def write_csv(path, text, encoding="utf-8"):
    path.write_text(text, encoding)
    return str(path)


def test_a_csv_comes_out_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.standard_normal((500, 2))
    lines = ["time_s,ecg_mv,SpO2 [%]"]
    lines += [f"{i / 250!r},{a!r},{b!r}" for i, (a, b) in enumerate(values.tolist())]
    path = write_csv(tmp_path / "a.csv", "\n".join(lines))
    report = ReplayReport()
    described, rows = raw_rows(packets(ReplaySettings(path), report))
    assert np.array_equal(np.array(physical(described, rows)).T, values)
    assert described.fs_hz == 250.0
    assert [c.signal for c in described.channels] == ["ecg_mv", "spo2_pct"]
    assert report.messages == []


def test_a_csv_in_the_manner_of_bidmc_is_understood(tmp_path):
    rows = ["Sampling Freq,Time [s], RESP, PLETH, II", "125,0,0.1,0.2,0.3"]
    rows += [f",{i * 0.008:.5g},0.1,0.2,{i % 7 / 10}" for i in range(1, 13000)]
    path = write_csv(tmp_path / "b.csv", "\n".join(rows))
    report = ReplayReport()
    found = decode(packets(ReplaySettings(path), report))
    assert [key[1] for key in found] == ["resp_au", "pleth_au", "ecg_mv"]
    assert report.fs_hz == 125.0
    assert report.messages == ["the unit of 'II' is not said, millivolts are assumed"]


@pytest.mark.parametrize("fs_hz", [1, 33.3, 125, 250, 360, 1000 / 3])
@pytest.mark.parametrize("digits", [3, 9])
def test_the_rate_is_found_in_times_printed_with_few_digits(tmp_path, fs_hz, digits):
    lines = ["t [s],x"] + [f"{i / fs_hz:.{digits}f},{i}" for i in range(3000)]
    report = ReplayReport()
    list(packets(ReplaySettings(write_csv(tmp_path / "a.csv", "\n".join(lines))), report))
    assert report.fs_hz == pytest.approx(fs_hz, rel=1e-5)


@pytest.mark.parametrize("lost", [1, 500, 1500, 2998])
@pytest.mark.parametrize("fs_hz", [125, 360])
def test_a_time_column_with_a_lost_row_names_the_row(tmp_path, lost, fs_hz):
    kept = [i for i in range(3000) if i != lost]
    lines = ["time_s,x"] + [f"{i / fs_hz:.3f},{i}" for i in kept]
    path = write_csv(tmp_path / "a.csv", "\n".join(lines))
    with pytest.raises(ReadError, match=rf"row {lost + 2}: time .*--fs"):
        packets(ReplaySettings(path))
    assert len(raw_rows(packets(ReplaySettings(path, fs_hz=fs_hz)))[1]) == 2999


def test_a_csv_without_times_asks_for_the_rate(tmp_path):
    path = write_csv(tmp_path / "a.csv", "a,b\n1,2\n3,4\n")
    with pytest.raises(ReadError, match=r"give it with --fs.*columns: a, b"):
        packets(ReplaySettings(path))
    described, rows = raw_rows(packets(ReplaySettings(path, fs_hz=50.0)))
    assert rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert [c.signal for c in described.channels] == ["a_au", "b_au"]


def test_the_user_names_columns_and_the_time(tmp_path):
    path = write_csv(tmp_path / "a.csv", "stamp,chan 1,rest\n0,1,x\n4,2,x\n8,3,x\n")
    columns = {"stamp": "time_ms", "chan 1": "ecg_mv:II"}
    report = ReplayReport()
    found = decode(packets(ReplaySettings(path, columns=columns), report))
    assert list(found) == [("replay:a", "ecg_mv", "II")]
    assert report.fs_hz == 250.0
    assert "'rest' is left out" in report.messages[0] or "not said" in report.messages[0]


def test_numbers_alone_are_one_column_without_a_name(tmp_path):
    path = write_csv(tmp_path / "a.csv", "530\n518\n506\n")
    described, rows = raw_rows(packets(ReplaySettings(path, fs_hz=100.0)))
    assert described.channels[0].signal == "column_1_au"
    assert rows[:, 0].tolist() == [530.0, 518.0, 506.0]


def test_empty_cells_are_missing_values(tmp_path):
    path = write_csv(tmp_path / "a.csv", "ecg_mv,pleth_au\n1,2\n,3\nNaN,4\n5,n/a\n")
    _, rows = raw_rows(packets(ReplaySettings(path, fs_hz=100.0)))
    assert np.isnan(rows).nonzero()[0].tolist() == [1, 2, 3]


def test_semicolons_decimal_commas_and_old_encodings_are_read(tmp_path):
    text = "Zeit;EKG [µV]\n0,000;1000,5\n0,004;2000\n0,008;3000\n"
    path = write_csv(tmp_path / "a.csv", text, "latin-1")
    columns = {"Zeit": "time_s"}
    values = decode(packets(ReplaySettings(path, columns=columns)))["replay:a", "ecg_mv", ""][1]
    np.testing.assert_allclose(values, [1.0005, 2.0, 3.0], rtol=1e-6)


def test_a_second_row_may_hold_the_units(tmp_path):
    path = write_csv(tmp_path / "a.csv", "'time','II'\n'ms','uV'\n0,1000\n4,2000\n8,3000\n")
    values = decode(packets(ReplaySettings(path)))["replay:a", "ecg_mv", "II"][1]
    assert values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ecg_mv,x\n1,2\n3\n", r"row 3: column 'x' is missing"),
        ("ecg_mv\n1\n2\nhello\n", r"row 4: 'hello' in column 'ecg_mv' is not a number"),
        ("ecg_mv\n", "no rows of numbers"),
        ("a,b\nx,y\nz,w\n", "no column of samples"),
        ("\x00\x01\x02\n", "not a text"),
        ("time_s,x\n0,1\n0,2\n0,3\n", "does not rise"),
        ("time_s,x\n0,1\nnan,2\n2,3\n", "does not rise"),
        ("Time [weeks],x\n0,1\n1,2\n2,3\n", "weeks"),
    ],
)
def test_a_csv_that_is_wrong_names_the_row(tmp_path, text, says):
    path = write_csv(tmp_path / "a.csv", text)
    fs_hz = None if text.lower().startswith("time") else 100.0
    with pytest.raises(ReadError, match=says):
        packets(ReplaySettings(path, fs_hz=fs_hz))


@given(st.text(max_size=200), st.sampled_from([None, 100.0]))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused_in_words(tmp_path_factory, text, fs_hz):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(text, "utf-8", newline="")
    with suppress(ReadError):
        assert list(packets(ReplaySettings(str(path), fs_hz=fs_hz)))


# Packet logs


def test_a_packet_log_keeps_its_own_times(tmp_path):
    path = tmp_path / "a.hwl"
    kept = [Packet("AA", "2a37", 1000.0 + i, bytes([i])) for i in range(10)]
    with PacketLogWriter(path) as log:
        for packet in kept:
            log.append(packet)
    report = ReplayReport()
    assert list(packets(ReplaySettings(str(path)), report)) == kept
    assert (report.kind, report.log.n_packets) == ("packets", 10)
    assert list(packets(ReplaySettings(str(path), from_s=2.0, to_s=4.0))) == kept[2:4]


def test_a_recording_written_to_a_log_replays_as_itself(tmp_path):
    path = write_wfdb(tmp_path, counts())
    cut = list(packets(ReplaySettings(path, chunk=100)))
    with PacketLogWriter(tmp_path / "a.hwl") as log:
        for packet in cut:
            log.append(packet)
    assert list(packets(ReplaySettings(str(tmp_path / "a.hwl")))) == cut


# The reader of the daemon


def run_reader(settings, now_s=1234.5):
    delivered = []

    async def main():
        await READER.run(settings, Rim(delivered.append, lambda: now_s))

    begun = time.monotonic()
    asyncio.run(main())
    return delivered, time.monotonic() - begun


def test_the_reader_plays_a_recording_as_if_it_began_now(tmp_path):
    path = write_wfdb(tmp_path, counts())
    delivered, _ = run_reader(ReplaySettings(path, speed=0.0, from_s=1.0))
    assert [p.arrived_s for p in delivered] == [1234.5, 1234.5, 1235.5]
    clocks = [frame.unpack(p.payload).clock_us for p in delivered]
    assert clocks == [1_234_500_000, 1_234_500_000, 1_235_500_000]


def test_the_reader_leaves_the_clock_of_a_board_in_a_log_alone(tmp_path):
    described = frame.Description(100.0, (frame.Channel("ecg_mv"),))
    kept = [
        Packet("board", frame.STREAM, 50.0, frame.pack(1, 0, 7, frame.pack_description(described))),
        Packet("board", frame.STREAM, 50.1, frame.pack(2, 1, 9, struct.pack("<h", 5))),
        Packet("board", frame.STREAM, 50.2, b"damaged on the wire"),
        Packet("strap", "2a37", 50.3, b"\x00\x48"),
    ]
    with PacketLogWriter(tmp_path / "a.hwl") as log:
        for packet in kept:
            log.append(packet)
    delivered, _ = run_reader(ReplaySettings(str(tmp_path / "a.hwl"), speed=0.0))
    assert [p.payload for p in delivered] == [p.payload for p in kept]
    assert [round(p.arrived_s, 6) for p in delivered] == [1234.5, 1234.6, 1234.7, 1234.8]


def test_the_reader_keeps_its_pace(tmp_path):
    path = write_wfdb(tmp_path, counts(2000), fs=100)
    run_reader(ReplaySettings(path, speed=0.0))
    _, took_s = run_reader(ReplaySettings(path, speed=100.0))
    assert 0.19 <= took_s < 0.6


def test_a_wrong_path_ends_the_reader_with_its_reason(tmp_path):
    with pytest.raises(ReadError, match="no recording"):
        run_reader(ReplaySettings(str(tmp_path / "none")))


# Real recordings


def test_half_an_hour_of_two_leads_is_packed_quickly():
    path = real("mitdb/101")
    list(packets(ReplaySettings(path, to_s=60.0)))
    stream = packets(ReplaySettings(path))
    begun = time.process_time()
    n = sum(1 for _ in stream)
    took_s = time.process_time() - begun
    assert n == 1806 + 181
    assert took_s < 0.2, f"reading and packing took {took_s * 1000:.0f} ms CPU"


@pytest.mark.parametrize(
    "name", ["mitdb/101", "cinc2015/records/a103l", "wfdb_samples/03700181", "qtdb_sample/sel100"]
)
def test_real_records_decode_to_what_the_library_says(name):
    path = real(name)
    found = decode(packets(ReplaySettings(path, to_s=60.0)))
    record = wfdb.rdrecord(path, smooth_frames=False)
    truth = dict(zip(record.sig_name, record.e_p_signal, strict=True))
    for (_, signal, lead), (_, values) in found.items():
        if signal == "ecg_mv":
            expected = truth[lead][: len(values)]
            np.testing.assert_allclose(values, expected, rtol=3e-7, atol=1e-6)


def test_the_real_bidmc_csv_is_read():
    report = ReplayReport()
    found = decode(packets(ReplaySettings(real("bidmc_sample/bidmc_01_Signals.csv")), report))
    assert report.fs_hz == 125.0
    assert [(key[1], key[2]) for key in found] == [
        ("resp_au", ""),
        ("pleth_au", ""),
        ("ecg_mv", "V"),
        ("ecg_mv", "AVR"),
        ("ecg_mv", "II"),
    ]
