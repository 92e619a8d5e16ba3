"""``[retention]``: how long records are kept."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import asdict

Days = Annotated[int, Meta(ge=1, le=36_500)]


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """``[retention]``: how many days records are kept. Raw packets: ``[vault]``."""

    scores_days: Annotated[Days, Meta(description="Scores of the model.")] = 30
    gaps_days: Annotated[Days, Meta(description="Gaps in what sensors sent.")] = 30
    links_days: Annotated[Days, Meta(description="What became of the sensors' links.")] = 30
    readings_days: Annotated[
        Days, Meta(description="Single measurements: a cuff's, a scale's, a glucose meter's.")
    ] = 400
    summaries_days: Annotated[Days, Meta(description="Summaries; unsent ones too.")] = 400
    alerts_days: Annotated[
        Days,
        Meta(
            description="Alerts, who answered, how they were told, changed limits, self-tests. "
            "Never the last 1,000 of them, and never an alert that stands."
        ),
    ] = 400


def kept_days(settings: Retention) -> dict[str, float]:
    """Return kind of record -> days, without the unit in the name."""
    return {name.removesuffix("_days"): float(n) for name, n in asdict(settings).items()}
