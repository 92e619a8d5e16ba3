"""How findings become alerts, and who is told of one: the box, carers, a watcher far away."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """``[alerts]``: how findings become alerts (`edge.alerts.AlertSettings`)."""

    # 120 s is the longest anything may stay unsaid (hazard H7): it can only be made shorter.
    reraise_s: Annotated[
        float,
        Meta(ge=15.0, le=120.0, description="An unanswered alert sounds anew after this long."),
    ] = 120.0
    clear_s: Annotated[
        float,
        Meta(ge=0.0, le=60.0, description="A condition absent for this long is over."),
    ] = 10.0
    unsure_s: Annotated[
        float,
        Meta(ge=5.0, le=120.0, description="Say so when nothing could be told for this long."),
    ] = 30.0
    signal_delay_s: Annotated[
        float,
        Meta(ge=0.0, le=10.0, description="From an alert to its sound; high priority has none."),
    ] = 0.0
    pause_s: Annotated[
        float,
        Meta(ge=10.0, le=120.0, description="A pause lasts so long where nothing else is said."),
    ] = 120.0
    watch_s: Annotated[
        float,
        Meta(
            ge=600.0,
            le=86400.0,
            description="A watch lasts so long where nothing else is said.",
        ),
    ] = 43200.0


_Wait: TypeAlias = Annotated[
    float, Meta(ge=0.0, le=86400.0, description="So long without an answer.")
]


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """``[escalation]``: who is told of an alert nobody answers, and after how long.

    Each time counts from the alert's beginning, by its priority; a pause by a carer stops it.
    """

    high_page_s: _Wait = 0.0
    high_first_carer_s: _Wait = 15.0
    high_second_carer_s: _Wait = 90.0
    medium_page_s: _Wait = 0.0
    medium_first_carer_s: _Wait = 60.0
    medium_second_carer_s: _Wait = 300.0
    low_page_s: _Wait = 0.0
    low_first_carer_s: _Wait = 600.0
    low_second_carer_s: _Wait = 3600.0

    def times_of(self, priority: str) -> tuple[float, float, float]:
        """Return the three times of ``high``, ``medium`` or ``low``."""
        page_s, first_s, second_s = (float(getattr(self, name)) for name in steps_of(priority))
        return page_s, first_s, second_s


def steps_of(priority: str) -> tuple[str, str, str]:
    """Return the names of the three times of ``high``, ``medium`` or ``low``, in their order."""
    return f"{priority}_page_s", f"{priority}_first_carer_s", f"{priority}_second_carer_s"


_UrlFile: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="File whose first line is the secret address; for its user alone (chmod 600). "
        "A name without / is looked for among systemd's credentials first, then in box.data_dir.",
    ),
]
_Clock: TypeAlias = Annotated[
    str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time of day.")
]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """``[[notices]]``: one way to tell somebody who is not at the box.

    Attributes
    ----------
    settings : msgspec.Struct
        The channel's own options; in the TOML they stand in the same table.
    """

    channel: Annotated[str, Meta(description="Which file of edge/notices/channels sends it.")]
    name: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,31})?$",
            description="What the status and the record call it; default: the channel.",
        ),
    ] = ""
    url_file: _UrlFile
    who: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
        Meta(min_length=1, description="first_carer, second_carer, or names as in a hand-over."),
    ] = ("first_carer",)
    on: Annotated[
        Literal["escalation", "raise"],
        Meta(description="Told when an unanswered alert is carried to them, or at once."),
    ] = "escalation"
    from_priority: Annotated[
        Literal["low", "medium", "high"], Meta(description="The least that is told.")
    ] = "low"
    technical: Annotated[bool, Meta(description="Alerts of the equipment too.")] = True
    details: Annotated[bool, Meta(description="With the reason, and so with measured values.")] = (
        False
    )
    quiet_from: _Clock | None = None
    quiet_to: _Clock | None = None
    quiet_floor: Annotated[
        Literal["low", "medium", "high"],
        Meta(description="Told in the quiet hours all the same; high always is."),
    ] = "high"
    n_burst: Annotated[
        int, Meta(ge=1, le=100, description="So many in a row before they are put together.")
    ] = 6
    refill_s: Annotated[
        float, Meta(ge=1.0, le=3600.0, description="One more may follow after each such time.")
    ] = 60.0
    settings: msgspec.Struct


class Deadman(msgspec.Struct, frozen=True, kw_only=True):
    """``[deadman]``: a watcher far away that calls when this box has not pinged it."""

    url_file: _UrlFile | None = None
    every_s: Annotated[float, Meta(ge=10.0, le=3600.0, description="How often it is pinged.")] = (
        60.0
    )
    fails: Annotated[
        bool, Meta(description="Say so at once at /fail, as healthchecks.io has it.")
    ] = True
    needs: Annotated[
        Literal["progress", "patients"],
        Meta(description="Pinged while the monitor comes on; or only if it hears every patient."),
    ] = "patients"
