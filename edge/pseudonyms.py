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
BOX_PREFIX: Final = "box-"
BOX, SEED = "@box", "@seed"
"""Kept like patients: what receivers call the box, and a secret of its own. No patient can have
such an id (`edge.config.settings.Patient`)."""
N_SEED: Final = 32
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
        return {who: name for who, name in self._ids.items() if not is_of_box(who)}

    @property
    def has_box(self) -> bool:
        """Whether it is known what receivers call this box, and its secret."""
        return BOX in self._ids and SEED in self._ids

    def box(self) -> str:
        """Return what receivers call this box: the same for ever, whoever lies here."""
        return self._ids.get(BOX) or self._made(BOX, BOX_PREFIX + new_id().removeprefix(PREFIX))

    def seed(self) -> bytes:
        """Return a secret of this box that never leaves it."""
        text = self._ids.get(SEED) or self._made(SEED, secrets.token_hex(N_SEED))
        return bytes.fromhex(text)

    def of(self, patient: str) -> str:
        """Return what a patient is called outside; the box itself (empty) has no other name."""
        if not patient:
            return ""
        return self._ids.get(patient) or self.renew(patient)

    def renew(self, patient: str) -> str:
        """Give a patient a new id: somebody else lies here, or wants to be forgotten."""
        return self._made(patient, new_id())

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
        for name in [patient] if patient else list(self.known):
            self._ids.pop(name, None)

    def _made(self, who: str, name: str) -> str:
        self._ids[who] = name
        self._keep(Pseudonym(who, name))
        return name


def is_of_box(who: str) -> bool:
    """Return whether it is no patient's, but the box's own.

    >>> is_of_box(BOX), is_of_box("patient-1")
    (True, False)
    """
    return who.startswith("@")
