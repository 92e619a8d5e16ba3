"""The span that is exported: everything a format is handed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from edge.export.notes import Notebook
from edge.export.spool import Channel

OnProgress: TypeAlias = Callable[[float], None]
"""Is told how much of the span a format has written, 0..1."""

UNKNOWN = "unknown"


class Origin(msgspec.Struct, frozen=True):
    """What is known of the wall clock.

    Attributes
    ----------
    utc : datetime | None
        Wall time at which the box's clock showed 0; None: nobody knows.
    quality : str
        ``synced``, ``holdover``, ``unsynced`` (as in `edge.clock.TimeQuality`), ``given`` (a
        person said so), ``unknown``.
    """

    utc: datetime | None = None
    quality: str = UNKNOWN

    def at(self, boot_s: float) -> datetime | None:
        """Return the wall time of a boot time."""
        return None if self.utc is None else self.utc + timedelta(seconds=boot_s)


class Span(msgspec.Struct, frozen=True):
    """What is exported.

    Attributes
    ----------
    name : str
        Of the source, for file names and headers.
    patient : str
        The pseudonym; all channels are this patient's.
    from_s, to_s : float
        Half open, by the box's clock.
    channels : tuple[Channel, ...]
        In the order in which files list them.
    notes : Notebook
        Annotations.
    beats : bool
        Whether every beat is one.
    origin : Origin
        When that was.
    version : str
        Of Homeward.
    """

    name: str
    patient: str
    from_s: float
    to_s: float
    channels: tuple[Channel, ...]
    notes: Notebook
    beats: bool
    origin: Origin
    version: str

    @property
    def length_s(self) -> float:
        """Length of the span."""
        return self.to_s - self.from_s
