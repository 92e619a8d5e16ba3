"""What people do and what becomes of the box in a scenario: acts beside the patient's events.

The simulated patient knows nothing of them: `edge.rehearsal` makes them the packets that people's
answers and the box's own notices are (`person:answer`, `person:entry`, `box:link`), and starts the
monitor again where an act says so.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from edge.records import LinkState


class _Act(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Something that is done at a moment of the simulated time."""

    at_s: Annotated[float, msgspec.Meta(ge=0)]


class Says(_Act, frozen=True, kw_only=True, tag="answer"):
    """A person answers the alarms; the fields are those of `edge.alerts.Answer`.

    Attributes
    ----------
    rule : str
        ``acknowledge``: the standing alert of this rule is answered. When none stands (whoever
        watches has answered it first) nothing is said.
    """

    action: str
    by: str
    role: str = "carer"
    rule: str = ""
    meaning: str = ""
    priority: str = ""
    lasts_s: float | None = None
    to: str = ""


class Enters(_Act, frozen=True, kw_only=True, tag="entry"):
    """A person enters what no sensor sees; the fields are those of `edge.events.Entry`."""

    what: str
    value: float | str
    by: str
    role: str = "carer"
    valid_for_s: float
    age_s: float = 0.0


class LinkIs(_Act, frozen=True, kw_only=True, tag="link"):
    """The box notices what became of the link to a device."""

    device: str
    state: LinkState
    reason: str = ""


class Killed(_Act, frozen=True, kw_only=True, tag="monitor_killed"):
    """The monitor dies as if by ``kill -9`` and is started again after `away_s`, same boot."""

    away_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0


class PowerCut(_Act, frozen=True, kw_only=True, tag="power_cut"):
    """The box loses its power; the monitor runs again after `away_s`, in another boot."""

    away_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0


Act: TypeAlias = Says | Enters | LinkIs | Killed | PowerCut
"""Everything that can be done, told apart by ``kind``."""
