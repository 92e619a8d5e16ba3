"""Lines of JSON with a signature at the end, and who signs: files that travel on a stick.

The key is Ed25519 and made at the first use; whoever knows the public one can check a file, and
nobody who carries the stick can make or shorten one. Where the box is enrolled its certificate
says whose key it is (`Marker.certificate`, `Marker.vouched`).
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from msgspec import Meta

KEY_FILE: Final = "folder.key"
MAX_FILE_BYTES: Final = 64 * 1024
_VOUCHED: Final = b"homeward-folder/1 "
_Base64 = Annotated[str, Meta(max_length=400, pattern=r"^[A-Za-z0-9+/=]*\Z")]


class SignatureError(Exception):
    """A key cannot be used, or a file is not what was signed; the text says why."""


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who writes into a folder: ``box.json``.

    Attributes
    ----------
    medium : str
        By chance; knows the stick or the share again.
    public_key : str
        Ed25519, raw, in base64.
    certificate : str
        Of the box, in PEM; empty: it is not enrolled.
    vouched : str
        Signature of `public_key` by the certificate's key: ECDSA, SHA-256, in base64.
    """

    schema: Literal["homeward-folder/1"]
    box: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
    medium: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    public_key: _Base64
    certificate: Annotated[str, Meta(max_length=16_000)] = ""
    vouched: _Base64 = ""


class Signer:
    """Signs, with a key that is made in a folder of ours where there is none yet.

    Raises
    ------
    SignatureError
        The key cannot be read or made.
    """

    def __init__(self, sync_dir: Path) -> None:
        self._dir = sync_dir
        try:
            self._key = _read_or_make(sync_dir)
        except (OSError, ValueError) as error:
            raise SignatureError(
                f"{sync_dir / KEY_FILE} cannot be used ({error}): nothing is written unsigned"
            ) from error

    @property
    def public_key(self) -> str:
        """The public key, raw, in base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def signed(self, lines: Sequence[bytes]) -> bytes:
        """Return a file of these lines; the same lines give the same bytes."""
        content = b"".join(line + b"\n" for line in lines)
        signature = base64.b64encode(self._key.sign(content))
        return content + b'{"ed25519":"' + signature + b'"}\n'

    def marker(self, box: str, medium: str) -> Marker:
        """Return who writes here, vouched for by the box's certificate where there is one.

        Raises
        ------
        SignatureError
            The certificate's key cannot be used.
        """
        key = self.public_key
        plain = Marker("homeward-folder/1", box, medium, key)
        crt, private = self._dir / "box.crt", self._dir / "box.key"
        if not crt.is_file() or not private.is_file():
            return plain
        try:
            own = load_pem_private_key(private.read_bytes(), None)
            certificate = crt.read_text(encoding="ascii")
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SignatureError(
                f"{private} cannot be used ({type(error).__name__}): run `homeward enrol`"
            ) from error
        if not isinstance(own, ec.EllipticCurvePrivateKey):
            return plain
        vouched = base64.b64encode(own.sign(_VOUCHED + key.encode(), ec.ECDSA(SHA256())))
        return msgspec.structs.replace(plain, certificate=certificate, vouched=vouched.decode())


def _read_or_make(folder: Path) -> Ed25519PrivateKey:
    path = folder / KEY_FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raw = b""
    if len(raw) == 32:
        return Ed25519PrivateKey.from_private_bytes(raw)
    if raw:
        raise ValueError("it is no key of 32 bytes")
    key = Ed25519PrivateKey.generate()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f".{KEY_FILE}.{secrets.token_hex(4)}"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes_raw())
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    return key


def verified(body: bytes, key: Ed25519PublicKey) -> tuple[bytes, ...]:
    """Return the lines of a file, without its signature.

    Raises
    ------
    SignatureError
        It is cut, altered, or signed by somebody else.
    """
    content, newline, last = body.removesuffix(b"\n").rpartition(b"\n")
    content += newline
    try:
        told = msgspec.json.decode(last, type=dict[Literal["ed25519"], _Base64])
        key.verify(base64.b64decode(told["ed25519"], validate=True), content)
    except (msgspec.MsgspecError, KeyError, binascii.Error, InvalidSignature, ValueError) as error:
        raise SignatureError("it is cut, altered, or signed by another key") from error
    return tuple(content.splitlines())


def key_of(marker: Marker, ca: bytes | None = None, pinned: str = "") -> Ed25519PublicKey:
    """Return the key that signs what lies beside a marker, once it is known whose it is.

    Parameters
    ----------
    ca : bytes | None
        Certificate of the authority the box was enrolled with, in PEM.
    pinned : str
        The public key itself, in base64, where there is no authority.

    Raises
    ------
    SignatureError
        Nothing vouches for it.
    """
    if pinned:
        if pinned != marker.public_key:
            raise SignatureError("the folder's key is another than the one that is known")
    elif ca is not None:
        _check_certificate(marker, ca)
    else:
        raise SignatureError("nothing says whose key it is: give the authority or the key itself")
    try:
        raw = base64.b64decode(marker.public_key, validate=True)
        return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("the folder's key is none") from error


def _check_certificate(marker: Marker, ca: bytes) -> None:
    try:
        own = x509.load_pem_x509_certificate(marker.certificate.encode())
        own.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
        names = own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        public = own.public_key()
        if [name.value for name in names] != [marker.box]:
            raise SignatureError("the certificate is another box's")
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise SignatureError("the certificate is of a kind that boxes do not have")
        public.verify(
            base64.b64decode(marker.vouched, validate=True),
            _VOUCHED + marker.public_key.encode(),
            ec.ECDSA(SHA256()),
        )
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise SignatureError("the box's certificate does not vouch for the folder's key") from error
