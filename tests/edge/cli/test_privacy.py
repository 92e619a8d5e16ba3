"""The ledger adds up what summaries have told, from the messages as they left."""

import json

import msgspec

from edge.cli._codes import print_codes
from edge.cli._egress import Row, print_list
from edge.cli._privacy import spent_by, summaries_in
from edge.cli._record import When
from edge.egress.allowed import Content
from edge.egress.private import blur
from edge.store import Sent
from edge.sync.fhir import bundle, resources_of
from edge.sync.fhir.codes import OWN
from edge.sync.parcel import Item
from tests.edge.sync.fhir.made import ALERT, OTHER, PATIENT, SUMMARY, UUID, handed

BLURRED = blur(SUMMARY, 0.25, b"sixteen bytes of")


def sent(body, kind="summary"):
    whole = (1, "run", "boot", "u", 1.0, None, None, None, "sync", "clinic", "h", kind, 2, "", "")
    return Sent(*whole, 1, len(body or b""), "", "", (), late=False, erased=body is None, body=body)


def message(*summaries):
    """As the sender puts it on the wire."""
    entries = [{"uuid": s.uuid, "seq": 1, "resources": resources_of(handed(s))} for s in summaries]
    return msgspec.json.encode({"schema": "homeward-sync/1", "entries": entries})


def transaction(*summaries):
    items = [Item(handed(s), Content.SUMMARY, resources_of(handed(s))) for s in summaries]
    return msgspec.json.encode(bundle(items))


def test_a_blurred_summary_counts_once_however_often_and_in_whatever_form_it_was_sent():
    other = msgspec.structs.replace(BLURRED, uuid=UUID)
    lines = message(BLURRED) + b"\n" + message(other) + b"\n"
    found = spent_by([sent(message(BLURRED)), sent(transaction(BLURRED, other)), sent(lines)])
    assert [(s.day, s.patient, s.epsilon, s.n_blurred, s.n_exact) for s in found] == [
        ("2026-11-22", PATIENT, 0.5, 2, 0)
    ]


def test_an_exact_summary_is_said_to_be_exact():
    (told,) = spent_by([sent(message(SUMMARY))])
    assert (told.epsilon, told.n_blurred, told.n_exact) == (0.0, 0, 1)


def test_what_is_no_summary_or_cannot_be_read_adds_nothing():
    alert = msgspec.json.encode(resources_of(handed(ALERT)))
    deep = b"[" * 5000 + b"]" * 5000
    for body in (alert, b"", b"\xff\x00", b"3", b'{"resourceType":"Observation"}', deep):
        assert [*summaries_in(body)] == []
    assert spent_by([sent(None), sent(message(BLURRED), kind="alert")]) == ()


def test_the_list_shows_it(capsys):
    rows = [Row(sent(message(BLURRED, SUMMARY)), When(None, None, None), ("sent",))]
    print_list(rows, [], 0, json=False)
    assert "epsilon 0.25 spent on 1 blurred summary" not in capsys.readouterr().out  # the same id
    exact = msgspec.structs.replace(SUMMARY, uuid=UUID)
    rows = [Row(sent(message(BLURRED, exact)), When(None, None, None), ("sent",))]
    print_list(rows, [], 0, json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "epsilon 0.25 spent on 1 blurred summary" in shown
    assert "1 summary left exact" in shown
    print_list(rows, [], 0, json=True)
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = [fact for fact in facts if fact["record"] == "privacy_spent"]
    assert (told["epsilon"], told["patient"], told["n_exact"]) == (0.25, PATIENT, 1)
    assert facts[-1]["record"] == "ledger"
    assert BLURRED.uuid == OTHER


def test_every_code_of_ours_is_printed_with_its_meaning(capsys):
    print_codes(json=False)
    shown = capsys.readouterr().out
    for system, codes in OWN.items():
        assert system in shown
        assert all(f"{code}: {meaning}" in shown for code, meaning in codes.items())
    print_codes(json=True)
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert facts[-1] == {"record": "fhir_codes", "n_codes": len(facts) - 1}
