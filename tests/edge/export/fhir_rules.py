"""What FHIR R4 requires of the resources we write: fields, types, required bindings."""

import re

BUNDLE_TYPES = {
    "document",
    "message",
    "transaction",
    "transaction-response",
    "batch",
    "batch-response",
    "history",
    "searchset",
    "collection",
}
STATUS = {
    "registered",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "cancelled",
    "entered-in-error",
    "unknown",
}
NAME_TYPES = {
    "udi-label-name",
    "user-friendly-name",
    "patient-reported-name",
    "manufacturer-name",
    "model-name",
    "other",
}
CATEGORIES = {
    "social-history",
    "vital-signs",
    "imaging",
    "laboratory",
    "procedure",
    "survey",
    "exam",
    "therapy",
    "activity",
}
UCUM = {"mV", "ms", "/min", "%", "Cel", "[g]", "[arb'U]", "1", "mm[Hg]", "mg/dL", "kg", "Ohm"}
DATE_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
    r"(Z|[+-]\d{2}:\d{2})"
)
DATA = re.compile(r"(-?\d+(\.\d+)?|[EUL])( (-?\d+(\.\d+)?|[EUL]))*")
ADDRESS = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FIELDS = {
    "Patient": {"resourceType", "identifier"},
    "Device": {"resourceType", "identifier", "deviceName"},
    "Observation": {
        "resourceType",
        "status",
        "category",
        "code",
        "subject",
        "device",
        "effectiveDateTime",
        "effectivePeriod",
        "valueSampledData",
        "valueQuantity",
        "dataAbsentReason",
        "note",
    },
}


def faults(bundle):
    """Every rule the bundle breaks, in words; none for one that is right."""
    found = []
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in BUNDLE_TYPES:
        found.append("not a Bundle of a known type")
    addresses = [entry.get("fullUrl", "") for entry in bundle["entry"]]
    if len(set(addresses)) != len(addresses) or not all(map(ADDRESS.fullmatch, addresses)):
        found.append("addresses are not unique urn:uuid")
    for entry in bundle["entry"]:
        resource = entry["resource"]
        kind = resource.get("resourceType")
        found += [f"{kind} has no {name}" for name in set(resource) - FIELDS.get(kind, set())]
        if kind == "Observation":
            found += observation_faults(resource, set(addresses))
        elif kind == "Device":
            names = {name.get("type") for name in resource["deviceName"]}
            found += [f"deviceName.type {name}" for name in names - NAME_TYPES]
    return found


def observation_faults(resource, addresses):
    """The rules one Observation breaks."""
    found = [] if resource.get("status") in STATUS else [f"status {resource.get('status')}"]
    found += code_faults(resource)
    found += [
        f"{name} is not in the bundle"
        for name in ("subject", "device")
        if resource.get(name, {}).get("reference") not in addresses
    ]
    values = [name for name in resource if name.startswith("value")]
    if len(values) + ("dataAbsentReason" in resource) != 1:
        found.append(f"values: {values}")
    if len([name for name in resource if name.startswith("effective")]) > 1:
        found.append("effective twice")
    found += time_faults(resource)
    if "valueQuantity" in resource:
        found += quantity_faults(resource["valueQuantity"])
    if "valueSampledData" in resource:
        found += sampled_faults(resource["valueSampledData"])
    return found


def code_faults(resource):
    """What is wrong with its code and category."""
    found = [] if resource.get("code", {}).get("coding") else ["no code"]
    groups = [resource.get("code", {"coding": []}), *resource["category"]]
    for coding in (coding for group in groups for coding in group["coding"]):
        if not (coding.get("system", "").startswith(("http://", "urn:")) and coding["code"]):
            found.append(f"coding {coding}")  # noqa: PERF401
    if {c["code"] for group in resource["category"] for c in group["coding"]} - CATEGORIES:
        found.append("category")
    return found


def time_faults(resource):
    """What is wrong with its times."""
    period = resource.get("effectivePeriod", {})
    times = [resource.get("effectiveDateTime"), period.get("start"), period.get("end")]
    found = [f"time {at}" for at in times if at is not None and not DATE_TIME.fullmatch(at)]
    if period and period["start"] > period["end"]:
        found.append("a period ends before it starts")
    is_vital = any(c["code"] == "vital-signs" for c in resource["category"][0]["coding"])
    if is_vital and not any(times):
        found.append("a vital sign without its time")
    return found


def quantity_faults(quantity):
    """What is wrong with a quantity."""
    known = quantity.get("system") == "http://unitsofmeasure.org" and quantity.get("code") in UCUM
    number = isinstance(quantity.get("value"), int | float)
    return [] if known and number and "comparator" not in quantity else [f"quantity {quantity}"]


def sampled_faults(data):
    """What is wrong with sampled data."""
    found = quantity_faults(data.get("origin", {}))
    if not (isinstance(data.get("period"), int | float) and data["period"] > 0):
        found.append("period")
    if not (isinstance(data.get("dimensions"), int) and data["dimensions"] > 0):
        found.append("dimensions")
    if not data.get("factor", 1) > 0:
        found.append("factor")
    if not DATA.fullmatch(data.get("data", "")):
        found.append("data")
    return found + [f"no such field {n}" for n in set(data) - SAMPLED]


SAMPLED = {"origin", "period", "factor", "lowerLimit", "upperLimit", "dimensions", "data"}
