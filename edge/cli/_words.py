"""What people changed, with the names and reasons that stand with the records."""

from __future__ import annotations

from pathlib import Path

from edge.config.kept import Kept, read_kept
from edge.config.words import Words, needs_words, with_refs, with_words


def kept_with_words(folder: Path) -> Kept:
    """Return what is kept in a data directory; names that cannot be had are said to be missing.

    Raises
    ------
    edge.config.ConfigError
        It cannot be read, or is not what was written.
    """
    kept = read_kept(folder)
    words = _words(folder) if needs_words(kept) else ()
    return with_refs(with_words(kept, words))


def _words(folder: Path) -> tuple[Words, ...]:
    # Most boxes have no limits of their own, and a command should not wait for SQLite.
    from edge.store import DATABASE, History, StoreError

    try:
        with History.open(folder / DATABASE) as history:
            return tuple(history.limit_words())
    except StoreError:
        return ()  # the limits count all the same; why the records cannot be read is told elsewhere
