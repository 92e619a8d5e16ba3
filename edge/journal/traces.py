"""An exception for the journal: which, where and from what, without what the variables held."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from edge.journal.names import NAMES, Names
from edge.journal.scrubbed import scrubbed

MAX_FRAMES: Final = 30
MAX_CAUSES: Final = 8
_ROOT: Final = Path(__file__).parents[2]
_BECAUSE: Final = "which came of"


def trace_text(error: BaseException, names: Names = NAMES) -> str:
    """Return an exception's whole story as text.

    No source lines are needed to find a place and none are read: a file that is read in a fault
    may hang with the disk.
    """
    return "\n".join(_lines(error, names))


def exception_of(exc_info: Any) -> BaseException | None:  # noqa: ANN401  # what structlog takes
    """Return the exception that an ``exc_info`` of a log call means."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        found = exc_info[1]
        return found if isinstance(found, BaseException) else None
    return None


def _lines(error: BaseException, names: Names) -> Iterator[str]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and len(seen) < MAX_CAUSES and id(one) not in seen:
        if seen:
            yield f"{_BECAUSE}:"
        seen.add(id(one))
        yield from _frames(one.__traceback__)
        yield f"{type(one).__qualname__}: {_said(one, names)}"
        if isinstance(one, BaseExceptionGroup):
            for part in one.exceptions[:MAX_CAUSES]:
                yield f"  of it {type(part).__qualname__}: {_said(part, names)}"
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _said(error: BaseException, names: Names) -> str:
    try:
        return scrubbed(str(error), names)
    except Exception as fault:  # noqa: BLE001  # an exception that cannot be told has a name too
        return f"[{type(fault).__qualname__} when it was to be told]"


def _frames(trace: TracebackType | None) -> Iterator[str]:
    frames = [(frame.f_code, n) for frame, n in traceback.walk_tb(trace)]
    if len(frames) > MAX_FRAMES:
        yield f"  [{len(frames) - MAX_FRAMES} calls left out]"
    for code, n in frames[-MAX_FRAMES:]:
        yield f"  {_place(code.co_filename)}:{n} in {code.co_qualname}"


def _place(file: str) -> str:
    """Return a file's name from our tree's root, or from the library's."""
    path = Path(file)
    if path.is_relative_to(_ROOT):
        return str(path.relative_to(_ROOT))
    return "/".join(path.parts[-2:])
