import copy
import json
import math
from datetime import UTC, datetime

import pytest

from edge.export.fhir import write_fhir
from edge.export.span import Origin
from edge.records import Reading
from tests.edge.export.drifting import drifting, span_of
from tests.edge.export.fhir_rules import faults

ORIGIN = Origin(datetime(2026, 11, 22, 21, tzinfo=UTC), "synced")


def reading(signal, value, at_s=30.0, name="r"):
    return Reading(name, "patient-1", "ble:cuff", signal, value, at_s, 1.5, 31.0, False)


@pytest.fixture(name="bundle")
def a_bundle(tmp_path):
    span, spool = span_of(drifting(70.0, lost=((40.0, 45.0),)), tmp_path, origin=ORIGIN)
    readings = [
        reading("nibp_sys_mmhg", 128.0),
        reading("spo2_pct", 97.0),
        reading("glucose_mgdl", math.nan),
        reading("temp_degc", 36.7, 5000.0),  # not of this span
    ]
    with spool:
        n = write_fhir(tmp_path / "b.json", span, readings)
    bundle = json.loads((tmp_path / "b.json").read_text())
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert kinds.count("Observation") == n
    assert (kinds.count("Patient"), kinds.count("Device")) == (1, 2)
    return bundle


def test_every_resource_has_what_r4_requires(bundle):
    assert faults(bundle) == []


def test_another_library_reads_every_resource(bundle):
    # FHIR R4B: of what we write it differs from R4 in nothing.
    r4b = pytest.importorskip("fhir.resources.R4B.bundle", reason="reads FHIR as others do")
    read = r4b.Bundle.model_validate(bundle)
    values = [entry.resource for entry in read.entry]
    assert [value.get_resource_type() for value in values] == [
        entry["resource"]["resourceType"] for entry in bundle["entry"]
    ]
    wave = next(value for value in values if getattr(value, "valueSampledData", None))
    assert float(wave.valueSampledData.period) == pytest.approx(4.0, rel=1e-3)
    # It holds names and types, and no required bindings: those are checked above by our own rules.
    wrong = copy.deepcopy(bundle)
    wrong["entry"][-1]["resource"]["status"] = "done"
    r4b.Bundle.model_validate(wrong)
    assert faults(wrong)
    wave = next(e["resource"] for e in wrong["entry"] if "valueSampledData" in e["resource"])
    wave["sampledData"] = wave.pop("valueSampledData")
    with pytest.raises(ValueError, match="sampled"):
        r4b.Bundle.model_validate(wrong)


SPOILT = {
    "status": lambda o: o.update(status="done"),
    "code": lambda o: o.pop("code"),
    "subject": lambda o: o["subject"].update(reference="Patient/1"),
    "value": lambda o: o.update(value=3),
    "data": lambda o: o["valueSampledData"].update(data="1 2 x"),
    "period": lambda o: o["valueSampledData"].update(period=0),
    "unit": lambda o: o["valueSampledData"]["origin"].update(code="millivolts"),
    "dimensions": lambda o: o["valueSampledData"].pop("dimensions"),
    "time": lambda o: o["effectivePeriod"].update(start="22.11.2026"),
    "category": lambda o: o["category"][0]["coding"][0].update(code="waves"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_the_check_itself_finds_what_is_wrong(bundle, what):
    spoilt = copy.deepcopy(bundle)
    wave = next(e["resource"] for e in spoilt["entry"] if "valueSampledData" in e["resource"])
    SPOILT[what](wave)
    assert faults(spoilt)


def test_a_measurement_is_a_vital_sign_in_ucum_and_an_invalid_one_says_so(bundle):
    by_code = {
        e["resource"]["code"]["text"]: e["resource"]
        for e in bundle["entry"]
        if e["resource"]["resourceType"] == "Observation"
    }
    pressure = by_code["nibp_sys_mmhg"]
    assert pressure["valueQuantity"]["value"] == 128.0
    assert pressure["valueQuantity"]["code"] == "mm[Hg]"
    assert pressure["code"]["coding"][0]["code"] == "8480-6"
    assert pressure["category"][0]["coding"][0]["code"] == "vital-signs"
    assert pressure["effectiveDateTime"].startswith("2026-11-22T21:00:30")
    saturation = [c["code"] for c in by_code["spo2_pct"]["code"]["coding"]]
    assert saturation[:2] == ["59408-5", "2708-6"]
    assert by_code["glucose_mgdl"]["dataAbsentReason"]["coding"][0]["code"] == "error"
    assert "temp_degc" not in by_code


def test_nothing_but_the_pseudonym_is_told_of_the_patient(bundle):
    (patient,) = [
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient"
    ]
    assert patient == {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:homeward:patient", "value": "patient-1"}],
    }
