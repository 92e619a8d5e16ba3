"""A model folder: ``model.onnx`` beside ``model.json``, the card that says what it is.

The card names the model's inputs in order, the threshold its maker chose, what it was trained on,
how well it did there, and what it cannot do. It also carries golden vectors: a few inputs with
the probability each must give, so that a box can tell at once whether its own arithmetic agrees
with the maker's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "model.json"
FORMAT: Final = 1
"""Layout of the card; a box refuses a layout it does not know."""
MAX_MODEL_BYTES: Final = 5 * 1024 * 1024
MAX_CARD_BYTES: Final = 1024 * 1024
MAX_INPUTS: Final = 1024
SHIPPED: Final = Path(__file__).parent / "models" / "ecg_window"
"""The model that comes with the monitor."""


class BundleError(RuntimeError):
    """A model folder cannot be used; the text says what is wrong with which file."""


class Golden(msgspec.Struct, frozen=True):
    """One input of the model and what it must answer.

    Attributes
    ----------
    inputs : tuple[float | None, ...]
        In the order of `ModelCard.features`; None stands for a number that could not be computed.
    probability : float
        What the maker's own model gives.
    """

    inputs: tuple[float | None, ...]
    probability: float


class Source(msgspec.Struct, frozen=True):
    """Recordings a model was made from."""

    name: str
    licence: str
    records: tuple[str, ...]


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is, and what it is not; ``model.json``.

    Attributes
    ----------
    id, version : str
        Which model; `Score.model_id` is ``id-version``.
    features : tuple[str, ...]
        Inputs in the model's order.
    needs : tuple[str, ...]
        Inputs without which the model must abstain.
    floors : Mapping[str, float]
        Inputs that must be at least this, else the model must abstain (signal quality).
    window_s, context_s : float
        The span one input describes, and what it looks back on before that.
    threshold : float
        Probability from which a window counts as anomalous.
    reference : tuple[float, ...]
        Mean contribution of each input to the log odds over normal windows. The graph's
        ``contributions`` are relative to it; an input that is missing contributes exactly 0.
    sha256 : str
        Of ``model.onnx``, hexadecimal.
    made_with : Mapping[str, str]
        Versions of the programs that made it.
    sources : tuple[Source, ...]
        Recordings it was fitted on.
    figures : Mapping[str, Any]
        How it did on people it had not seen; numbers by name.
    known_gaps : tuple[str, ...]
        Sentences: what it has not been shown, and where not to trust it.
    golden : tuple[Golden, ...]
        Inputs with known answers, for the self-test.
    format : int
        Layout of the card, `FORMAT`.
    card_sha256 : str
        Of the card itself with this field empty, see `seal`.
    """

    id: str
    version: str
    features: tuple[str, ...]
    needs: tuple[str, ...]
    floors: Mapping[str, float]
    window_s: float
    context_s: float
    threshold: float
    reference: tuple[float, ...]
    sha256: str
    made_with: Mapping[str, str]
    sources: tuple[Source, ...]
    figures: Mapping[str, Any]
    known_gaps: tuple[str, ...]
    golden: tuple[Golden, ...]
    format: int = FORMAT
    card_sha256: str = ""

    @property
    def model_id(self) -> str:
        """Name and version in one word, as every score carries it."""
        return f"{self.id}-{self.version}"


class Bundle(msgspec.Struct, frozen=True):
    """A model folder that was read and found whole."""

    card: ModelCard
    model: bytes
    folder: str


def load(folder: Path | None = None) -> Bundle:
    """Read a model folder and check that it is whole.

    The digests show that nothing was damaged or mixed up: integrity, not origin. Whoever can
    write both files can also write both digests.

    Parameters
    ----------
    folder : Path | None
        Holds ``model.onnx`` and ``model.json``; None takes the one that comes with the monitor.

    Raises
    ------
    BundleError
        A file is missing, too large or damaged, or the card contradicts itself or the model.
    """
    folder = SHIPPED if folder is None else folder
    card_path = folder / CARD_FILE
    card = decode_card(_read(card_path, MAX_CARD_BYTES), str(card_path))
    model_path = folder / MODEL_FILE
    model = _read(model_path, MAX_MODEL_BYTES)
    found = hashlib.sha256(model).hexdigest()
    if found != card.sha256:
        raise BundleError(
            f"{model_path} is not the file its card describes (SHA-256 {found[:16]}..., the card "
            f"says {card.sha256[:16]}...); copy the whole folder again"
        )
    return Bundle(card, model, str(folder))


def decode_card(text: bytes, where: str = CARD_FILE) -> ModelCard:
    """Return the card in `text`, checked; `where` names the file in errors.

    Raises
    ------
    BundleError
        Not JSON, not a card of a known layout, changed since it was sealed, or contradictory.
    """
    try:
        card = msgspec.json.decode(text, type=ModelCard)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{where} is not a model card: {error}; copy the whole folder again"
        ) from error
    if card.format != FORMAT:
        raise BundleError(
            f"{where} has layout {card.format}, this program reads layout {FORMAT}; "
            f"use a model made for this version"
        )
    if card.card_sha256 != _digest(card):
        raise BundleError(
            f"{where} was changed after it was made (its digest does not fit); "
            f"copy the whole folder again"
        )
    faults = _faults(card)
    if faults:
        raise BundleError(f"{where} contradicts itself: {'; '.join(faults)}")
    return card


def encode_card(card: ModelCard) -> bytes:
    """Return the card as the text of ``model.json``, sealed with its own digest."""
    sealed = msgspec.structs.replace(card, card_sha256=_digest(card))
    return msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"


def _digest(card: ModelCard) -> str:
    # Over the re-encoded card: layout of the JSON text does not count, every value does.
    blank = msgspec.structs.replace(card, card_sha256="")
    return hashlib.sha256(msgspec.json.encode(blank)).hexdigest()


def _faults(card: ModelCard) -> list[str]:
    n = len(card.features)
    strangers = (set(card.needs) | set(card.floors)) - set(card.features)
    checks = (
        (0 < n <= MAX_INPUTS, f"it names {n} inputs, 1 to {MAX_INPUTS} are possible"),
        (len(set(card.features)) == n, "an input is named twice"),
        (not strangers, f"needs or floors name no input: {', '.join(sorted(strangers))}"),
        (len(card.reference) == n, f"reference has {len(card.reference)} numbers for {n} inputs"),
        (0.0 < card.threshold < 1.0, f"threshold {card.threshold} is not between 0 and 1"),
        (card.window_s > 0.0 and card.context_s >= 0.0, "window or context is not a span"),
        (bool(card.golden), "it has no golden vectors, so the model cannot be tested at load"),
        (all(len(g.inputs) == n for g in card.golden), f"a golden vector has not {n} inputs"),
        (
            all(0.0 <= g.probability <= 1.0 for g in card.golden),
            "a golden probability is not between 0 and 1",
        ),
        (all(map(math.isfinite, card.floors.values())), "a floor is not a number"),
    )
    return [sentence for good, sentence in checks if not good]


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise BundleError(
            f"cannot read {path}: {error.strerror}; a model folder holds {MODEL_FILE} and "
            f"{CARD_FILE}, reinstall homeward or give the right folder"
        ) from error
    if len(content) > most_bytes:
        raise BundleError(f"{path} is larger than {most_bytes} bytes; no model needs that")
    return content
