"""Certificates of a small authority, as RFC 5280 wants them: Python 3.13 takes no others.

Key usage and basic constraints are critical, subject and authority key identifiers are always
there, serial numbers are 159 random bits.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.enrol.request import CLIENT_USAGE, HasKey

CA_DAYS: Final = 3650
LEAF_DAYS: Final = 397
"""As public authorities do: a lost key is of no use for ever."""
BACKDATED: Final = timedelta(hours=1)
"""Clocks of boxes may be a little behind."""
_AUTHORITY_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Leaf(msgspec.Struct, frozen=True):
    """What a certificate says.

    Attributes
    ----------
    name : str
        Common name: of a box, a receiver, or the first host of a broker.
    hosts : Sequence[str]
        Names and addresses under which it may be reached (subject alternative names).
    server, client : bool
        What it may be used for.
    begins, ends : datetime
        In UTC.
    """

    name: str
    hosts: Sequence[str]
    begins: datetime
    ends: datetime
    server: bool = False
    client: bool = False


def utc(wall_s: float) -> datetime:
    """Return a wall time as certificates say it: whole seconds."""
    return datetime.fromtimestamp(int(wall_s), UTC)


def sign_authority(
    key: ec.EllipticCurvePrivateKey, name: str, begins: datetime, ends: datetime
) -> x509.Certificate:
    """Return the certificate of an authority that vouches for itself and signs leaves only."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )


def sign_leaf(
    leaf: Leaf, of: HasKey, issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """Return a certificate of the key that `of` holds."""
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] if leaf.server else []
    usages += [ExtendedKeyUsageOID.CLIENT_AUTH] if leaf.client else []
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    public = of.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, leaf.name[:64])]))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(leaf.begins)
        .not_valid_after(min(leaf.ends, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(CLIENT_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(host_name, leaf.hosts)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def host_name(host: str) -> x509.GeneralName:
    """Return a host as a certificate names it.

    Raises
    ------
    ValueError
        It is neither an address nor a name in ASCII.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def sign_revoked(
    revoked: Iterable[tuple[int, datetime]],
    number: int,
    now: datetime,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateRevocationList:
    """Return the list of certificates that were taken back.

    It holds until the authority itself ends: a broker whose list has run out lets nobody in.
    """
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now - BACKDATED)
        .next_update(issuer.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )
    for serial, when in revoked:
        made = made.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
        )
    return made.sign(issuer_key, hashes.SHA256())
