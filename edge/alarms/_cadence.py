"""How often rules are stepped (part of the rules, not one of them).

The numbers are those of `edge.features`, which stands on the same floor and may not be
imported from here; `tests/edge/test_every_rule.py` holds the two together.
"""

from __future__ import annotations

SECOND_S = 1.0
"""Rules on vital signs: every second."""
WINDOW_S = 10.0
"""Rules on windows and their score."""
