"""Who is at the other end of a connection, and who we are: files of `homeward enrol`."""

from __future__ import annotations

import ssl
from base64 import b64decode
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge import tls
from edge.sync import SyncError
from edge.sync.words import words


def client_context(ca: Path, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return what judges a broker's certificate, and shows ours: `edge.tls.client_context`.

    Raises
    ------
    SyncError
        A file cannot be used.
    """
    try:
        return tls.client_context(ca, cert, key)
    except tls.TlsError as error:
        raise SyncError(
            f"{error} (`homeward enrol`, or the sink's ca_file and cert_file)"
        ) from error


def server_context(
    cert: Path, key: Path, ca: Path | None, crl: Path | None = None
) -> ssl.SSLContext:
    """Return what a receiver shows to boxes; with `ca` it asks for their certificates too.

    A box without one is not refused here: it may prove in another way who it is.

    Raises
    ------
    SyncError
        A file cannot be used.
    """
    try:
        return tls.server_context(cert, key, ca, crl, demanded=False)
    except tls.TlsError as error:
        raise SyncError(str(error)) from error


def ends_s(cert: Path) -> float | None:
    """Return when a certificate ends, seconds since 1970; None: there is none to be read."""
    try:
        return x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def public_key(path: Path) -> Ed25519PublicKey:
    """Return the key a receiver signs with: PEM, or 32 bytes in base64.

    Raises
    ------
    SyncError
        There is none in the file.
    """
    try:
        content = path.read_bytes()[: 16 * 1024].strip()
        if content.startswith(b"-----"):
            key = load_pem_public_key(content)
        else:
            key = Ed25519PublicKey.from_public_bytes(b64decode(content, validate=True))
    except (OSError, ValueError) as error:
        raise SyncError(
            f"{path} cannot be read ({words(error)}): without the receiver's public key nobody "
            f"knows whether anything was stored; `homeward receive` prints it"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SyncError(f"{path} is no Ed25519 key: take the one `homeward receive` prints")
    return key
