"""Whether a chain does for a box: checked field by field, then in a rehearsed handshake.

The rehearsal is OpenSSL's own judgement, by the rules a broker goes by (and Python's strict ones):
a server that exists only in memory asks for the certificate and trusts the clinic's CA alone.
"""

from __future__ import annotations

import base64
import re
import ssl
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.enrol import EnrolError
from edge.enrol.leaves import Leaf, sign_authority, sign_leaf
from edge.enrol.request import common_name, key_pem, new_key, public_der, weakness
from edge.tls import TlsError, client_context, server_context

_T = TypeVar("_T", bound=x509.ExtensionType)

_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----", re.ASCII)
_MALFORMED: Final = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_HOST: Final = "rehearsal"
_MAX_CERTIFICATES: Final = 10
_WORDS: Final = {
    9: "a certificate of the chain is not valid yet: is the clock of this box right?",
    10: "a certificate of the chain has expired (or the clock of this box is wrong)",
    18: "the certificate vouches for itself: it has to be signed by the clinic's CA",
    19: "the chain does not lead to the clinic's CA: is it the right CA file?",
    20: "the chain does not lead to the clinic's CA: is it the right CA file, and are all "
    "certificates between there?",
    21: "the chain does not lead to the clinic's CA: are all certificates between there?",
    26: "a certificate of the chain is not made for this (extended key usage: clientAuth)",
}


class Chain(msgspec.Struct, frozen=True):
    """What a clinic handed back.

    Attributes
    ----------
    leaf : x509.Certificate
        Of this box.
    pem : bytes
        The certificate of this box, then those between it and the CA.
    ca_pem : bytes
        Who vouches for it, and for the broker.
    ca_ends : datetime
        When the first of these ends.
    receiver_pem : bytes
        Key by which receipts are signed; empty: not handed over.
    """

    leaf: x509.Certificate
    pem: bytes
    ca_pem: bytes
    ca_ends: datetime
    receiver_pem: bytes


def read_chain(content: bytes, ca: bytes | None, receiver: bytes | None, key_der: bytes) -> Chain:
    """Return what was handed back, put in order: the certificate of our key first.

    Parameters
    ----------
    content : bytes
        PEM: the certificate; with it may come those between, the CA and the receiver's key.
    ca, receiver : bytes | None
        The same two, where they were handed over apart.

    Raises
    ------
    EnrolError
        Something is missing or is not what it should be.
    """
    found = certificates(content, "the chain")
    leaf = next((one for one in found if public_der(one) == key_der), None)
    if leaf is None:
        raise EnrolError(
            "none of these certificates is of this box's key: was it made for another request? "
            "`homeward enrol` shows the one that waits"
        )
    between = [one for one in found if one is not leaf and one.subject != one.issuer]
    roots = (
        [one for one in found if one is not leaf and one.subject == one.issuer]
        if ca is None
        else certificates(ca, "the CA file")
    )
    if not roots:
        raise EnrolError("who signed this? give the clinic's CA certificate too: --ca FILE")
    handed = content if receiver is None else receiver
    wanted = receiver is not None or b"PUBLIC KEY" in content
    receiver_pem = receiver_key(handed) if wanted else b""
    return Chain(
        leaf=leaf,
        pem=b"".join(map(_pem, [leaf, *between])),
        ca_pem=b"".join(map(_pem, roots)),
        ca_ends=min(one.not_valid_after_utc for one in roots),
        receiver_pem=receiver_pem,
    )


def certificates(content: bytes, source: str) -> list[x509.Certificate]:
    """Return the certificates a PEM text holds; at least one.

    Raises
    ------
    EnrolError
        There is none, or one cannot be read; or a private key lies beside them.
    """
    blocks = list(_blocks(content))
    if any(label.endswith("PRIVATE KEY") for label, _ in blocks):
        raise EnrolError(
            f"{source} holds a private key: nobody but this box may have its key, and nobody "
            f"else's belongs here"
        )
    texts = [text for label, text in blocks if label == "CERTIFICATE"]
    if not texts or len(texts) > _MAX_CERTIFICATES:
        raise EnrolError(f"{source} holds {len(texts)} certificates (PEM): 1 to 10 are needed")
    try:
        found = [x509.load_pem_x509_certificate(text) for text in texts]
        for one in found:
            _read_through(one)
    except (ValueError, TypeError, UnsupportedAlgorithm, *_MALFORMED) as error:
        raise EnrolError(f"{source} is damaged: {error}") from error
    return found


def _read_through(certificate: x509.Certificate) -> None:
    """Read every field once: cryptography does so only when asked, and raises only then."""
    public_der(certificate)
    for name in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc"):
        getattr(certificate, name)


def receiver_key(content: bytes) -> bytes:
    """Return the key receipts are signed by, as PEM.

    Parameters
    ----------
    content : bytes
        As `homeward receive` gives it, 32 bytes in base64; or PEM, with whatever else beside it.

    Raises
    ------
    EnrolError
        There is none, or it is of another kind.
    """
    text = next((text for label, text in _blocks(content) if label == "PUBLIC KEY"), b"")
    try:
        key = (
            serialization.load_pem_public_key(text)
            if text
            else ed25519.Ed25519PublicKey.from_public_bytes(
                base64.b64decode(content.strip(), validate=True)
            )
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EnrolError(
            f"the receiver's key cannot be read: take receiver.pub of `homeward receive` ({error})"
        ) from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise EnrolError("the receiver's key is of another kind: receipts are signed by Ed25519")
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _blocks(content: bytes) -> Iterator[tuple[str, bytes]]:
    for found in _PEM.finditer(content):
        yield found[1].decode("ascii"), found[0] + b"\n"


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def troubles(leaf: x509.Certificate, box: str) -> list[str]:
    """Return what a certificate lacks to be this box's, a sentence each."""
    found = []
    name = common_name(leaf.subject)
    if name != box:
        found.append(
            f"it is for {name[:80]!r}, and this box is {box!r}: brokers go by the common name"
        )
    weak = weakness(leaf.public_key())
    if weak:
        found.append(weak)
    return [*found, *_extension_troubles(leaf.extensions)]


def _extension_troubles(extensions: x509.Extensions) -> Iterator[str]:
    usage = _of(extensions, x509.KeyUsage)
    if usage is None:
        yield "it has no key usage, and Python 3.13 takes no such chain: keyUsage=digitalSignature"
    elif not usage.digital_signature:
        yield "its key usage has no digitalSignature"
    wider = _of(extensions, x509.ExtendedKeyUsage)
    if wider is None or ExtendedKeyUsageOID.CLIENT_AUTH not in wider:
        yield "it is not made for a client: extendedKeyUsage=clientAuth"
    if _of(extensions, x509.SubjectKeyIdentifier) is None:
        yield "it has no subject key identifier: subjectKeyIdentifier=hash"
    if _of(extensions, x509.AuthorityKeyIdentifier) is None:
        yield "it has no authority key identifier: authorityKeyIdentifier=keyid"
    basic = _of(extensions, x509.BasicConstraints)
    if basic is not None and basic.ca:
        yield "it is a CA, and could make certificates of other boxes: basicConstraints=CA:FALSE"


def _of(extensions: x509.Extensions, kind: type[_T]) -> _T | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def rehearse(chain_pem: bytes, key: bytes, ca_pem: bytes, now: datetime) -> str:
    """Return why a strict server would refuse us; empty: it would not.

    Parameters
    ----------
    now : datetime
        When; of the server's own certificate alone: OpenSSL goes by the clock.
    """
    with tempfile.TemporaryDirectory(prefix="homeward-") as made:  # of this user alone: 0700
        place = Path(made)
        _write_server(place, now)
        for name, content in (("chain", chain_pem), ("key", key), ("ca", ca_pem)):
            (place / name).touch(mode=0o600)
            (place / name).write_bytes(content)
        try:
            server = server_context(place / "server", place / "server-key", place / "ca")
            client = client_context(place / "server-ca", place / "chain", place / "key")
            _shake_hands(client, server)
        except TlsError as error:
            return str(error).replace(f"{place}/", "")
        except ssl.SSLCertVerificationError as error:
            return _WORDS.get(error.verify_code, error.verify_message)
        except ssl.SSLError as error:
            return f"TLS refuses it ({error.reason})"
    return ""


def _write_server(place: Path, now: datetime) -> None:
    begins, ends = now - timedelta(days=1), now + timedelta(days=1)
    authority, key = new_key(), new_key()
    ca = sign_authority(authority, _HOST, begins, ends)
    leaf = Leaf(_HOST, (_HOST,), begins, ends, server=True)
    (place / "server-key").touch(mode=0o600)
    (place / "server-key").write_bytes(key_pem(key))
    (place / "server").write_bytes(_pem(sign_leaf(leaf, key, ca, authority)))
    (place / "server-ca").write_bytes(_pem(ca))


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Let two ends in memory shake hands; whatever one of them objects to is raised."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=_HOST),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(6):  # a handshake has at most three flights
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        end.do_handshake()
