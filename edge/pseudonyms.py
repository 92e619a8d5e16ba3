"""What a patient is called in all that leaves the box: a random id, and nothing of who it is.

The id a patient has in the settings was chosen by a person, goes into every record here, and may
say more than it should. What leaves (notices, messages, files on request) says ``hw-`` and 80
random bits instead. It is made when it is first needed, kept with the records, and another one is
made when another patient lies down: what left before is then of somebody nobody can name.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

PREFIX: Final = "hw-"
N_BYTES: Final = 10


class Pseudonym(msgspec.Struct, frozen=True):
    """What a patient is called outside."""

    patient: str
    id: str


def new_id() -> str:
    """Return an id nobody has used.

    >>> len(new_id()), new_id().startswith("hw-")
    (19, True)
    """
    return PREFIX + base64.b32encode(secrets.token_bytes(N_BYTES)).decode().lower()


class Pseudonyms:
    """The ids of this box's patients; to be used by one thread.

    Parameters
    ----------
    known : Iterable[Pseudonym]
        Those on record; of a patient the last counts.
    keep : Callable
        Is handed every new one, to be kept with the records.
    """

    def __init__(
        self,
        known: Iterable[Pseudonym] = (),
        keep: Callable[[Pseudonym], None] = lambda _: None,
    ) -> None:
        self._ids = {one.patient: one.id for one in known}
        self._keep = keep
        self._renewed: dict[str, float] = {}

    @property
    def known(self) -> Mapping[str, str]:
        """Patient -> id, for the owner alone."""
        return dict(self._ids)

    def of(self, patient: str) -> str:
        """Return what a patient is called outside; the box itself (empty) has no other name."""
        if not patient:
            return ""
        return self._ids.get(patient) or self.renew(patient)

    def renew(self, patient: str) -> str:
        """Give a patient a new id: somebody else lies here, or wants to be forgotten."""
        made = Pseudonym(patient, new_id())
        self._ids[patient] = made.id
        self._keep(made)
        return made.id

    def know(self, known: Iterable[Pseudonym]) -> None:
        """Take those on record; of a patient the last counts."""
        self._ids |= {one.patient: one.id for one in known}

    def succeed(self, patient: str, at_s: float) -> None:
        """Note that somebody else lies in a patient's place; of the same moment once."""
        if patient in self._ids and self._renewed.get(patient) != at_s:
            self._renewed[patient] = at_s
            self.renew(patient)

    def forget(self, patient: str = "") -> None:
        """Forget the id of a patient, or (empty) all; the next is another one."""
        for name in [patient] if patient else list(self._ids):
            self._ids.pop(name, None)
