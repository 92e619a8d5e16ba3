"""How the vault goes, as the status shows it; how much it may hold, as the settings say it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.config import Vault
from edge.vault import Bounds
from edge.vault.folder import segments
from edge.vault.keeping import bound_bytes
from edge.vault.reading import rows


class Measured(msgspec.Struct, frozen=True):
    """How much there is; None: not measured yet.

    Attributes
    ----------
    n_bytes, bound_bytes : int | None
        Size of all segments; what it may be on this disk now.
    oldest_wall_s : float | None
        Wall time of the oldest packet, seconds since 1970 UTC; None also where no clock was set.
    """

    n_bytes: int | None = None
    bound_bytes: int | None = None
    oldest_wall_s: float | None = None


class VaultState(msgspec.Struct, frozen=True):
    """How the vault goes.

    Attributes
    ----------
    folder : str
        Where it lies.
    trouble, kind, failing_s : str, str, float | None
        Why raw packets are not kept, of what kind (``key`` or ``write``), and since when by the
        boot clock; empty and None: they are.
    n_waiting, n_dropped : int
        Packets that are not written yet; packets given up because they could not be.
    n_failures : int
        Attempts that failed since the start.
    synced_s : float | None
        Boot clock of the last time it was put on the medium.
    busy_s : float | None
        Boot clock at which the work began that has not come back; None: there is none.
    aside : bool
        Another program works on it, as somebody asked; packets wait.
    protection, sentence : str | None, str
        What protects its key, and what that is worth; None: the key is not open.
    measured : Measured
        How much there is.
    """

    folder: str
    trouble: str = ""
    kind: str = ""
    failing_s: float | None = None
    n_waiting: int = 0
    n_dropped: int = 0
    n_failures: int = 0
    synced_s: float | None = None
    busy_s: float | None = None
    aside: bool = False
    protection: str | None = None
    sentence: str = ""
    measured: Measured = Measured()


def bounds_of(told: Vault) -> Bounds:
    """Return the bounds that ``[vault]`` says."""
    return Bounds(
        days=told.keep_days,
        pinned_days=told.keep_pinned_days,
        max_bytes=int(told.max_gb * 1e9),
        share=told.share_pct / 100.0,
        reserve_bytes=int(told.reserve_mb * 1e6),
    )


def measured(folder: Path, bounds: Bounds) -> Measured:
    """Measure a vault; an OSError or `edge.vault.VaultError` passes on."""
    n_bytes = sum(segment.n_bytes() for segment in segments(folder))
    oldest = next((row for row in rows(folder) if row.from_s is not None), None)
    wall_s = None
    if oldest is not None and oldest.from_s is not None and oldest.synchronised:
        wall_s = oldest.wall_s + oldest.from_s - oldest.boot_s
    return Measured(n_bytes, bound_bytes(folder, bounds, n_bytes), wall_s)
