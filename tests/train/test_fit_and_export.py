"""From a table to a model folder and back through the monitor's own scorer."""

import hashlib

import msgspec
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from skl2onnx.common import tree_ensemble
from sklearn.ensemble import HistGradientBoostingClassifier

from edge.bundle import BundleError, Source, decode_card, encode_card, load
from edge.records import Features, ScorerError
from edge.scorer import Scorer
from tests.train.synthetic import NAMES, make_table
from train import export
from train.curves import CurveError, average, exported_trees, plain_onnx, read_curves
from train.evaluate import model_facts, record_facts
from train.export import About, ExportError, build_graph, check_graph, parity, trying_rows
from train.fit import Recipe, cross_validate, final_threshold, fit_model, may_score
from train.metrics import auroc

QUICK = Recipe(n_trees=40, n_bags=2, min_leaf=10)
ABOUT = About(
    id="synthetic",
    version="1",
    threshold=0.5,
    sources=(Source("made up", "CC0", ("none",)),),
    figures={"auroc": [0.9, 0.8, 1.0]},
    known_gaps=("It has seen nobody.",),
    needs=("corr_min", "mean_rr_ms"),
    floors={"quality": 0.3},
)


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def boosted(table):
    return HistGradientBoostingClassifier(
        max_iter=60,
        max_leaf_nodes=6,
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=0,
    ).fit(table.values, table.anomalous)


@pytest.fixture(scope="module")
def model(table):
    return fit_model(table, QUICK)


@pytest.fixture(scope="module")
def folder(model, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export.write_bundle(model, ABOUT, table.values, folder)
    return folder


def features(row):
    return Features("p", 0.0, 10.0, dict(zip(NAMES, map(float, row), strict=True)))


def test_the_curves_are_the_boosted_trees(boosted, table):
    curves = read_curves(boosted, NAMES, table.values[~table.anomalous])
    rows = trying_rows(curves, table.values)
    rows = rows[np.isfinite(rows).all(axis=1)]
    assert len(rows) > 40
    assert np.abs(curves.logits(rows) - boosted.decision_function(rows)).max() < 1e-9


def test_a_missing_input_is_what_scikit_learn_says_with_its_own_missing_value_taken_out(
    boosted, table
):
    normal = table.values[~table.anomalous]
    curves = read_curves(boosted, NAMES, normal)
    whole = normal[np.isfinite(normal).all(axis=1)][:50]
    for j in range(len(NAMES)):
        missing = whole.copy()
        missing[:, j] = np.nan
        seen = normal[np.isfinite(normal[:, j]), j]
        replaced = np.repeat(whole[:1], len(seen), axis=0)
        replaced[:, j] = seen
        # f_j of the row against its mean over normal windows, by scikit-learn alone.
        own = boosted.decision_function(whole) - boosted.decision_function(
            np.column_stack([*whole[:, :j].T, np.full(len(whole), seen[0]), *whole[:, j + 1 :].T])
        )
        base = boosted.decision_function(replaced)
        expected = boosted.decision_function(whole) - own + (base.mean() - base[0])
        assert curves.logits(missing) == pytest.approx(expected, abs=1e-9)


def test_the_exported_graph_is_scikit_learn(boosted, table):
    curves = read_curves(boosted, NAMES, table.values[~table.anomalous])
    rows = table.values[np.isfinite(table.values).all(axis=1)]
    content = build_graph(curves).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(["probability"], {"features": rows})[0][:, 0]
    assert np.abs(found - boosted.predict_proba(rows)[:, 1]).max() < 1e-5
    plain = plain_onnx(boosted, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
    second = session.run(None, {"X": rows})[1][:, 1]
    assert np.abs(found - second).max() < 1e-5


def test_rows_on_thresholds_and_rows_with_missing_inputs_are_in_parity(model, table):
    rows = np.concatenate([table.values, trying_rows(model, table.values)])
    assert np.isnan(rows).any(axis=1).sum() > 30
    assert parity(build_graph(model).SerializeToString(), model, rows) < 1e-6


def test_a_threshold_rounded_to_nearest_would_be_seen_by_the_parity_check(model, table):
    edges = np.nextafter(model.curves[1].edges, np.float32(np.inf))
    shifted = msgspec.structs.replace(model.curves[1], edges=edges)
    other = msgspec.structs.replace(model, curves=(model.curves[0], shifted, *model.curves[2:]))
    content = build_graph(other).SerializeToString()
    assert parity(content, model, trying_rows(model, table.values)) > export.PARITY


def test_contributions_are_what_taking_an_input_away_changes(folder, table):
    scorer = Scorer(load(folder))
    row = table.values[np.flatnonzero(table.anomalous & may_score(table))[0]]
    whole = scorer.score(features(row))
    for j in (3, 4, 5):
        without = row.copy()
        without[j] = np.nan
        score = scorer.score(features(without))
        change = np.log(whole.value / (1 - whole.value)) - np.log(score.value / (1 - score.value))
        assert whole.contributions[NAMES[j]] == pytest.approx(change, abs=2e-4)
        assert score.contributions[NAMES[j]] == 0.0


def test_contributions_average_to_nothing_over_normal_windows(model, table):
    normal = table.values[~table.anomalous]
    normal = normal[np.isfinite(normal).all(axis=1)]
    assert np.abs(model.contributions(normal).mean(axis=0)).max() < 0.05


def test_the_mean_of_models_is_the_mean_of_their_log_odds(boosted, table):
    normal = table.values[~table.anomalous]
    one = read_curves(boosted, NAMES, normal)
    two = fit_model(table, Recipe(n_trees=20, n_bags=1, min_leaf=10))
    both = average([one, two])
    rows = np.concatenate([table.values, trying_rows(one, table.values)])
    assert both.logits(rows) == pytest.approx((one.logits(rows) + two.logits(rows)) / 2, abs=1e-9)


def test_a_model_with_interactions_has_no_curves(table):
    entangled = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    entangled.fit(table.values, table.values[:, 3] * table.values[:, 5] > 0)
    with pytest.raises(CurveError, match="two inputs"):
        read_curves(entangled, NAMES, table.values)


def test_flags_of_skl2onnx_are_whole_numbers_and_its_own_function_is_put_back(boosted, table):
    before = tree_ensemble.add_node
    nodes = exported_trees(boosted, table.values[:1])
    assert set(nodes["nodes_missing_value_tracks_true"]) <= {0, 1}
    assert tree_ensemble.add_node is before


def test_fitting_twice_gives_the_same_bytes(model, table):
    again = build_graph(fit_model(table, QUICK)).SerializeToString()
    assert again == build_graph(model).SerializeToString()


def test_people_it_has_not_seen_are_told_apart(table):
    result = cross_validate(table, QUICK)
    assert auroc(result.scored) > 0.9
    told = record_facts(table, result)
    assert set(told) == set(table.record.tolist())
    facts = model_facts(table, result)
    assert facts["threshold"] == pytest.approx(final_threshold(result), abs=1e-6)
    assert facts["auroc"][1] <= facts["auroc"][0] <= facts["auroc"][2]
    assert msgspec.json.encode(facts)


def test_an_abstention_is_a_window_that_was_not_found(table):
    blind = msgspec.structs.replace(table, values=table.values.copy())
    blind.values[:, NAMES.index("quality")] = 0.1
    blind.values[: len(blind.why) // 2, NAMES.index("quality")] = 0.9
    result = cross_validate(blind, QUICK)
    assert result.abstained.mean() == 0.5
    assert not result.as_met()[result.abstained].any()


def test_a_table_of_one_class_cannot_be_fitted(table):
    with pytest.raises(ValueError, match="normal and anomalous"):
        fit_model(table.rows(~table.anomalous), QUICK)


def test_rows_the_table_may_score_are_those_the_scorer_answers(folder, table):
    scorer = Scorer(load(folder))
    rows = table.values[:60].copy()
    rows[:10, 0] = 0.1
    rows[10:20, 1] = np.nan
    rows[20:30, [3, 4, 5]] = np.nan
    rows[30:40, [0, 3, 4, 5]] = np.nan
    part = msgspec.structs.replace(table.rows(np.arange(len(table.why)) < 60), values=rows)
    answered = [not np.isnan(scorer.score(features(row)).value) for row in rows]
    assert answered == may_score(part).tolist()


@pytest.mark.parametrize(
    ("op_type", "domain"), [("Loop", ""), ("TreeEnsembleClassifier", "ai.onnx.ml"), ("Exp", "")]
)
def test_other_operators_may_not_be_in_a_graph(model, op_type, domain):
    graph = build_graph(model)
    node = helper.make_node(op_type, ["logit"], ["more"], domain=domain)
    graph.graph.node.append(node)
    with pytest.raises(ExportError):
        check_graph(graph)


def test_a_tensor_kept_in_another_file_may_not_be_in_a_graph(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8)
    graph = build_graph(model)
    tensor = graph.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    with pytest.raises(ExportError):
        check_graph(graph)


def test_a_flipped_byte_of_the_model_is_refused(folder, tmp_path):
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    (tmp_path / "model.json").write_bytes((folder / "model.json").read_bytes())
    with pytest.raises(BundleError, match="not the file its card describes"):
        load(tmp_path)


def test_a_model_that_answers_otherwise_than_its_card_says_is_refused(folder, model):
    bundle = load(folder)
    other = msgspec.structs.replace(model, base_logit=model.base_logit + 0.01)
    content = build_graph(other).SerializeToString()
    card = msgspec.structs.replace(bundle.card, sha256=hashlib.sha256(content).hexdigest())
    card = decode_card(encode_card(card))
    with pytest.raises(ScorerError, match="golden"):
        Scorer(msgspec.structs.replace(bundle, card=card, model=content))


def test_no_window_of_anybody_is_in_the_card(folder, table):
    card = load(folder).card
    rows = {tuple(row) for row in table.values.tolist()}
    assert not any(tuple(g.inputs) in rows for g in card.golden)
