"""How a new device key is to be protected, as a person chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cli._shared import CommandError
from edge.cli._vault import passphrase
from edge.keys.keyfile import (
    STICK_FILE,
    KeyFile,
    plain,
    shared,
    under_passphrase,
    write_key_file,
)

if TYPE_CHECKING:
    from edge.keys import DeviceKey


def chosen_passphrase() -> str:
    """Return the passphrase that a person chooses for a new key.

    Raises
    ------
    CommandError
        There is nobody to ask.
    """
    asked = passphrase(new=True)
    if asked is None:
        raise CommandError(
            "a passphrase is to be typed at a terminal, or given in HOMEWARD_PASSPHRASE_FILE"
        )
    return asked()


def protected(stick: Path | None, typed: str) -> Callable[[DeviceKey], KeyFile]:
    """Return what makes the new key's file: on two places, under a passphrase, or plain."""
    if stick is not None:
        return lambda key: _on_stick(key, stick)
    return (lambda key: under_passphrase(key, typed)) if typed else plain


def _on_stick(key: DeviceKey, stick: Path) -> KeyFile:
    if not stick.is_dir():
        raise CommandError(f"there is no folder {stick}: plug the stick in and mount it")
    mine, theirs = shared(key, stick.absolute())
    if (stick / STICK_FILE).exists():
        raise CommandError(f"{stick / STICK_FILE} is there already, of another key: move it away")
    write_key_file(stick / STICK_FILE, theirs)
    return mine
