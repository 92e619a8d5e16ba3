"""Faults of a configuration, gathered with where they stand and how to mend them."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Final

from edge.config.settings import UNIT_WORDS, ConfigError, unit_of
from edge.config.toml_lines import KeyPath
from edge.config.vault import RETIRED

COMMAND_LINE: Final = "command line"

_RETIRED: Final[Mapping[KeyPath, str]] = {("box", "packet_log_mb"): RETIRED}

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: KeyPath) -> str:
    """Return a path as people write it.

    >>> dotted(("sources", 0, "reader"))
    'sources[0].reader'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else repr(part)
            text += f".{name}" if text else name
    return text


class Complaints:
    """Every fault found, in the order of the file.

    Parameters
    ----------
    file : str
        What to call the file.
    lines : Mapping[KeyPath, int]
        Where its keys stand.
    raw : Mapping[KeyPath, str]
        Keys set on the command line and the text given there.
    """

    def __init__(
        self, file: str, lines: Mapping[KeyPath, int], raw: Mapping[KeyPath, str] | None = None
    ) -> None:
        self.file = file
        self.lines = lines
        self.raw = raw or {}
        self._found: list[tuple[int, str]] = []

    def origin(self, path: KeyPath) -> str:
        """Return ``file:line`` of a key, or of the nearest table around it."""
        if path in self.raw:
            return COMMAND_LINE
        line = self._line(path)
        return f"{self.file}:{line}" if line else self.file

    def add(self, path: KeyPath, what: str, mend: str) -> None:
        """Note one fault: `what` is wrong with the key at `path`, and how to mend it."""
        where = dotted(path)
        text = f"{where}: {what}" if where else what
        self._found.append((self._line(path), f"{self.origin(path)}: {text}; {mend}"))

    def unknown(self, path: KeyPath, known: Iterable[str], noun: str = "setting") -> None:
        """Note a name that nothing here has, with the one that was probably meant."""
        if path in _RETIRED:
            self.add(path, f"there is no such {noun} any more", _RETIRED[path])
            return
        self.add(path, f"there is no such {noun}", suggestion(str(path[-1]), tuple(known)))

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with all faults, if there are some."""
        if self._found:
            raise ConfigError(*(text for _, text in sorted(self._found, key=lambda f: f[0])))

    def _line(self, path: KeyPath) -> int:
        for n_parts in range(len(path), 0, -1):
            if path[:n_parts] in self.lines:
                return self.lines[path[:n_parts]]
        return 0


def suggestion(name: str, known: tuple[str, ...]) -> str:
    """Return how to mend an unknown name: the same in another unit, a near miss, or the list.

    >>> suggestion("limit_percent", ("limit_pct", "delay_s"))
    'it is given in percent: write limit_pct'
    >>> suggestion("dealy_s", ("limit_pct", "delay_s"))
    'write delay_s'
    >>> suggestion("colour", ("limit_pct", "delay_s"))
    'known here: delay_s, limit_pct'
    """
    for other in known:
        if unit_of(other) and _stem(name) == _stem(other):
            return f"it is given in {UNIT_WORDS[unit_of(other)]}: write {other}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if near:
        return f"write {near[0]}"
    if not known:
        return "nothing can be set here: take it out"
    return f"known here: {', '.join(sorted(known))}"


_SPELT_OUT: Final = frozenset(
    {"percent", "seconds", "second", "sec", "secs", "minutes", "hours", "millis", "mm", "celsius"}
    | {"hertz", "beats", "breaths", "rpm", "c", "us", "volts", "days", "d"}
)


def _stem(name: str) -> str:
    """Return the name without its unit, in whatever spelling."""
    if name.startswith("n_"):
        return name[2:]
    stem, _, last = name.rpartition("_")
    return stem if stem and (last in UNIT_WORDS or last in _SPELT_OUT) else name


def syntax_error(file: str, text: str, error: Exception) -> ConfigError:
    """Return what to tell of a text that is not TOML, with the line and the likely mend.

    Parameters
    ----------
    error : Exception
        What ``tomllib`` raised.
    """
    said = str(error)
    found = re.search(r" \(at line (\d+), column \d+\)$", said)
    rows = text.splitlines()
    line = int(found[1]) if found else max(1, len(rows))
    said = said[: found.start()] if found else said.removesuffix(" (at end of document)")
    row = rows[line - 1].strip() if line <= len(rows) else ""
    shown = f" in {row[:60]!r}" if row and isinstance(error, tomllib.TOMLDecodeError) else ""
    return ConfigError(f"{file}:{line}: this is not TOML: {said}{shown}; {_syntax_mend(said)}")


def _syntax_mend(said: str) -> str:
    for sign, mend in _SYNTAX_MENDS.items():
        if sign in said:
            return mend
    return "see the commented example that `homeward config --toml` prints"


_SYNTAX_MENDS: Final[Mapping[str, str]] = {
    "Cannot overwrite": "the key is there twice: keep one of them",
    "Cannot declare": "the table is there twice: put its keys under one header",
    "Cannot mutate": "the table is closed already: put its keys together",
    "Expected '='": "write NAME = VALUE, or [NAME] for a table",
    "Invalid value": 'write numbers without their unit, text in "quotes", and true or false small',
    "Invalid initial character": "write NAME = VALUE; other characters need quotes",
    "Invalid statement": "write NAME = VALUE, or [NAME] for a table; a comment begins with #",
    "Expected ']": "close the header with as many ] as it has [",
    'Expected "\'"': "close the text with the same quotes it begins with",
    "Unterminated string": "close the text with the same quotes it begins with",
    "Illegal character": "take the character out, or close the quotes before it",
    "Expected newline": "put one setting on a line; text needs quotes, a number has no unit",
    "Unclosed array": "close the list with ]",
    "Unclosed inline": "close it with }",
    "Exceeds the limit": "the number is far too long: write fewer digits",
    "recursion": "the lists are nested too deep: take the inner ones out",
}
