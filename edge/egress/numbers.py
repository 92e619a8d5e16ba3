"""Numbers and alarm state of now, for a display in the same home: nothing of before, no name."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.alert import VitalsOut
from edge.egress.bounds import MAX_NAME, Count, Patient, Utc
from edge.records import Priority


class NumbersOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one patient is now."""

    box: Annotated[str, Meta(max_length=MAX_NAME, description="Pseudonym of the box")]
    patient: Patient
    at_utc: Annotated[Utc | None, Meta(description="When (UTC)")]
    time_quality: Annotated[TimeQuality | None, Meta(description="How far to trust it")]
    watching: Annotated[bool, Meta(description="Whether the patient is watched")]
    alarm: Annotated[
        Priority | None, Meta(description="Highest priority that stands; none: no alert stands")
    ]
    n_standing: Annotated[Count, Meta(description="Alerts that stand")]
    values: Annotated[VitalsOut, Meta(description="The vital signs of now")] = VitalsOut()
