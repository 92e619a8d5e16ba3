"""Transactions: all of a Bundle is taken, or nothing (hl7.org/fhir/R4/http.html#transaction).

Every resource is a conditional create: a server that has one with its identifier already answers
200 and keeps that, so a message may come any number of times. The entries stand in the order of
the items and of their resources.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from edge.egress.bounds import MAX_NAME
from edge.egress.messages import EraseOut, HeartbeatOut
from edge.sync.fhir.codes import BOX, SYSTEM
from edge.sync.fhir.parts import ContentError, entry_id, identifier, part_id, text
from edge.sync.fhir.summaries import PARTS
from edge.sync.parcel import Item, Resource

MAX_ERASED_AT_ONCE: Final = 24
"""Ids whose deletion fits into one message (`edge.sync.parcel.MAX_PARCEL_BYTES`); the store puts no
more into one request."""


def bundle(items: Sequence[Item]) -> Resource:
    """Return a transaction that creates every resource of the items that is not there yet.

    Raises
    ------
    ContentError
        A resource has no identifier of ours.
    """
    return _transaction([_create(one) for item in items for one in item.resources])


def erase_bundle(erase: EraseOut) -> Resource:
    """Return a transaction that deletes what earlier messages made, whatever that was.

    An entry was one alert or a summary of several Observations; nobody remembers which. Deleting
    what is not there is no error (hl7.org/fhir/R4/http.html#cdelete), and each condition meets one
    resource at most, so a server need not allow many to be deleted at once.

    Raises
    ------
    ContentError
        One of them is no uuid.
    """
    entries: list[Resource] = []
    for uuid in erase.uuids:
        known_as = str(entry_id(uuid))
        entries.append(_delete("DetectedIssue", known_as))
        entries.append(_delete("Observation", known_as))
        entries += [_delete("Observation", part_id(uuid, name)) for name in PARTS]
    return _transaction(entries)


def device_of(beat: HeartbeatOut) -> Resource:
    """Return the box as a Device; to be put where a Device has its identifier.

    Raises
    ------
    ContentError
        The box has no pseudonym yet.
    """
    box = text(beat.box, MAX_NAME)
    if not box:
        raise ContentError("a box without a pseudonym cannot be told apart from others")
    found: Resource = {
        "resourceType": "Device",
        "identifier": [identifier(BOX, box)],
        "status": "active",
        "deviceName": [{"name": "Homeward", "type": "model-name"}],
        "type": {"text": "bedside monitor"},
    }
    if version := text(beat.version, MAX_NAME):
        found["version"] = [{"value": version}]
    return found


def device_entry(beat: HeartbeatOut) -> Resource:
    """Return the entry of a transaction that writes the box: created once, then brought up to date.

    Raises
    ------
    ContentError
        As `device_of`.
    """
    told = device_of(beat)
    box = told["identifier"][0]["value"]
    return {
        "fullUrl": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{BOX}:{box}')}",
        "resource": told,
        "request": {"method": "PUT", "url": f"Device?identifier={BOX}|{box}"},
    }


def _transaction(entries: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _create(resource: Resource) -> Resource:
    known_as = next(
        (one["value"] for one in resource.get("identifier", ()) if one["system"] == SYSTEM), None
    )
    if known_as is None:
        raise ContentError("a resource without an identifier of ours: it would be made twice")
    kind = resource["resourceType"]
    # Never the identifier itself: servers take it for a reference and write their own id there.
    return {
        "fullUrl": f"urn:uuid:{part_id(known_as, 'fullUrl')}",
        "resource": resource,
        "request": {
            "method": "POST",
            "url": kind,
            "ifNoneExist": f"identifier={SYSTEM}|{known_as}",
        },
    }


def _delete(kind: str, known_as: str) -> Resource:
    url = f"{kind}?identifier={SYSTEM}|{known_as}"
    return {"request": {"method": "DELETE", "url": url}}
