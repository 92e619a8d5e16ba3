"""FHIR R4 (4.0.1) as far as we write it: fields, how many, types, required bindings, invariants.

Written from hl7.org/fhir/R4 (observation, detectedissue, device, bundle, datatypes), not from our
own code. ``?`` at most one, ``!`` exactly one, ``*`` any number, ``+`` one or more. A type in
quotation marks of `BINDINGS` is a code bound to that set (strength: required).
"""

import re
from datetime import datetime

BINDINGS = {
    "observation-status": "registered preliminary final amended corrected cancelled "
    "entered-in-error unknown",
    "detectedissue-severity": "high moderate low",
    "device-status": "active inactive entered-in-error unknown",
    "device-nametype": "udi-label-name user-friendly-name patient-reported-name manufacturer-name "
    "model-name other",
    "identifier-use": "usual official temp secondary old",
    "bundle-type": "document message transaction transaction-response batch batch-response history "
    "searchset collection",
    "http-verb": "GET HEAD POST PUT DELETE PATCH",
    "quantity-comparator": "< <= >= >",
}
BINDINGS = {name: frozenset(codes.split()) for name, codes in BINDINGS.items()}

_RESOURCE = "resourceType:type! id:id? meta:Meta? contained:Resource* "
_VALUES = (
    "valueQuantity:Quantity? valueCodeableConcept:CodeableConcept? valueString:string? "
    "valueBoolean:boolean? valueInteger:integer? valueRange:Range? valueDateTime:dateTime? "
    "valuePeriod:Period? "
)
_TYPES = {
    "Extension": "url:uri! valueCode:code? valueDecimal:decimal? valueDateTime:dateTime? "
    "valueUnsignedInt:unsignedInt?",
    "Meta": "tag:Coding*",
    "Coding": "system:uri? code:code? display:string?",
    "CodeableConcept": "coding:Coding* text:string?",
    "Identifier": "use:'identifier-use'? system:uri? value:string?",
    "Reference": "reference:string? type:uri? identifier:Identifier? display:string?",
    "Quantity": "value:decimal? comparator:'quantity-comparator'? unit:string? system:uri? "
    "code:code?",
    "SimpleQuantity": "value:decimal? unit:string? system:uri? code:code?",
    "Range": "low:SimpleQuantity? high:SimpleQuantity?",
    "Period": "start:dateTime? end:dateTime?",
    "Observation": _RESOURCE + _VALUES + "identifier:Identifier* status:'observation-status'! "
    "category:CodeableConcept* code:CodeableConcept! subject:Reference? "
    "effectiveDateTime:dateTime? effectivePeriod:Period? method:CodeableConcept? "
    "device:Reference? dataAbsentReason:CodeableConcept? component:Observation.component*",
    "Observation.component": _VALUES + "code:CodeableConcept! dataAbsentReason:CodeableConcept?",
    "DetectedIssue": _RESOURCE + "identifier:Identifier* status:'observation-status'! "
    "code:CodeableConcept? severity:'detectedissue-severity'? patient:Reference? "
    "identifiedDateTime:dateTime? identifiedPeriod:Period? author:Reference? "
    "implicated:Reference* evidence:DetectedIssue.evidence* detail:string? reference:uri? "
    "mitigation:DetectedIssue.mitigation*",
    "DetectedIssue.evidence": "code:CodeableConcept* detail:Reference*",
    "DetectedIssue.mitigation": "action:CodeableConcept! date:dateTime? author:Reference?",
    "Device": _RESOURCE + "identifier:Identifier* status:'device-status'? manufacturer:string? "
    "deviceName:Device.deviceName* type:CodeableConcept? version:Device.version*",
    "Device.deviceName": "name:string! type:'device-nametype'!",
    "Device.version": "type:CodeableConcept? value:string!",
    "Bundle": "resourceType:type! type:'bundle-type'! entry:Bundle.entry*",
    "Bundle.entry": "fullUrl:uri? resource:Resource? request:Bundle.entry.request?",
    "Bundle.entry.request": "method:'http-verb'! url:uri! ifNoneExist:string?",
}
TYPES = {
    kind: dict(field.split(":") for field in f"{fields} extension:Extension*".split())
    for kind, fields in _TYPES.items()
}
RESOURCES = {"Observation", "DetectedIssue", "Device", "Bundle"}
UCUM = {"/min", "%", "Cel", "s", "1", "{ScoreOf}"}
_CATEGORIES = "social-history vital-signs imaging laboratory procedure survey exam therapy activity"
CATEGORIES = frozenset(_CATEGORIES.split())
VITAL_CODES = {"8867-4", "9279-1", "8310-5", "2708-6", "8889-8"}

_DATE_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
    r"(Z|[+-](0\d|1[0-4]):[0-5]\d)"
)
_URI = re.compile(r"(https?://|urn:)[^\s]+|[A-Za-z]+(\?[^\s]+)?")
PRIMITIVES = {
    "type": lambda told: told in RESOURCES,
    "id": lambda told: re.fullmatch(r"[A-Za-z0-9.-]{1,64}", told) is not None,
    "uri": lambda told: _URI.fullmatch(told) is not None,
    "code": lambda told: re.fullmatch(r"[^\s]+(\s[^\s]+)*", told) is not None,
    "string": lambda told: (
        bool(told.strip()) and all(c.isprintable() or c in "\n\r\t" for c in told)
    ),
    "boolean": lambda told: isinstance(told, bool),
    "integer": lambda told: _whole(told) and abs(told) < 1 << 31,
    "unsignedInt": lambda told: _whole(told) and 0 <= told < 1 << 31,
    "decimal": lambda told: isinstance(told, int | float) and not isinstance(told, bool),
    "dateTime": lambda told: _DATE_TIME.fullmatch(told) is not None,
}


def faults(resource):
    """Return every rule a resource breaks, in words; none for one that is right."""
    kind = resource.get("resourceType")
    if kind not in RESOURCES:
        return [f"no resource: {kind}"]
    found = list(_structure(resource, kind, kind))
    return found or list(_invariants(resource, kind))


def _structure(told, kind, at):
    """Check fields, how many, and types."""
    if not isinstance(told, dict) or not told:
        yield f"{at} is empty or no object"  # ele-1
        return
    known = TYPES[kind]
    yield from (f"{at}.{name} does not exist" for name in told.keys() - known.keys())
    for name, said in known.items():
        of, many = said[:-1], said[-1]
        if name not in told:
            if many in "!+":
                yield f"{at}.{name} is missing"
            continue
        value = told[name]
        if (many in "*+") != isinstance(value, list):
            yield f"{at}.{name} is {'one' if many in '*+' else 'several'}"
            continue
        if value == []:
            yield f"{at}.{name} is an empty list"
        for one in value if isinstance(value, list) else [value]:
            yield from _value(one, of, f"{at}.{name}")
    choices = [
        [name for name in told if re.match(rf"{stem}[A-Z]", name)]
        for stem in ("value", "effective", "identified")
    ]
    yield from (f"{at} has {names}" for names in choices if len(names) > 1)


def _value(value, of, at):
    if of.startswith("'"):
        if value not in BINDINGS[of.strip("'")]:
            yield f"{at} is {value!r}"
    elif of == "Resource":
        yield from (f"{at}: {fault}" for fault in faults(value))
    elif of in TYPES:
        yield from _structure(value, of, at)
    elif not (isinstance(value, str) or of in ("boolean", "integer", "unsignedInt", "decimal")):
        yield f"{at} is no {of}"
    elif not PRIMITIVES[of](value):
        yield f"{at} is no {of}: {value!r}"


def _invariants(resource, kind):
    """Check what holds between fields, and the codes whose systems we know."""
    for at, one in _walk(resource, kind):
        yield from (f"{at}: {fault}" for fault in _between(one, at))
    if kind == "Observation":
        yield from _observation(resource)
    held = [f"#{one.get('id')}" for one in resource.get("contained", ())]
    used = [one["reference"] for _, one in _walk(resource, kind) if "reference" in one]
    if kind != "Bundle" and sorted(held) != sorted(used):
        yield f"contained {held}, referred to {used} (dom-3)"
    if kind == "Bundle":
        yield from _bundle(resource)


def _between(one, at):
    if "low" in one and "high" in one and one["low"]["value"] > one["high"]["value"]:
        yield "low above high (rng-2)"
    if {"start", "end"} <= one.keys():
        start, end = (datetime.fromisoformat(one[side]) for side in ("start", "end"))
        if start > end:
            yield "ends before it starts (per-1)"
    if "code" in one and "unit" in one and "system" not in one:
        yield "a unit's code without its system (qty-3)"
    if one.get("system") == "http://unitsofmeasure.org" and one.get("code") not in UCUM:
        yield f"unit {one.get('code')!r}"
    values = any(name.startswith("value") for name in one)
    if at.endswith("xtension") and ("extension" in one) == values:
        yield "both value and extensions, or neither (ext-1)"


def _observation(resource):
    values = [name for name in resource if name.startswith("value")]
    if "dataAbsentReason" in resource and values:
        yield "a value, and a reason why there is none (obs-6)"
    categories = [c for group in resource.get("category", ()) for c in group["coding"]]
    if any(c["code"] not in CATEGORIES for c in categories):
        yield "category"
    codes = {c.get("code") for c in resource["code"].get("coding", ())}
    if codes & VITAL_CODES or any(c["code"] == "vital-signs" for c in categories):
        # hl7.org/fhir/R4/vitalsigns.html
        if "subject" not in resource or not {"effectivePeriod", "effectiveDateTime"} & set(
            resource
        ):
            yield "a vital sign without whom or when"
        if not any(c["code"] == "vital-signs" for c in categories):
            yield "a vital sign without its category"
        if not {"value", "unit", "system", "code"} <= resource.get("valueQuantity", {}).keys():
            yield "a vital sign without its unit"
        if "59408-5" in codes and "2708-6" not in codes:
            yield "a saturation without its general code"


def _bundle(resource):
    addresses = [one.get("fullUrl") for one in resource["entry"] if "resource" in one]
    if len(set(addresses)) != len(addresses):
        yield "a fullUrl twice (bdl-7)"
    for one in resource["entry"]:
        if resource["type"] == "transaction" and "request" not in one:
            yield "an entry of a transaction without its request (bdl-3)"
        own = {i["value"] for i in one.get("resource", {}).get("identifier", ())}
        if one.get("fullUrl", "").removeprefix("urn:uuid:") in own:
            yield "fullUrl and identifier are the same: servers rewrite it"


def _walk(told, at):
    """Give every object within, with where it is."""
    if isinstance(told, dict):
        yield at, told
        for name, value in told.items():
            yield from _walk(value, f"{at}.{name}")
    elif isinstance(told, list):
        for value in told:
            yield from _walk(value, at)


def _whole(told):
    return isinstance(told, int) and not isinstance(told, bool)
