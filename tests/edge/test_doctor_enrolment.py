"""The doctor on a box's certificate: told 30 days before it ends, by a clock that is right."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from edge.doctor.enrolment import check_enrolment
from edge.doctor.findings import Health
from edge.enrol.folder import CHAIN, NOTE, sync_folder
from edge.enrol.installing import begin, install, request_of
from tests.rigs.net.pki import BOX, Pki

NOW_S = datetime.now(UTC).timestamp()
DAY_S = 86400.0


def found(home, at_s=NOW_S, *, synchronised=True):
    rows = check_enrolment(home, synchronised=synchronised, now_utc_s=at_s)
    return [(row.health, row.found) for row in rows]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "pki").mkdir()
    pki, folder = Pki(tmp_path / "pki"), sync_folder(tmp_path)
    begin(folder, BOX, NOW_S)
    public = x509.load_pem_x509_csr(request_of(folder)).public_key()
    chain = pki.sign(None, BOX, public=public).chain.read_bytes()
    install(folder, chain, pki.ca.file.read_bytes(), None, NOW_S)
    return tmp_path


def test_a_box_that_is_known_to_nobody_has_no_row(tmp_path):
    assert found(tmp_path) == []


def test_a_good_certificate_is_told_with_its_end(home):
    ((health, text),) = found(home)
    assert health is Health.OK
    assert text.startswith(f"{BOX}, until 20")


def test_its_end_is_told_thirty_days_before_unless_the_clock_is_wrong(home):
    ((health, text),) = found(home, NOW_S + 280 * DAY_S)
    assert (health, "days: run `homeward enrol --renew`" in text) == (Health.WARN, True)
    assert found(home, NOW_S + 280 * DAY_S, synchronised=False) == []


def test_files_that_are_damaged_are_told(home):
    (sync_folder(home) / CHAIN).resolve().unlink()
    assert found(home)[0][0] is Health.WARN
    (sync_folder(home) / NOTE).resolve().write_bytes(b"junk")
    ((health, text),) = found(home)
    assert (health, "cannot be read" in text) == (Health.WARN, True)
