"""What goes over the wire, written down a second time: what the fleet's boxes say and understand.

Of the product's `edge.sync.wire` nothing is used: where the two differ, one of them does not keep
to what is agreed (README, "The wire"), and the rigs fail.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ROOT: Final = "homeward/v1"
MAX_BYTES: Final = 24 * 1024


def canonical(what: Any) -> bytes:
    return msgspec.json.encode(what, order="sorted")


def digest(resources: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(canonical(list(resources))).hexdigest()


def envelope(box: str, kind: str, entries: Sequence[Mapping[str, Any]]) -> bytes:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    what = {"schema": "homeward-sync/1", "box": box, "kind": kind, "sent_utc": now}
    return msgspec.json.encode({**what, "entries": list(entries)})


def receipt(box: str, stored: Mapping[str, str], key: Ed25519PrivateKey) -> bytes:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    unsigned = {
        "schema": "homeward-receipt/1",
        "box": box,
        "at_utc": now,
        "stored": dict(stored),
        "refused": {},
    }
    signature = base64.b64encode(key.sign(canonical(unsigned))).decode()
    return msgspec.json.encode({**unsigned, "signature": signature})


def stored_in(said: bytes, key: Ed25519PublicKey | None) -> dict[str, str]:
    """Return what a receipt vouches for; InvalidSignature: nobody's word."""
    what = msgspec.json.decode(said)
    signature = base64.b64decode(what.pop("signature"))
    if key is not None:
        key.verify(signature, canonical(what))
    return dict(what["stored"])


def observation(uuid: str, n: int) -> dict[str, Any]:
    """Return a resource of the size that a summary has, with a number in it."""
    parts = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {
                "value": n % 50 + i,
                "unit": unit,
                "system": "http://unitsofmeasure.org",
                "code": unit,
            },
        }
        for i, (code, unit) in enumerate(
            [("8867-4", "/min"), ("59408-5", "%"), ("9279-1", "/min"), ("8310-5", "Cel")]
        )
    ]
    return {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:example:homeward", "value": uuid}],
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85353-1"}]},
        "subject": {"identifier": {"value": "p-7f3a"}},
        "effectivePeriod": {"start": "2026-11-22T02:00:00Z", "end": "2026-11-22T02:05:00Z"},
        "component": parts,
    }
