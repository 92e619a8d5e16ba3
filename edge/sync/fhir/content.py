"""An entry of the outbox -> resources."""

from __future__ import annotations

from edge.egress.outbox import Handed
from edge.sync.fhir.alerts import issue_of
from edge.sync.fhir.parts import ContentError
from edge.sync.fhir.summaries import observations_of
from edge.sync.parcel import Resource


def resources_of(handed: Handed) -> tuple[Resource, ...]:
    """Return what an entry says, as FHIR R4; none for a request to delete.

    The same entry gives the same resources, byte for byte: a repeat has the same digest.

    Raises
    ------
    ContentError
        It says nothing, or its id is no uuid, or not that of what it holds.
    """
    told = handed.alert or handed.summary
    if told is not None and told.uuid != handed.uuid:
        raise ContentError(f"entry {handed.seq} of the outbox holds what belongs to another entry")
    if handed.alert is not None:
        return (issue_of(handed.alert),)
    if handed.summary is not None:
        return observations_of(handed.summary)
    if handed.erase is not None:
        return ()
    raise ContentError(handed.trouble or f"entry {handed.seq} of the outbox says nothing")
