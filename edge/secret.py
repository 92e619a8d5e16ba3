"""Addresses that nobody may see: read from a file, and kept out of every text.

The URL of a chat, a topic or a dead-man watcher is a password. It stands in a file of its own, as
one of systemd's credentials or readable by its user alone, never in the configuration; whatever
is logged, shown or reported goes through `Secret.scrub` first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

MAX_BYTES: Final = 16 * 1024
HIDDEN: Final = "[hidden]"
_LEAST: Final = 4
"""Shorter parts of an address are words, not secrets."""
_HARMLESS: Final = frozenset({"http", "https", "ntfy", "json", "fail", "localhost", "verify"})


class SecretError(Exception):
    """An address cannot be had or used; the text says why and what to do."""


class Secret:
    """The lines of one file: an address, and a token where the service wants one.

    Parameters
    ----------
    lines : tuple[str, ...]
        Without those that are empty or begin with ``#``.
    """

    def __init__(self, lines: tuple[str, ...]) -> None:
        self.lines = lines
        self._parts = sorted(_parts(lines), key=len, reverse=True)

    @property
    def url(self) -> str:
        """The first line."""
        return self.lines[0]

    @property
    def token(self) -> str:
        """The second line; empty: there is none."""
        return self.lines[1] if len(self.lines) > 1 else ""

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def scrub(self, text: str) -> str:
        """Return a text without the address or any telling part of it, whatever its case."""
        for part in self._parts:
            text = re.sub(re.escape(part), HIDDEN, text, flags=re.IGNORECASE)
        return text


def read_secret(named: str, data_dir: Path) -> Secret:
    """Return what a file holds.

    Parameters
    ----------
    named : str
        A path; or a bare name among systemd's credentials, or in `data_dir`.

    Raises
    ------
    SecretError
        It cannot be read, others can read it too, or there is nothing in it.
    """
    path, private = _found(named, data_dir)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SecretError(
            f"{path} cannot be read ({error}): write the address into it, one line, and "
            f"`chmod 600` it"
        ) from error
    if mode & 0o077 and not private:
        raise SecretError(
            f"{path} is open to other users (mode {mode:03o}), and an address is a password: run "
            f"`chmod 600 {path}`"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SecretError(f"{path} is not UTF-8 text: write the address into it") from error
    stripped = (line.strip() for line in text.splitlines())
    lines = tuple(line for line in stripped if line and not line.startswith("#"))
    if not lines or len(content) > MAX_BYTES:
        raise SecretError(f"{path} holds no address: write it into its first line")
    return Secret(lines)


def _found(named: str, data_dir: Path) -> tuple[Path, bool]:
    """Return where a file lies, and whether systemd keeps it private."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if credentials and "/" not in named:
        path = Path(credentials) / named
        if path.exists():
            return path, True
    return data_dir / Path(named).expanduser(), False


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # no address: all of it is hidden
        return ""


def _parts(lines: tuple[str, ...]) -> set[str]:
    """Return everything of an address that must not be seen: all but the host of a web address."""
    parts: set[str] = set()
    for line in lines:
        host = ""
        if line.startswith(("http://", "https://", "ntfy://", "ntfys://")):
            host = _host(line)
        pieces = [piece for piece in re.split(r"[/:@?&=#\s]+", line) if piece]
        secret = [line, *(piece for piece in pieces if piece.lower() != host)]
        for piece in secret:
            if len(piece) >= _LEAST and piece.lower() not in _HARMLESS:
                parts |= {piece, quote(piece, safe=""), unquote(piece)}
    return parts
