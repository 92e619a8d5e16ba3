"""The shipped model in the shipped scorer."""

import math
import time

import msgspec
import numpy as np
import pytest

from edge import features as feature_files
from edge.bundle import load
from edge.discover import discover
from edge.features import FeatureFamily
from edge.records import WINDOW_S, Features, ScorerError
from edge.scorer import GOLDEN_TOLERANCE, OUTPUTS, Scorer

BUNDLE = load()
CARD = BUNDLE.card


@pytest.fixture(scope="module")
def scorer():
    return Scorer(BUNDLE)


def features(inputs, **changes):
    values = {n: math.nan if x is None else x for n, x in zip(CARD.features, inputs, strict=True)}
    return Features("p", 30.0, 10.0, values | changes)


@pytest.fixture
def ordinary():
    """The median of every input: the third golden vector."""
    return CARD.golden[2].inputs


def test_the_model_is_fed_what_the_monitor_computes():
    families = discover(feature_files, "FEATURES", FeatureFamily)
    names = [n for f in families if f.model and f.every_s == WINDOW_S for n in f.names]
    assert list(CARD.features) == names, "features changed: python -m train fit makes a new model"


def test_golden_vectors_give_the_maker_s_answer(scorer):
    assert scorer.self_test() < GOLDEN_TOLERANCE


def test_an_ordinary_window_is_scored_with_its_reasons(scorer, ordinary):
    score = scorer.score(features(ordinary))
    assert (score.patient, score.start_s, score.length_s) == ("p", 30.0, 10.0)
    assert score.value == pytest.approx(CARD.golden[2].probability, abs=1e-5)
    assert score.value < score.threshold == CARD.threshold
    assert score.model_id == CARD.model_id
    assert list(score.contributions) == list(CARD.features)


def test_contributions_sum_to_the_log_odds(scorer):
    base = math.nan
    for golden in CARD.golden[:5]:
        score = scorer.score(features(golden.inputs))
        if math.isnan(score.value) or not 1e-3 < score.value < 1 - 1e-3:
            continue
        rest = math.log(score.value / (1 - score.value)) - sum(score.contributions.values())
        assert math.isnan(base) or rest == pytest.approx(base, abs=2e-3)
        base = rest
    assert not math.isnan(base)


def test_a_missing_input_adds_exactly_nothing(scorer, ordinary):
    for name in set(CARD.features) - set(CARD.needs) - set(CARD.floors):
        for missing in (math.nan, math.inf, -math.inf, 1e300):
            score = scorer.score(features(ordinary, **{name: missing}))
            assert score.contributions[name] == 0.0


def test_absent_and_unknown_names_do_no_harm(scorer, ordinary):
    whole = features(ordinary)
    name = next(n for n in CARD.features if n not in CARD.needs and n not in CARD.floors)
    values = {n: x for n, x in whole.values.items() if n != name} | {"of_tomorrow": 3.0}
    score = scorer.score(msgspec.structs.replace(whole, values=values))
    assert score.value == scorer.score(features(ordinary, **{name: math.nan})).value


@pytest.mark.parametrize("name", CARD.needs)
def test_it_abstains_without_an_input_it_needs(scorer, ordinary, name):
    score = scorer.score(features(ordinary, **{name: math.nan}))
    assert math.isnan(score.value)
    assert not score.contributions


@pytest.mark.parametrize("low", [0.0, 0.29, math.nan])
def test_it_abstains_on_a_signal_of_poor_quality(scorer, ordinary, low):
    assert math.isnan(scorer.score(features(ordinary, quality=low)).value)
    assert not math.isnan(scorer.score(features(ordinary, quality=0.31)).value)


def test_it_abstains_when_most_inputs_are_missing(scorer, ordinary):
    kept = {*CARD.needs, *CARD.floors}
    blind = {n: math.nan for n in CARD.features if n not in kept}
    assert math.isnan(scorer.score(features(ordinary, **blind)).value)
    assert math.isnan(scorer.score(Features("p", 0.0, 10.0, {})).value)


def test_a_window_leaves_nothing_behind_for_the_next(scorer, ordinary):
    first = scorer.score(features(ordinary))
    scorer.score(features(CARD.golden[4].inputs))
    scorer.score(Features("p", 0.0, 10.0, {}))
    assert scorer.score(features(ordinary)) == first


def test_an_early_beat_raises_the_score(scorer, ordinary):
    calm = scorer.score(features(ordinary))
    early = scorer.score(
        features(ordinary, prematurity=0.6, rr_min_ratio=0.6, corr_min=0.3, irregular_frac=0.2)
    )
    assert early.value > calm.value
    assert early.contributions["prematurity"] > calm.contributions["prematurity"]


def test_a_wrong_golden_vector_stops_the_load():
    golden = CARD.golden[0]
    wrong = msgspec.structs.replace(golden, probability=golden.probability + 0.01)
    card = msgspec.structs.replace(CARD, golden=(wrong,))
    with pytest.raises(ScorerError, match="golden vector wrongly"):
        Scorer(msgspec.structs.replace(BUNDLE, card=card))


def test_a_card_of_another_shape_stops_the_load():
    card = msgspec.structs.replace(CARD, features=CARD.features[:-1])
    with pytest.raises(ScorerError, match="its card promises"):
        Scorer(msgspec.structs.replace(BUNDLE, card=card))


@pytest.mark.parametrize("model", [b"", b"\0" * 100, BUNDLE.model[: len(BUNDLE.model) // 2]])
def test_bytes_that_are_no_model_stop_the_load(model):
    with pytest.raises(ScorerError, match="refuses the model"):
        Scorer(msgspec.structs.replace(BUNDLE, model=model))


def test_a_window_costs_little_beyond_the_runtime_itself(scorer, ordinary):
    seen = features(ordinary)
    scorer.score(seen)
    session, row = scorer._session, scorer._feed

    def cost_us(call):
        best = math.inf
        for _ in range(30):
            start = time.perf_counter()
            for _ in range(50):
                call()
            best = min(best, time.perf_counter() - start)
        return best / 50 * 1e6

    own_us = cost_us(lambda: scorer.score(seen)) - cost_us(lambda: session.run(list(OUTPUTS), row))
    assert np.isfinite(own_us)
    assert own_us < 100.0  # about 20 on the build machine; room for a busy one
