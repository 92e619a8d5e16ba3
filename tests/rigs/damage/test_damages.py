"""Random damages to the database and the vault: no crash loop, the rest goes on, the good is kept.

``HOMEWARD_LONG=1`` makes 10,000 of them (4 minutes). A failure prints its seed.
"""

from __future__ import annotations

import os

import pytest

from tests.rigs.damage.__main__ import controls, store, vault
from tests.rigs.damage.outcome import Outcomes

N_DAMAGES = 10_000 if os.environ.get("HOMEWARD_LONG") else 400
MOST_UNSEEN = 0.0
"""Damages that are not seen when a file is opened: every page of the records has a sum."""
LEAST_KEPT_PCT = {"database": 40.0, "vault": 60.0}
"""Of all records, over all damages. A database that is put aside counts as nothing kept: what is
brought over from there raises this bar."""


@pytest.mark.parametrize(("campaign", "share"), [(store, 0.7), (vault, 0.3)])
def test_a_damage_is_met_once_in_words_and_the_rest_goes_on(campaign, share) -> None:
    found: Outcomes = campaign(round(N_DAMAGES * share), seed=1)
    print(found.table())
    assert found.n_wrong == 0, found.table()
    assert found.n == round(N_DAMAGES * share)
    assert found.count("refused") + found.count("late") <= MOST_UNSEEN * found.n
    assert found.kept_pct >= LEAST_KEPT_PCT[found.name]


def test_what_is_broken_on_purpose_is_caught() -> None:
    assert controls(seed=1) == []
