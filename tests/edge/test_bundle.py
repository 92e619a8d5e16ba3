"""A model folder is read whole or not at all, and the message says why."""

import hashlib
import json

import msgspec
import pytest

from edge import bundle
from edge.bundle import BundleError, Golden, ModelCard, Source, decode_card, encode_card, load

MODEL = b"not looked into here"
CARD = ModelCard(
    id="tiny",
    version="2",
    features=("a", "b"),
    needs=("a",),
    floors={"b": 0.3},
    window_s=10.0,
    context_s=30.0,
    threshold=0.5,
    reference=(0.0, -0.25),
    sha256=hashlib.sha256(MODEL).hexdigest(),
    made_with={"python": "3"},
    sources=(Source("made up", "CC0", ("x",)),),
    figures={"auroc": [0.9, 0.8, 1.0], "n": 3},
    known_gaps=("It has seen nobody.",),
    golden=(Golden((0.5, None), 0.25),),
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(MODEL)
    (tmp_path / "model.json").write_bytes(encode_card(CARD))
    return tmp_path


def changed(**fields):
    return encode_card(msgspec.structs.replace(CARD, **fields))


def test_a_whole_folder_is_read(folder):
    found = load(folder)
    assert found.model == MODEL
    assert found.card.features == ("a", "b")
    assert found.card.model_id == "tiny-2"
    assert found.card.golden[0].inputs == (0.5, None)


def test_the_layout_of_the_json_text_does_not_matter(folder):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert load(folder).card.id == "tiny"


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        load(folder)


def test_every_flipped_byte_of_the_model_is_seen(folder):
    for i in range(len(MODEL)):
        content = bytearray(MODEL)
        content[i] ^= 0x10
        (folder / "model.onnx").write_bytes(content)
        with pytest.raises(BundleError, match="not the file its card describes"):
            load(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"threshold": 0.5', '"threshold": 0.9'),
        ('"a"', '"c"'),
        ("It has seen nobody.", "It has seen everybody."),
        ("0.8", "0.88"),
    ],
)
def test_a_changed_card_is_seen(folder, before, after):
    path = folder / "model.json"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(BundleError, match="changed after it was made"):
        load(folder)


def test_an_unknown_field_is_refused():
    text = encode_card(CARD).replace(b'"id"', b'"more": 1, "id"', 1)
    with pytest.raises(BundleError, match="not a model card"):
        decode_card(text)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"{}"])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(BundleError, match="not a model card"):
        decode_card(text)


def test_a_later_layout_is_refused_with_both_numbers():
    with pytest.raises(BundleError, match="layout 2, this program reads layout 1"):
        decode_card(changed(format=2))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"features": ("a", "a"), "floors": {}}, "named twice"),
        ({"features": (), "needs": (), "floors": {}}, "0 inputs"),
        ({"needs": ("c",)}, "name no input: c"),
        ({"reference": (0.0,)}, "1 numbers for 2 inputs"),
        ({"threshold": 1.0}, "not between 0 and 1"),
        ({"golden": ()}, "no golden vectors"),
        ({"golden": (Golden((1.0,), 0.5),)}, "has not 2 inputs"),
        ({"golden": (Golden((1.0, 2.0), 1.5),)}, "golden probability"),
        ({"window_s": 0.0}, "not a span"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(fields, says):
    with pytest.raises(BundleError, match=says):
        decode_card(changed(**fields))


@pytest.mark.parametrize(
    ("name", "bound"), [("model.onnx", "MAX_MODEL_BYTES"), ("model.json", "MAX_CARD_BYTES")]
)
def test_a_file_beyond_its_bound_is_refused(folder, name, bound):
    (folder / name).write_bytes(bytes(getattr(bundle, bound) + 1))
    with pytest.raises(BundleError, match="larger than"):
        load(folder)


def test_the_shipped_model_is_whole():
    found = load()
    assert found.card.window_s == 10.0
    assert len(found.model) <= 300_000
    assert found.card.known_gaps
    assert found.card.sources[0].licence
