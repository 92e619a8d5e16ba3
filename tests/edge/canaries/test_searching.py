"""The search finds every marker in whatever form it is written: without that, 0 means nothing."""

from __future__ import annotations

import base64
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from tests.edge.canaries.searching import found_in, samples, search

NAMES = {"carer": "Ottilie Wunderlich"}
NOISE = np.random.default_rng(5).bytes(40_000)
WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "hex": lambda text: text.hex().encode(),
    "HEX": lambda text: text.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 shifted": lambda text: base64.b64encode(b"x" + text),
    "base64 shifted twice": lambda text: base64.b64encode(b"xy" + text),
    "utf-16": lambda text: text.decode().encode("utf-16-le"),
    "capitals": lambda text: text.upper(),
    "zstd": lambda text: zstandard.compress(text * 20),
    "gzip": lambda text: gzip.compress(text * 20),
    "zlib": lambda text: zlib.compress(text * 20),
    "zstd of base64": lambda text: zstandard.compress(base64.b64encode(text) * 20),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_name_is_found_however_it_is_written(form: str) -> None:
    content = NOISE[:999] + WRITTEN[form](NAMES["carer"].encode()) + NOISE[999:]
    assert found_in(content, NAMES) == {"carer"}


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", ">f4", "hex", "text", "zstd"])
def test_samples_are_found_as_whatever_they_are_written(kind: str) -> None:
    some = samples()[100:140]
    written = {
        "hex": lambda: some.astype("<f8").tobytes().hex().encode(),
        "text": lambda: ",".join(map(repr, some.tolist())).encode(),
        "zstd": lambda: zstandard.compress(some.tobytes()),
    }.get(kind, lambda: some.astype(kind).tobytes())()
    assert found_in(NOISE[:1_001] + written + NOISE[1_001:], NAMES) == {"samples"}


def test_noise_holds_no_marker() -> None:
    assert found_in(os.urandom(2_000_000), NAMES) == set()


def test_marked_samples_are_all_different_and_look_like_an_ecg_in_millivolts() -> None:
    every = samples()
    assert len(np.unique(every)) == len(every) == 10_000
    assert 0.33 < every.min() < every.max() < 0.35


def test_names_of_files_are_searched_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Ottilie Wunderlich.txt").write_text("nothing")
    (tmp_path / "b").write_text("nothing")
    assert search(tmp_path, NAMES) == {"a/Ottilie Wunderlich.txt": {"carer"}}
