"""One line of the log: what may be printed of an event, and of what libraries say."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from edge.journal.keys import ALWAYS, KEYS, shown
from edge.journal.names import NAMES, Names
from edge.journal.scrubbed import scrubbed
from edge.journal.traces import exception_of, trace_text

BROKEN: Final = "a line of the log could not be told"


class _Named:
    """Writes lines, and knows whose they are."""

    def __init__(self, file: TextIO, name: str) -> None:
        self._file, self.name = file, name

    def _write(self, text: str) -> None:
        self._file.write(text + "\n")
        self._file.flush()

    debug = info = warning = error = critical = exception = log = msg = _write


def open_journal(file: object, names: Names = NAMES) -> None:
    """Send all that this process logs to `file`, scrubbed, as ``key=value`` lines.

    What libraries say through `logging`, uncaught exceptions (of threads too) and warnings take
    the same way.

    Parameters
    ----------
    file : object
        Has ``write`` and ``flush``.
    """
    out = cast(TextIO, file)

    def scrub(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return scrub_event(getattr(logger, "name", ""), method, event, names)

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            scrub,
            structlog.processors.LogfmtRenderer(key_order=["level", "event"]),
        ],
        logger_factory=lambda *name: _Named(out, str(name[0]) if name else ""),
        cache_logger_on_first_use=True,
    )
    told = structlog.get_logger("library")
    logging.basicConfig(handlers=[_Libraries(told)], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    _catch(told)


def scrub_event(
    logger: str, method: str, event: MutableMapping[str, Any], names: Names = NAMES
) -> dict[str, Any]:
    """Return what may be printed of an event.

    Parameters
    ----------
    logger : str
        Its name: `edge.journal.keys.KEYS` lists what each may print.
    method : str
        ``info``, ``warning`` ...; one that ends an ``except`` brings its exception.
    event : MutableMapping
        As structlog made it.
    """
    try:
        return _scrub(logger, method, event, names)
    except Exception as error:  # noqa: BLE001  # a log that fails must not stop an alarm
        return {"level": "error", "event": BROKEN, "of": logger, "because": type(error).__name__}


def _scrub(
    logger: str, method: str, event: MutableMapping[str, Any], names: Names
) -> dict[str, Any]:
    allowed = KEYS.get(logger, {})
    exc_info = event.pop("exc_info", None) or (method == "exception")
    told: dict[str, Any] = {}
    for key, value in event.items():
        kind = ALWAYS.get(key) or allowed.get(key)
        told[str(key)] = shown(kind, value, names)
    if exc_info:
        error = exception_of(sys.exc_info() if exc_info is True else exc_info)
        if error is not None:
            told["exception"] = trace_text(error, names)
    return told


class _Libraries(logging.Handler):
    """Takes what libraries log: they know nothing of what may be said."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401  # structlog has no type for it
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = "a message that does not fit its own parts"
        level = "error" if record.levelno >= logging.ERROR else "warning"
        error = exception_of(record.exc_info)
        getattr(self._log, level)("said", library=record.name, text=text, exc_info=error)


def _catch(log: Any) -> None:  # noqa: ANN401  # structlog has no type for it
    def uncaught(kind: Any, error: Any, trace: Any) -> None:  # noqa: ANN401
        del kind, trace
        log.error("ended by a fault", exc_info=error)

    def in_thread(told: threading.ExceptHookArgs) -> None:
        log.error("a thread ended by a fault", exc_info=told.exc_value)

    def unraisable(told: sys.UnraisableHookArgs) -> None:
        log.error("a fault nobody could be told of", exc_info=told.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable


def printable_error(error: BaseException, *, to_journal: bool) -> str:
    """Return the text of an error for standard error, which may be the journal."""
    return scrubbed(str(error), numbers=True) if to_journal else str(error)
