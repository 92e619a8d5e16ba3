"""A key of a box, and the request that asks for a certificate of it."""

from __future__ import annotations

from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.enrol import EnrolError
from edge.enrol.naming import fingerprint

MIN_RSA_BITS: Final = 2048
CLIENT_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key: P-256, which every broker and every Pi does quickly."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: str = "") -> bytes:
    """Return a key as PEM (PKCS #8)."""
    how: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption_algorithm=how
    )


def request_pem(key: ec.EllipticCurvePrivateKey, box: str) -> bytes:
    """Return what asks for a certificate in the name of a box."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, box)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(box)]), critical=False)
        .add_extension(CLIENT_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


class HasKey(Protocol):
    """A key, a request or a certificate."""

    def public_key(self) -> Any:  # noqa: ANN401  # of a dozen kinds
        """Return the public key."""
        ...


def public_der(has_key: HasKey) -> bytes:
    """Return a public key as DER (SubjectPublicKeyInfo)."""
    der: bytes = has_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der


def fingerprint_of(has_key: HasKey) -> str:
    """Return the fingerprint of a key, request or certificate."""
    return fingerprint(public_der(has_key))


def weakness(public: object) -> str:
    """Return why a public key is too weak, or of a kind brokers do not take; empty: it is good."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        good = isinstance(public.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)
        return "" if good else f"its curve {public.curve.name} is not P-256, P-384 or P-521"
    if isinstance(public, rsa.RSAPublicKey):
        bits = public.key_size
        return "" if bits >= MIN_RSA_BITS else f"its RSA key has {bits} bits, of {MIN_RSA_BITS}"
    return "its key is neither EC (P-256) nor RSA"


def common_name(subject: x509.Name) -> str:
    """Return the one common name; empty: there is none, or there are several."""
    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def read_request(content: bytes, source: str) -> x509.CertificateSigningRequest:
    """Return a request whose signature is that of the key it holds.

    Raises
    ------
    EnrolError
        It is none, is forged, or its key is too weak.
    """
    try:
        request = x509.load_pem_x509_csr(content)
        sound = request.is_signature_valid
        public = request.public_key()
        common_name(request.subject)  # read only when asked, and only then it raises
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise EnrolError(f"{source} holds no certificate request (PEM): {error}") from error
    if not sound:
        raise EnrolError(f"{source} is forged or damaged: it is not signed by the key it holds")
    weak = weakness(public)
    if weak:
        raise EnrolError(f"{source} is refused: {weak}")
    return request
