"""Which fields of which logger may be printed, and as what.

An allow-list: a field that is not named here for its logger comes out as the kind and length of
its value, so that nobody prints a name by forgetting something. To have a new field printed is
one row here; `tests/edge/journal/test_every_line.py` finds every log call of the tree and fails
on one that has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Final

from edge.journal.names import Names
from edge.journal.scrubbed import scrubbed


class Shown(StrEnum):
    """As what a field is printed.

    WORD: one of the program's own words. NUMBER: a count, or a span of time; never what was
    measured of a person. ID: random or digested, says nothing by itself. NAME: something a person
    named, as its place in the settings. SENSOR: the last two octets of an address. PATH: without
    home folders and serial numbers. TEXT: what a fault says, scrubbed. EVENT: our own sentence.
    """

    WORD = "word"
    NUMBER = "number"
    ID = "id"
    NAME = "name"
    SENSOR = "sensor"
    PATH = "path"
    TEXT = "text"
    EVENT = "event"


_W, _N, _I, _T = Shown.WORD, Shown.NUMBER, Shown.ID, Shown.TEXT
_RADIO: Final = {
    "radio": _W,
    "step": _W,
    "why": _T,
    "rest_s": _N,
    "silent_s": _N,
    "file": Shown.PATH,
}
_BLE: Final = {
    **_RADIO,
    "sensor": Shown.SENSOR,
    "sensors": Shown.SENSOR,
    "fault": _W,
    "mtu": _N,
    "wanted": _N,
    "uuid": _I,
    "result": _N,
    "n_new": _N,
    "n_known": _N,
}

ALWAYS: Final[Mapping[str, Shown]] = {"event": Shown.EVENT, "level": _W, "error": _T, "reason": _T}
"""Fields of all loggers."""

KEYS: Final[Mapping[str, Mapping[str, Shown]]] = {
    "ble": _BLE,
    "boxwatch": {"part": _W, "look": _W},
    "consent": {"switch": _W, "on": _N},
    "control": {"command": _W},
    "gate": {"kind": _W, "by": _W, "why": _T},
    "i2c": {"sensor": _I, "chip": _W},
    "intake": {"source": Shown.NAME, "n_packets": _N},
    "ledger": {"found": _W, "n": _N, "head": _I},
    "library": {"library": _W, "text": _T},
    "limits": {"act": _W, "n": _N},
    "local": {"annunciator": _W},
    "model": {},
    "monitor": {
        "act": _W,
        "alert": _I,
        "by": _T,
        "by_s": _N,
        "id": _I,
        "n_sources": _N,
        "n_unwritten": _N,
        "priority": _W,
        "rule": _W,
        "socket": Shown.PATH,
        "state": _W,
        "step": _W,
    },
    "notices": {"alert": _I, "stage": _W, "by": Shown.NAME},
    "notify": {
        "about": _W,
        "again_s": _N,
        "alert": _I,
        "by": Shown.NAME,
        "deadman": _N,
        "for_s": _N,
        "n_failed": _N,
        "n_sent": _N,
        "n_ways": _N,
        "received": _N,
        "run": _I,
        "stage": _W,
        "way": Shown.NAME,
        "why": _T,
        "works": _N,
    },
    "proof": {},
    "receive": {"box": _I, "topic": _W, "why": _T},
    "recorder": {"path": Shown.PATH, "waited_s": _N},
    "resume": {},
    "run": {},
    "salvage": {"aside": _I},
    "selftest": {"asked_by": Shown.NAME, "part": _W, "subject": Shown.NAME},
    "store": {"aside": _T, "path": Shown.PATH, "recovered": _N, "lost": _N, "floor": _W},
    "sync": {
        "again_s": _N,
        "host": Shown.NAME,
        "n_sinks": _N,
        "run": _I,
        "sink": Shown.NAME,
        "why": _T,
    },
    "uart": {"port": Shown.PATH, "device": _W},
    "vault": {"n_packets": _N, "found": _T, "folder": Shown.PATH},
}
"""Logger -> field -> as what it is printed."""

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.=-]{0,47}")
_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z:._-]{0,99}")
_OCTETS: Final = re.compile(r".*?([0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})", re.DOTALL)
_NEEDS_A_DIGIT: Final = re.compile(r"\d")


def shown(kind: Shown | None, value: Any, names: Names) -> Any:  # noqa: ANN401  # of any log call
    """Return what is printed of a value; all of another kind than it should be is hidden."""
    if value is None:
        return None
    if isinstance(value, Enum):
        value = value.value
    if kind is Shown.NUMBER:
        return _number(value)
    if kind is Shown.SENSOR and isinstance(value, list | tuple):
        return " ".join(str(shown(kind, one, names)) for one in value)
    if kind is None or not (isinstance(value, str) or kind is Shown.TEXT):
        return hidden(value)
    text = _told(kind, str(value), names)
    return hidden(value) if text is None else text


def hidden(value: Any) -> str:  # noqa: ANN401  # of any log call
    """Return what is printed in the place of a value: its kind, and how long it is."""
    try:
        length = f" of {len(value)}"
    except TypeError:
        length = ""
    return f"[{type(value).__name__}{length}]"


def _number(value: Any) -> Any:  # noqa: ANN401  # of any log call
    if isinstance(value, bool | int) or (isinstance(value, float) and not math.isnan(value)):
        return value
    return hidden(value)


def _told(kind: Shown, text: str, names: Names) -> str | None:
    """Return a text as its kind is printed; None: it is not of that kind."""
    match kind:
        case Shown.WORD | Shown.ID:
            return text if _is_plain(kind, text) and not names.is_hidden(text) else None
        case Shown.NAME:
            return names.label_of(text)
        case Shown.SENSOR:
            found = _OCTETS.fullmatch(text)
            return found[1] if found else None
        case Shown.EVENT:
            return text  # a literal of the program, as a test holds: names in it are its own words
        case Shown.PATH if not text.startswith("/"):
            return None
    return scrubbed(text, names, numbers=kind is not Shown.TEXT)


def _is_plain(kind: Shown, text: str) -> bool:
    if kind is Shown.WORD:
        return _WORD.fullmatch(text) is not None
    return not text or bool(_ID.fullmatch(text) and _NEEDS_A_DIGIT.search(text))
