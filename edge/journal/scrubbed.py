"""Take out of a text what does not belong into a log.

What programs and libraries say of a fault cannot be listed, so it is taken apart instead: texts
in quotes (except paths), web addresses, all but the end of radio addresses, serial numbers, home
folders, numbers that measure something, and every name that is known. What is left says what
failed and where.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edge.journal.names import NAMES, Names

MAX_TEXT: Final = 600
"""Characters of one text; a fault that quotes a whole payload is cut."""
NUMBER: Final = "#"

_QUOTED: Final = re.compile(
    r"(?P<call>\b[A-Z]\w*\()?(?<!\w)b?(?P<q>['\"])(?P<text>(?:\\.|(?!(?P=q)).)*)(?P=q)(?!\w)",
    re.DOTALL,
)
_PATH: Final = re.compile(r"/[\w.+@:/=-]+")
_URL: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s'\"<>)\]]+")
_RADIO: Final = re.compile(
    r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}(?P<s>[:_-])(?:[0-9A-Fa-f]{2}(?P=s)){3})"
    r"(?P<end>[0-9A-Fa-f]{2}(?P=s)[0-9A-Fa-f]{2})(?![0-9A-Fa-f])"
)
_BARE_RADIO: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9A-Fa-f]{8}(?P<end>[0-9A-Fa-f]{4})(?![\w-])")
_SERIAL_NUMBER: Final = re.compile(r"(/dev/serial/by-(?:id|path)/)\S*?(\S{0,4})(?=[\s,:;)'\"]|$)")
_HOME: Final = re.compile(r"/home/[^/\s'\"]+")
_MEASURE: Final = re.compile(
    r"(?P<kept>\[[a-z ]+ \d+\]"
    r"|\b(?:[Ee]rrno|line|code|status|signal|exit|pid|HTTP|error)[ =]-?\d+\b)"
    r"|(?<![\w./:#-])[-+]?(?:\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?|\.\d+)(?![\w/:-]|\.\d)"
)
_DECIMAL: Final = re.compile(r"(?<![\w.])[-+]?\d+\.\d+(?![\w.])")


def scrubbed(text: str, names: Names = NAMES, *, numbers: bool = False) -> str:
    """Return a text that may be printed.

    Parameters
    ----------
    text : str
        Of a fault, of a library.
    names : Names
        What is known.
    numbers : bool
        Whether numbers may stay.
    """
    text = names.without(text)
    text = _URL.sub("[address]", text)
    text = _RADIO.sub(lambda found: f"..{found['s']}{found['end']}", text)
    text = _BARE_RADIO.sub(lambda found: f"..{found['end']}", text)
    text = _HOME.sub("~", _SERIAL_NUMBER.sub(r"\1..\2", text))
    text = _QUOTED.sub(_unquoted(), text)
    if not numbers:
        text = _MEASURE.sub(lambda found: found["kept"] or NUMBER, text)
        text = _DECIMAL.sub(NUMBER, text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} [cut]"


def _unquoted() -> Callable[[re.Match[str]], str]:
    def hidden(found: re.Match[str]) -> str:
        text = found["text"]
        if found["call"]:  # BleakError('...'): what it says, and not what it quotes
            return f"{found['call']}{_QUOTED.sub(hidden, text)}"
        if not text or _PATH.fullmatch(text):
            return found[0]
        return "'[quoted]'"

    return hidden
