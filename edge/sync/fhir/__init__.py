"""What leaves, as FHIR R4 (4.0.1): plain JSON, and nothing in it that is not on the list.

    codes       every system and code we use, ours and others', in one place
    parts       identifiers, references, quantities, times
    alerts      one state of one alert -> one DetectedIssue
    summaries   one period -> an Observation of it all, and one a vital sign
    bundles     transactions: conditional creates, requests to delete; the box as a Device
    reading     and back again: what a receiver's tables need to know of it

Made from the structs of `edge.egress` alone; patients and boxes are logical references by their
pseudonyms, no Patient resource is ever made. Each resource has one identifier of its own
(`SYSTEM` and a bare uuid), so that creating it again makes no second one; it never equals the
entry's ``fullUrl``, which servers rewrite. Its ``meta.tag`` says which version of which content
it is. Codes without a system of somebody else's have a system under ``urn:homeward:``.

Pure: no clock, no disk, no network.
"""

from __future__ import annotations

from edge.sync.fhir.bundles import bundle, device_of, erase_bundle
from edge.sync.fhir.codes import SYSTEM
from edge.sync.fhir.content import resources_of
from edge.sync.fhir.parts import ContentError

__all__ = ["SYSTEM", "ContentError", "bundle", "device_of", "erase_bundle", "resources_of"]
