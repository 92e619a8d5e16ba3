"""The line of every key, checked against tomllib's own reading."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.toml_lines import key_lines
from edge.config.toml_text import toml_value


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1", ("a",), 1),
        ("# c\n\n  a = 1", ("a",), 3),
        ('[t]\n"b.c" = 1', ("t", "b.c"), 2),
        ("[t]\n'b c' = 1", ("t", "b c"), 2),
        ('"caf\\u00e9" = 1', ("café",), 1),
        ("[t]\na.b . c = 1", ("t", "a", "b", "c"), 2),
        ("[t]\na.b = 1", ("t", "a"), 2),
        ("[t.u]\na = 1", ("t",), 1),
        ("x = 0\n[t.'u.v']\na = 1", ("t", "u.v", "a"), 3),
        ("t = {a = 1, b = {c = 2}}", ("t", "b", "c"), 1),
        ("t = [\n 1,\n 2, # x ]\n 3]", ("t", 2), 4),
        ("t = [\n {a = 1},\n {a = 2},\n]", ("t", 1, "a"), 3),
        ("[[s]]\na = 1\n[[s]]\na = 2", ("s", 1, "a"), 4),
        ("[[s]]\n[s.o]\na = 1\n[[s]]\n[s.o]\na = 2", ("s", 1, "o", "a"), 6),
        ("[[s]]\n[[s.d]]\n[[s.d]]\na = 1", ("s", 0, "d", 1, "a"), 4),
        ('s = """\n[no]\n\\""" ]""" \na = 1', ("a",), 4),
        ("s = '''\n[no] ''''\na = 1", ("a",), 3),
        ('s = """x"""""\na = 1', ("a",), 2),
        ('s = ""\na = 1', ("a",), 2),
        ('s = "# \\" ="\na = 1', ("a",), 2),
        ("d = 1979-05-27 07:32:00Z # t\r\na = 1\r\n", ("a",), 2),
    ],
)
def test_a_key_is_found_on_its_line(text, path, line):
    tomllib.loads(text)
    assert key_lines(text)[path] == line


def test_a_text_inside_a_string_is_no_key():
    assert set(key_lines('s = """\nlimit_pct = 1\n"""')) == {("s",)}


@pytest.mark.parametrize("text", ["a", "a = [[1] 2]", "[t", "= 1"])
def test_what_is_not_toml_is_refused(text):
    with pytest.raises(ValueError, match="line 1"):
        key_lines(text)


def _paths(value, path=()):
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for idx, inner in enumerate(value):
            yield from _paths(inner, (*path, idx))


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
_LEAF = st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | _TEXT
_VALUE = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)


@given(st.dictionaries(_TEXT, _VALUE, max_size=5))
def test_every_key_and_element_of_any_toml_has_a_line(document):
    rows = [f"{toml_value(key)} = {toml_value(value)}" for key, value in document.items()]
    text = "\n".join(rows)
    assert tomllib.loads(text) == document
    lines = key_lines(text)
    assert set(lines) == set(_paths(document))
    for path, line in lines.items():
        assert line == list(document).index(path[0]) + 1
