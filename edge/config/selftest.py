"""``[selftest]``: when the box tests its alarm path by itself."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

TIME_OF_DAY: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """``[selftest]``: the daily test of the alarm path, with a soft tone."""

    at: Annotated[
        str,
        Meta(
            pattern=TIME_OF_DAY,
            description="HH:MM, local time of the daily test. While the clock is not set: every "
            "24 h.",
        ),
    ] = "08:00"
    put_off_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=14400.0,
            description="While an alarm sounds the daily test waits, at most this long.",
        ),
    ] = 7200.0
    notices: Annotated[
        bool,
        Meta(
            description="With a test notice to each of [[notices]], of the least priority: a phone "
            "shows it and rings not. Without, a way that broke is found when it is needed."
        ),
    ] = True
