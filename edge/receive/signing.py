"""The key a receiver signs its receipts with: made at the first start, and kept."""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from edge.receive import ReceiveError


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the key of a file; where there is none, make one, readable by its user alone.

    Beside it lies ``receiver.pub``, what boxes are given (`homeward receive ca init
    --receipt-key`).

    Raises
    ------
    ReceiveError
        The file cannot be read or written, others can read it, or it holds another kind of key.
    """
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise ReceiveError(
                f"{path} can be read by others, who could sign receipts with it: run "
                f"`chmod 600 {path}`"
            )
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ReceiveError(f"{path} cannot be used as the key of receipts ({error})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReceiveError(f"{path} holds no Ed25519 key: name another file, it will be made")
    public = path.with_name("receiver.pub")
    said = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        if not public.exists() or public.read_bytes() != said:
            public.write_bytes(said)
            public.chmod(0o644)
    except OSError as error:
        raise ReceiveError(f"{public} cannot be written ({error.strerror})") from error
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public half in short, to compare: 32 bytes in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):  # another receiver was quicker: its key is the one
        path.hardlink_to(aside)
    aside.unlink()
