"""How loud: the volume, the night, and the floor under the high priority."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

HIGH_FLOOR_DBFS: Final = -12.0
"""A high priority alarm is never quieter, whatever is set and whatever the hour. A quarter of
full scale: half as loud to the ear as the default."""
MINUTES_A_DAY: Final = 24 * 60

TIME_OF_DAY: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class Levels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Volumes, as the peak of a pulse against full scale; 0 dB is as loud as the box can.

    Raises
    ------
    ValueError
        A high alarm would be quieter than `HIGH_FLOOR_DBFS`, or quieter than a medium one.
    """

    volume_dbfs: Annotated[
        float,
        Meta(
            ge=-60.0,
            le=0.0,
            description="Volume of a high alarm by day; medium is 3 dB and low 6 dB quieter. 0 is "
            "as loud as the box can; -12 is the least.",
        ),
    ] = -1.0
    night_volume_dbfs: Annotated[
        float,
        Meta(
            ge=-60.0,
            le=0.0,
            description="By night, of medium and low alarms (3 and 6 dB under it) and the "
            "reminder; never louder than by day.",
        ),
    ] = -20.0
    night_high_dbfs: Annotated[
        float,
        Meta(ge=-60.0, le=0.0, description="By night, of a high alarm; -12 is the least."),
    ] = -6.0
    night_from: Annotated[
        str,
        Meta(
            pattern=TIME_OF_DAY,
            description="HH:MM, local time at which the night begins; the same as night_until: "
            "there is none. While the clock is not trusted it is day.",
        ),
    ] = "22:00"
    night_until: Annotated[
        str, Meta(pattern=TIME_OF_DAY, description="HH:MM, local time at which it ends.")
    ] = "07:00"

    def __post_init__(self) -> None:
        for name in ("volume_dbfs", "night_high_dbfs"):
            value = getattr(self, name)
            if value < HIGH_FLOOR_DBFS:
                raise ValueError(
                    f"{name} = {value:g} would make a high alarm quieter than "
                    f"{HIGH_FLOOR_DBFS:g} dB under full scale, the least that is allowed; set it "
                    f"to {HIGH_FLOOR_DBFS:g} or more"
                )
        if self.night_volume_dbfs > min(self.volume_dbfs, self.night_high_dbfs):
            raise ValueError(
                f"night_volume_dbfs = {self.night_volume_dbfs:g} is louder than the day or than a "
                f"high alarm at night; set it to "
                f"{min(self.volume_dbfs, self.night_high_dbfs):g} or less"
            )

    def of(self, *, high: bool, minute: float | None) -> float:
        """Return the level for now, in dB under full scale.

        Parameters
        ----------
        high : bool
            Of a high alarm.
        minute : float | None
            Minutes since local midnight; None where nobody knows: day, the louder.

        >>> Levels().of(high=False, minute=23 * 60), Levels().of(high=False, minute=None)
        (-20.0, -1.0)
        """
        if minute is None or not self.is_night(minute):
            return self.volume_dbfs
        return self.night_high_dbfs if high else self.night_volume_dbfs

    def is_night(self, minute: float) -> bool:
        """Return whether that minute of the day lies in the night, which may span midnight."""
        begin, end = _minutes(self.night_from), _minutes(self.night_until)
        return (minute - begin) % MINUTES_A_DAY < (end - begin) % MINUTES_A_DAY


def level_now(levels: Levels, minute_of_day: Callable[[], float | None]) -> Callable[[bool], float]:
    """Return what tells the level of a sound that begins now, given whether it is a high alarm."""
    return lambda high: levels.of(high=high, minute=minute_of_day())


def _minutes(time_of_day: str) -> int:
    hours, minutes = re.split(":", time_of_day)
    return 60 * int(hours) + int(minutes)
