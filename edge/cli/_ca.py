"""What the commands of a clinic's authority share."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from edge.cli._shared import CommandError, channel_defaults, find_config
from edge.enrol.authority import Issued
from edge.enrol.folder import read_bounded

PASSPHRASE_FILE: Final = "HOMEWARD_CA_PASSPHRASE_FILE"  # noqa: S105  # a variable's name

Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="Of the authority; default: ca in the data folder.",
        show_default=False,
    ),
]
Days: TypeAlias = Annotated[
    int, typer.Option("--days", min=1, max=825, help="How long the certificate holds.")
]


def ca_folder(config: Path | None, folder: Path | None) -> Path:
    """Return the authority's folder; what is made from here on is this user's alone."""
    os.umask(0o077)
    if folder is not None:
        return folder
    from edge.config import load

    return load(find_config(config), channel_defaults(), only=("box",)).box.data_dir / "ca"


def read_file(path: Path) -> bytes:
    """Return what a small file holds."""
    try:
        return read_bounded(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror})") from error


def passphrase() -> str:
    """Return the passphrase of the authority's key."""
    return _typed("passphrase of the authority", new=False)


def new_passphrase() -> str:
    """Return one that is chosen now."""
    return _typed("new passphrase of the authority", new=True)


def _typed(text: str, *, new: bool) -> str:
    named = os.environ.get(PASSPHRASE_FILE, "")
    if named:
        lines = read_file(Path(named)).decode("utf-8", "replace").splitlines()
        if not lines or not lines[0]:
            raise CommandError(f"{named} holds no passphrase: it is the first line")
        return lines[0]
    if not sys.stdin.isatty():
        raise CommandError(
            f"a passphrase is to be typed at a terminal, or given in {PASSPHRASE_FILE}"
        )
    return str(typer.prompt(text, hide_input=True, confirmation_prompt=new, err=True))


def facts(issued: Issued) -> dict[str, object]:
    """Return a certificate as JSON tells it."""
    return {
        "name": issued.name,
        "purpose": issued.purpose,
        "serial": issued.serial,
        "fingerprint": issued.fingerprint,
        "signed_utc": utc_text(issued.signed_s),
        "ends_utc": utc_text(issued.ends_s),
        "revoked_utc": utc_text(issued.revoked_s) if issued.revoked_s else None,
    }


def utc_text(wall_s: float) -> str:
    """Return a wall time as JSON tells it."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat()


def wall_s() -> float:
    """Return the wall time, seconds since 1970."""
    return datetime.now(UTC).timestamp()
