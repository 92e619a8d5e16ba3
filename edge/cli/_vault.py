"""The vault as commands open it: its key, its past, a span of it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import typer

from edge.cli._shared import CommandError, parse_span
from edge.packetlog import LogError
from edge.records import Packet, Record

if TYPE_CHECKING:
    from edge.keys.keyfile import Passphrase
    from edge.playback import OnRecord, OnTime
    from edge.readers.replay import ReplayReport, ReplaySettings
    from edge.vault import KeyRing, VaultReport
    from edge.whatif.nights import Night

VAULT: Final = "vault:"
PASSPHRASE_FILE: Final = "HOMEWARD_PASSPHRASE_FILE"  # noqa: S105  # the name of a variable


class VaultSpan(msgspec.Struct, frozen=True):
    """What of the vault is replayed; before `begin_s` it only leads up to it."""

    packets: Iterator[Packet]
    begin_s: float | None
    end_s: float


class LedUp:
    """Passes records on from a moment of the replay on; None: all."""

    def __init__(
        self, on_record: OnRecord, begin_s: float | None, on_time: OnTime | None = None
    ) -> None:
        self._on_record, self._on_time = on_record, on_time
        self._begin_s = -math.inf if begin_s is None else begin_s
        self._now_s = -math.inf

    def __call__(self, record: Record) -> None:
        """Take a record of the replay."""
        if self._now_s >= self._begin_s:
            self._on_record(record)

    def timed(self, now_s: float) -> None:
        """Take how far the replay is."""
        self._now_s = max(self._now_s, now_s)
        if self._on_time is not None:
            self._on_time(now_s)


def vault_folder(data_dir: Path) -> Path:
    """Return where the vault lies."""
    from edge.vault import FOLDER

    return data_dir / FOLDER


def has_vault(data_dir: Path) -> bool:
    """Return whether anything was ever kept in the vault."""
    return any(vault_folder(data_dir).glob("*.hwv"))


def ring_of(data_dir: Path) -> KeyRing:
    """Return the keys of the vault; asks for a passphrase where one is wanted.

    Raises
    ------
    edge.keys.KeysError
        There are none, or they do not open.
    """
    from edge.vault import open_keys
    from edge.vault.folder import device_ids

    return open_keys(
        data_dir, device_ids(vault_folder(data_dir)), passphrase=passphrase(), make=False
    )


def passphrase(*, new: bool = False) -> Passphrase | None:
    """Return what gives the passphrase: a file, or a person; None: there is neither.

    Parameters
    ----------
    new : bool
        It is chosen now, so a person types it twice.
    """
    named = os.environ.get(PASSPHRASE_FILE, "")
    if named:
        return lambda: _first_line(Path(named))
    if not sys.stdin.isatty():
        return None
    known: list[str] = []

    def ask() -> str:
        if not known:
            text = "new passphrase of the vault" if new else "passphrase of the vault"
            known.append(typer.prompt(text, hide_input=True, confirmation_prompt=new, err=True))
        return known[0]

    return ask


def _first_line(path: Path) -> str:
    try:
        return path.read_text("utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise CommandError(f"no passphrase can be read from {path} ({error})") from error


def vault_nights(data_dir: Path, span_s: float | None) -> Iterator[Night]:
    """Return the past in the vault; what cannot be read is told."""
    from edge.vault import VaultReport
    from edge.whatif.nights import from_vault

    report = VaultReport()
    yield from from_vault(vault_folder(data_dir), ring_of(data_dir), span_s, report)
    for message in report.messages:
        typer.echo(f"homeward: {message}", err=True)


def vault_span(
    data_dir: Path, named: str, settings: ReplaySettings, report: ReplayReport
) -> VaultSpan:
    """Return what ``vault:``, ``vault:RUN`` or ``vault:8h`` means.

    Raises
    ------
    CommandError
        There is nothing of that.
    """
    from edge.vault import VaultReport

    report.kind, report.name = "vault", named
    if settings.from_s or settings.to_s is not None:
        raise CommandError("--from and --to are for recordings; of the vault name a span: vault:8h")
    found = VaultReport()
    night, is_span = vault_night(data_dir, named, found, report.messages)
    report.log.messages = found.messages  # filled in while the packets are taken
    return VaultSpan(_read(night), night.begin_s if is_span else None, night.end_s)


def vault_night(
    data_dir: Path, named: str, found: VaultReport, messages: list[str]
) -> tuple[Night, bool]:
    """Return the run that ``vault:``, ``vault:RUN`` or ``vault:8h`` means; whether it is a span.

    Parameters
    ----------
    found : VaultReport
        Is filled in with what could not be read, while the packets are taken.
    messages : list[str]
        Is added to: what a person should know of the choice.

    Raises
    ------
    CommandError
        There is nothing of that.
    """
    from edge.whatif.nights import from_vault

    wanted = named.removeprefix(VAULT)
    span_s: float | None = None
    with suppress(typer.BadParameter):
        span_s = parse_span(wanted) if wanted else None
    folder = vault_folder(data_dir)
    nights = list(from_vault(folder, ring_of(data_dir), span_s, found))
    runs = [n for n in nights if span_s is not None or n.run_id.startswith(wanted)]
    if not runs:
        there = ", ".join(night.run_id for night in nights[-5:]) or "nothing"
        why = found.messages[0] if found.messages else f"in {folder} there is {there}"
        raise CommandError(f"{named} cannot be read: {why}")
    if span_s is not None and len(runs) > 1:
        messages.append(f"{len(runs)} runs lie in this span; this is the last of them")
    return runs[-1], span_s is not None


def _read(night: Night) -> Iterator[Packet]:
    try:
        yield from night.packets
    except LogError as error:
        raise CommandError(str(error)) from error
