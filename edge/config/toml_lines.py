"""Where each key of a TOML text stands: ``tomllib`` does not say, and people need the line.

The text has been read by ``tomllib`` before, so only what is valid has to be understood here:
keys (bare, quoted, dotted), tables, arrays of tables, and values as far as their end.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Final, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Names of tables and keys, and indices of arrays, from the top: ``("sources", 0, "reader")``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_KEY_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_STRING: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?'{3,5}(?!')|"(?:\\.|[^"\\\n])*"|'[^'\n]*\'''',
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """Return the line, counted from 1, on which each key, table and array element begins.

    Parameters
    ----------
    text : str
        TOML that ``tomllib.loads`` has accepted.

    Raises
    ------
    ValueError
        The text is not TOML.
    """
    return _Scan(text.replace("\r\n", "\n")).document()


class _Scan:
    """One pass over the text; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.n_tables: dict[KeyPath, int] = {}
        self._counted_to = 0
        self._line = 1

    def document(self) -> dict[KeyPath, int]:
        """Read statements to the end."""
        table: KeyPath = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)
        return self.lines

    def header(self) -> KeyPath:
        """Read ``[a.b]`` or ``[[a.b]]``; return where its keys belong."""
        line = self.line()
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        *above, last = self.key()
        self.expect("]]" if array else "]")
        path: KeyPath = ()
        for name in above:
            path = self.newest((*path, name))
        path = (*path, last)
        if array:
            idx = self.n_tables.get(path, 0)
            self.n_tables[path] = idx + 1
            self.lines.setdefault(path, line)
            path = (*path, idx)
        else:
            path = self.newest(path)
        self.note(path, line)
        return path

    def newest(self, path: KeyPath) -> KeyPath:
        """Return the last element's path where `path` is an array of tables."""
        n = self.n_tables.get(path, 0)
        return (*path, n - 1) if n else path

    def pair(self, table: KeyPath) -> None:
        """Read ``key = value`` under `table`."""
        line = self.line()
        path = (*table, *self.key())
        self.note(path, line)
        self.expect("=")
        self.skip(_SPACE)
        self.value(path)

    def key(self) -> list[str]:
        """Read a dotted key."""
        parts = [self.key_part()]
        while self.text.startswith(".", self.at):
            self.at += 1
            parts.append(self.key_part())
        return parts

    def key_part(self) -> str:
        """Read one part of a key and the blanks around it."""
        self.skip(_SPACE)
        raw = self.skip(_KEY_PART)
        self.skip(_SPACE)
        # tomllib knows every escape; a bare or quoted key is read by it.
        return next(iter(tomllib.loads(f"{raw} = 0")))

    def value(self, path: KeyPath) -> None:
        """Read to the end of a value, noting what lies inside arrays and inline tables."""
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        elif first in {'"', "'"}:
            self.skip(_STRING)
        else:
            self.skip(_SCALAR)

    def array(self, path: KeyPath) -> None:
        """Read ``[value, ...]``."""
        self.at += 1
        idx = 0
        self.skip(_BLANK)
        while not self.text.startswith("]", self.at):
            self.note((*path, idx), self.line())
            self.value((*path, idx))
            self.separator("]")
            idx += 1
        self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        """Read ``{key = value, ...}``."""
        self.at += 1
        self.skip(_BLANK)
        while not self.text.startswith("}", self.at):
            self.pair(path)
            self.separator("}")
        self.at += 1

    def separator(self, end: str) -> None:
        """Step over a comma; without one the bracket must end here."""
        self.skip(_BLANK)
        if self.text.startswith(",", self.at):
            self.at += 1
            self.skip(_BLANK)
        elif not self.text.startswith(end, self.at):
            raise ValueError(f"line {self.line()}: expected ',' or {end!r}")

    def note(self, path: KeyPath, line: int) -> None:
        """Remember where `path` and whatever it lies in began, the first time each is named."""
        for n_parts in range(len(path), 0, -1):
            self.lines.setdefault(path[:n_parts], line)

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Step over what matches here and return it."""
        found = pattern.match(self.text, self.at)
        if found is None:
            raise ValueError(f"line {self.line()}: this is not TOML")
        self.at = found.end()
        return found[0]

    def expect(self, mark: str) -> None:
        """Step over `mark`."""
        if not self.text.startswith(mark, self.at):
            raise ValueError(f"line {self.line()}: expected {mark!r}")
        self.at += len(mark)

    def line(self) -> int:
        """Return the line of the next character; the text only goes forward."""
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line
