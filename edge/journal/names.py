"""What must not be printed, as far as this process has come to know it.

Names of patients, carers and sensors from the settings, what people type into requests, the
addresses of notices. The scrubber takes them out of every text, in whatever form Python writes
them; a name is shown as where it stands in the settings (``[patient 1]``), so that the owner can
still tell which one is meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

MAX_TYPED: Final = 1000
"""Texts that people typed; the oldest are forgotten first."""
LEAST: Final = 2
"""Shorter texts are letters, not names."""
WHOLE_WORDS_UP_TO: Final = 3
"""So short a name is only found as a word of its own."""
TYPED: Final = "[typed]"
_FIELDS: Final = frozenset({"by", "to", "why", "reason", "value", "patient", "name", "detail"})
"""Fields of a request in which people type."""


class Names:
    """Texts to hide, with what stands in their place; to be used from any thread.

    Attributes
    ----------
    also : list[Callable[[str], str]]
        More that takes secrets out of a text.
    """

    def __init__(self) -> None:
        self.also: list[Callable[[str], str]] = []
        self._labels: dict[str, str] = {}
        self._typed: dict[str, None] = {}
        self._harmless: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, text: str | None, label: str) -> None:
        """Print `label` in the place of `text` from now on."""
        if text and len(text.strip()) >= LEAST and text not in self._harmless:
            self._labels.setdefault(text.strip(), label)
            self._pattern = None

    def allow(self, words: Iterable[str]) -> None:
        """Print these, which are words of the program, wherever a name is to be printed."""
        self._harmless.update(words)
        for word in self._harmless & self._labels.keys():
            del self._labels[word]
        self._pattern = None

    def hear(self, request: msgspec.Struct) -> None:
        """Hide what a person typed into a request."""
        for field in request.__struct_fields__:
            value = getattr(request, field)
            if isinstance(value, msgspec.Struct):
                self.hear(value)
            elif field in _FIELDS and isinstance(value, str) and len(value.strip()) >= LEAST:
                self._type(value.strip())

    def label_of(self, name: str) -> str | None:
        """Return what to print where a name is to be printed; None: it is not known."""
        if not name or name in self._harmless:
            return name
        return self._labels.get(name)

    def is_hidden(self, text: str) -> bool:
        """Return whether a text is, or holds, what must not be printed."""
        return self.without(text) != text

    def without(self, text: str) -> str:
        """Return a text with labels in the place of all that must not be printed."""
        for also in tuple(self.also):
            text = also(text)
        pattern = self._pattern
        if pattern is None:
            pattern = self._pattern = self._compiled()
        return pattern.sub(self._label, text)

    def _type(self, text: str) -> None:
        if text in self._labels or text in self._harmless or text in self._typed:
            return
        self._typed[text] = None
        while len(self._typed) > MAX_TYPED:
            del self._typed[next(iter(self._typed))]
        self._pattern = None

    def _label(self, found: re.Match[str]) -> str:
        text = found[0].casefold()
        for name, label in tuple(self._labels.items()):
            if any(text == form.casefold() for form in _forms(name)):
                return label
        return TYPED

    def _compiled(self) -> re.Pattern[str]:
        forms = {f for name in (*self._labels, *self._typed) for f in _forms(name)}
        if not forms:
            return re.compile(r"(?!)")
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        return re.compile("|".join(_as_pattern(form) for form in ordered), re.IGNORECASE)


def _as_pattern(form: str) -> str:
    quoted = re.escape(form)
    return rf"(?<!\w){quoted}(?!\w)" if len(form) <= WHOLE_WORDS_UP_TO else quoted


def _forms(name: str) -> set[str]:
    """Return how a name may stand in a text: both compositions, and what repr makes of it."""
    forms: set[Any] = {name}
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, name)
        forms |= {text, ascii(text)[1:-1], repr(text)[1:-1], repr(text.encode())[2:-1]}
    return {form for form in forms if len(form) >= LEAST}


NAMES: Final = Names()
"""Of this process."""
