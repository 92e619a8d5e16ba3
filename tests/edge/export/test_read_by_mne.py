"""EDF+ read back by MNE: names, units, values, times, gaps and what is written beside them."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge.export.edfplus import write_edf
from edge.export.span import Origin
from tests.edge.export.drifting import FS_HZ, STARTS_S, drifting, span_of, true_times_s

mne = pytest.importorskip("mne", reason="reads EDF+ as others do")

PPM = 200.0
LOST = ((STARTS_S + 80.0, STARTS_S + 92.0),)
BEGAN = datetime(2026, 11, 22, 22, 0, 0, 250_000, tzinfo=UTC)
MV = 1e-3  # MNE gives volts
FLOAT32_MV = 4e-6


@pytest.fixture(name="night", scope="module")
def a_night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    origin = Origin(BEGAN - timedelta(seconds=STARTS_S), "given")
    span, spool = span_of(drifting(200.0, PPM, LOST), folder, origin=origin)
    with spool:
        path = folder / "night.edf"
        write_edf(path, span)
        yield span, path


@pytest.fixture(name="read", scope="module")
def read_by_mne(night):
    return mne.io.read_raw_edf(night[1], preload=True, verbose="error")


def test_names_units_rate_and_start_are_ours(night, read):
    span, _ = night
    assert read.ch_names == ["ECG II"]
    assert read.info["sfreq"] == FS_HZ
    # EDF holds whole seconds; the fraction is in the first annotation, which MNE leaves there.
    started = read.info["meas_date"]
    assert 0.0 <= (span.origin.at(span.from_s) - started).total_seconds() < 1.0


def test_values_are_within_half_a_quantum_and_at_their_times(night, read):
    span, path = night
    values_mv = read.get_data()[0] / MV
    low_mv, high_mv = physical_range(path)
    quantum_mv = (high_mv - low_mv) / 65535
    nothing = values_mv < low_mv + quantum_mv / 2
    there = np.where(nothing, np.nan, values_mv)
    # Each sample's value is its number, in thousandths.
    idx = np.rint(there * 1000)
    assert np.nanmax(np.abs(there - idx / 1000)) <= quantum_mv / 2 + FLOAT32_MV
    off_s = np.abs(span.from_s + read.times - true_times_s(idx, PPM))
    assert np.nanmax(off_s) < 0.2
    assert np.nanquantile(off_s, 0.95) < 0.03
    assert nothing.sum() == pytest.approx(12.0 * FS_HZ, abs=0.2 * FS_HZ)
    # The control: one quantum off is seen.
    shifted = there + quantum_mv
    assert np.nanmax(np.abs(shifted - np.rint(shifted * 1000) / 1000)) > quantum_mv / 2 + FLOAT32_MV


def test_a_gap_is_an_annotation_at_its_time(night, read):
    span, _ = night
    (gap,) = [one for one in read.annotations if one["description"].startswith("no samples")]
    assert gap["description"] == "no samples: ecg_mv II of uart:board"
    assert gap["onset"] == pytest.approx(LOST[0][0] - span.from_s, abs=0.2)
    assert gap["duration"] == pytest.approx(12.0, abs=0.2)


def physical_range(path):
    """The first channel's physical minimum and maximum, from the header's own bytes."""
    raw = path.read_bytes()
    n = int(raw[252:256])
    at = 256 + n * (16 + 80 + 8)
    low, high = raw[at : at + 8], raw[at + n * 8 : at + n * 8 + 8]
    assert re.fullmatch(rb"-?[0-9.]+ *", low)
    return float(low), float(high)
