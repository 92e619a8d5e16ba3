"""Destroying a span, or everything: the keys go first, and what is to stay is written anew.

A key is overwritten in place and removed, then the blocks. On a flash card old cells may outlive
that for a while: whoever reads the bare chip and has the device's key as well might still find a
segment's. `homeward vault rotate-key` afterwards makes such a find worthless too. Copies of the
vault made before (backups) are not reached by any of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from edge.keys import DeviceKey, KeyFile, KeyRing, KeysError
from edge.keys.keyfile import plain
from edge.keys.medium import shred
from edge.keys.ring import forget_keys
from edge.keys.sealed import sealed_files
from edge.vault import scan
from edge.vault.folder import (
    GONE,
    ROLL,
    Lock,
    Segment,
    changing,
    destroy,
    is_written,
    note_gone,
    segments,
    superseded,
    tidy,
)
from edge.vault.layout import Kind, VaultError, WrappedKey
from edge.vault.remains import outside, rewrite
from edge.vault.rotating import renew
from edge.vault.sealing import unwrap
from edge.vault.spans import Clocks, WallSpan

ROLL_WAIT_S: Final = 30.0
FORGOTTEN: Final = "forgotten"

OnDone = Callable[[int, int], None]
"""Is told how many of how many segments are done."""


class Forgotten(msgspec.Struct, tag="forgotten", tag_field="record"):
    """What was destroyed.

    Attributes
    ----------
    n_destroyed, n_rewritten : int
        Segments that are gone whole; segments of which the rest was kept.
    n_packets : int
        Packets that are gone, as far as their segments could be counted.
    unsure : list[str]
        Segments whose date is not known, and which were left alone.
    left : list[str]
        What a person has to do still.
    """

    n_destroyed: int = 0
    n_rewritten: int = 0
    n_packets: int = 0
    unsure: list[str] = []
    left: list[str] = []


def forget_span(
    folder: Path, ring: KeyRing, span: WallSpan, on_done: OnDone | None = None
) -> Forgotten:
    """Destroy what arrived in a span of time; the rest stays readable.

    A monitor that runs is asked to begin a new segment first.

    Raises
    ------
    VaultError, KeysError
        It could not be done; what was done stays done, nothing else is touched, and this may be
        called again.
    """
    if is_written(folder):
        roll(folder)
    told = Forgotten()
    with changing(folder):
        tidy(folder)
        there = segments(folder)
        busy = _busy(folder, there)
    clocks = Clocks(there)
    for number, segment in enumerate(there):
        if on_done is not None:
            on_done(number, len(there))
        # One at a time: a monitor that begins a segment meanwhile does not wait for all of it.
        with changing(folder):
            if segment.path.exists():
                _forget_in(segment, ring, span, clocks, told, busy=segment in busy)
    return told


def _busy(folder: Path, there: list[Segment]) -> list[Segment]:
    """Return the segment that a monitor has begun since it was asked for a new one."""
    return there[-1:] if is_written(folder) and there and not _is_closed(there[-1]) else []


def _is_closed(segment: Segment) -> bool:
    last = None
    for head in scan.heads(segment):
        last = head.kind
    return last == Kind.END


def _forget_in(
    segment: Segment, ring: KeyRing, span: WallSpan, clocks: Clocks, told: Forgotten, *, busy: bool
) -> None:
    boot = clocks.boot_span(segment, span)
    if boot is None:
        told.unsure.append(segment.stem)
        return
    from_s, to_s = boot
    heads = [h for h in scan.heads(segment) if h.kind == Kind.PACKETS]
    touched = [h for h in heads if h.first_s < to_s and h.last_s >= from_s]
    if not touched:
        return
    if busy:
        raise VaultError(
            f"the monitor writes {segment.path.name}, and the span reaches into it: end the span "
            f"a minute before now, or stop the monitor and do this again"
        )
    unwrap(ring, _key_of(segment))  # what another key has written is not destroyed by mistake
    if all(from_s <= h.first_s and h.last_s < to_s for h in heads) and _is_sound(segment):
        destroy(segment, FORGOTTEN)
        told.n_destroyed += 1
        told.n_packets += sum(h.n_packets for h in heads)
        return
    told.n_packets += rewrite(segment, ring, outside(from_s, to_s), FORGOTTEN)
    told.n_rewritten += 1


def _is_sound(segment: Segment) -> bool:
    """Say whether all blocks were seen, so that none outside the span goes with the others."""
    report = scan.VaultReport()
    for _ in scan.blocks(segment, report):
        pass
    return report.whole


def _key_of(segment: Segment) -> WrappedKey:
    key = segment.key()
    if key is None:
        raise VaultError(
            f"{segment.path} has lost its key and cannot be read by anybody; "
            f"`homeward vault forget --all` removes such remains too"
        )
    return key


def roll(folder: Path, wait_s: float = ROLL_WAIT_S) -> None:
    """Ask the monitor that runs to begin a new segment, and wait until it has.

    Raises
    ------
    VaultError
        It did not, in time.
    """
    mark = folder / ROLL
    try:
        mark.touch(mode=0o600)
        end_s = time.monotonic() + wait_s
        while mark.exists():
            if time.monotonic() > end_s:
                raise VaultError(
                    f"the monitor did not end its segment within {wait_s:.0f} s: look with "
                    f"`homeward status` whether it records, or stop it, and do this again"
                )
            time.sleep(0.2)
    except OSError as error:
        raise VaultError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def forget_all(
    data_dir: Path,
    folder: Path,
    on_done: OnDone | None = None,
    *,
    ring: KeyRing | None = None,
    protect: Callable[[DeviceKey], KeyFile] = plain,
) -> Forgotten:
    """Destroy everything in the vault: all segments' keys, the device's key, then all files.

    Works with any key, or none. A credential of systemd is not ours to destroy: make a new one.
    The records are another thing: where there are any, the device key that goes is replaced by a
    new one, under which theirs is wrapped.

    Parameters
    ----------
    ring : KeyRing | None
        Opens the records' key. None: it cannot be had, and the device key stays, for them.
    protect : Callable
        Makes the new key's file.

    Raises
    ------
    VaultError, KeysError
        A monitor runs, or the disk refuses; it may be called again.
    """
    told = Forgotten()
    lock = Lock(folder, "vault")
    try:
        with changing(folder):
            there = [*superseded(folder), *segments(folder)]
            try:
                for segment in there:
                    note_gone(segment, FORGOTTEN)
                    shred(segment.key_path)
            except OSError as error:
                raise VaultError(f"a key cannot be destroyed: {error.strerror}") from error
            told.left.extend(_change_device_key(data_dir, ring, protect))
            for number, segment in enumerate(there):
                if on_done is not None:
                    on_done(number, len(there))
                destroy(segment)
                told.n_destroyed += 1
            tidy(folder)
            (folder / GONE).unlink(missing_ok=True)
    except OSError as error:
        raise KeysError(f"{folder} cannot be emptied: {error.strerror}; check it") from error
    finally:
        lock.release()
    return told


def _change_device_key(
    data_dir: Path, ring: KeyRing | None, protect: Callable[[DeviceKey], KeyFile]
) -> list[str]:
    """Destroy the device key, or change it where the records need one."""
    if not sealed_files(data_dir):
        forget_keys(data_dir)
        return []
    if ring is None:
        why = "the device key stays, for the records need it, and it is not to be opened here"
        return [f"{why}: `homeward vault rotate-key` changes it"]
    return renew(data_dir, ring, protect)
