"""The box is too hot.

Present when ``cpu_degc`` is at or above (``>=``) ``bad_degc``: low priority; at or above
``worse_degc``: medium. Over when it is ``margin_degc`` cooler than the limit. Until then the box is
slower than it should be, and a box that is slow is late with an alarm; one that gets hotter
switches itself off.

80 and 85 degrees Celsius: at the first a Raspberry Pi begins to slow down its processor, at the
second its graphics as well, which is the most it can do (Raspberry Pi documentation, "Frequency
management and thermal control"; ``get_throttled``, bits 2 and 3).

Priority (clinical.md 6.2): slower, and still within the time an alarm may take: LOW. A box that may
switch itself off watches nobody any more: death is possible, and delayed: MEDIUM.
"""

from __future__ import annotations

from edge.alarms import Rule, Scope
from edge.alarms._graded import FINE, WORSE, Graded, graded
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "over_heat"


def words(value: float, grade: int) -> str:
    """Return what a carer reads."""
    why = "it may switch itself off" if grade == WORSE else "it becomes slow"
    return (
        f"the box is too hot ({value:.0f} °C): {why}; take it out of the sun, from under covers "
        "and away from the heater, and see that air comes to it"
    )


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"bad_degc": 80.0, "worse_degc": 85.0, "margin_degc": 5.0},
    limits={"bad_degc": (50.0, 100.0), "worse_degc": (55.0, 110.0), "margin_degc": (1.0, 15.0)},
    start=FINE,
    step=graded(
        Graded(
            NAME,
            "cpu_degc",
            "bad_degc",
            "worse_degc",
            "margin_degc",
            1.0,
            words,
            "the box is not too hot",
            "nothing tells how hot the box is",
        )
    ),
    source="Raspberry Pi documentation, thermal control: 80 and 85 degC; security-safety.md H21",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
