"""How a run begins: where it keeps things, what was found, and the first packets of its log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from edge.clock import BootClock
from edge.config.store import Store as StoreSettings
from edge.daemon.keyring import Keyring
from edge.daemon.vaulting import Vaulting
from edge.events import BEGUN_LIMITS, BOX, FACTS, BegunLimits, Facts, tell
from edge.packetlog import PacketLogWriter
from edge.pipeline import START, Kept, Start
from edge.records import Packet
from edge.store import Run
from edge.vault import Bounds


class Places(msgspec.Struct, frozen=True):
    """Where one run keeps things.

    Attributes
    ----------
    database, socket : Path
        The records; the control socket.
    packet_log : Path | None
        Every packet that enters, unencrypted, for looking back; None: no such file.
    data_dir : Path | None
        Where the list of paired sensors lies, and the vault.
    vault : Bounds | None
        How much of the packets is kept in the vault; None: there is none.
    store : StoreSettings
        ``[store]``: what the records do when the disk is full.
    keyring : Keyring | None
        Opens the keys of vault and records; None: one is made.
    """

    database: Path
    socket: Path
    packet_log: Path | None = None
    data_dir: Path | None = None
    vault: Bounds | None = None
    store: StoreSettings = StoreSettings()
    keyring: Keyring | None = None


class Beginning(msgspec.Struct, frozen=True):
    """What was found when a run began.

    Attributes
    ----------
    model_trouble : str
        Why there is no model, for the status; empty: there is one, or none is wanted.
    kept : Kept | None
        What stood when the monitor was last alive; see `edge.daemon.resume`.
    clock_was_set : bool
        The wall clock was set in this boot, before this run began.
    """

    model_trouble: str = ""
    kept: Kept | None = None
    clock_was_set: bool = False


def first_packets(
    run: Run,
    kept: Kept | None,
    facts: Sequence[Facts],
    limits: Sequence[BegunLimits],
    began_s: float,
) -> Iterator[Packet]:
    """Return what a log begins with: the run, what is known of the patients, and their limits."""
    start = Start(run.run_id, run.version, run.model_id, kept)
    # When the run was started, not when this is written: periods are cut from there on.
    yield Packet(BOX, START, run.started_s, msgspec.json.encode(start))
    for known in facts:
        yield tell(FACTS, known, began_s)
    for begun in limits:
        yield tell(BEGUN_LIMITS, begun, began_s)


def open_packet_log(places: Places) -> tuple[PacketLogWriter | None, str]:
    """Return where packets are written as well, and what the status calls it.

    Raises
    ------
    edge.packetlog.LogError
        The packet log cannot be written.
    """
    if places.packet_log is None:
        return None, ""
    return PacketLogWriter(places.packet_log), str(places.packet_log)


def vault_of(places: Places, keyring: Keyring, clock: BootClock) -> Vaulting | None:
    """Return what keeps the packets; it opens the vault by itself, as soon as that can be done."""
    if places.vault is None or places.data_dir is None:
        return None
    return Vaulting(places.data_dir, keyring, clock.read, places.vault)
