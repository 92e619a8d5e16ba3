"""Authorities and certificates for tests: good ones, and each that has to be refused.

Made here with nothing but `cryptography`, not by what is tested:

    pki = Pki(tmp_path)
    pki.server("expired"), pki.client("other_box")  # -> Pair(chain, key), files
    pki.ca.file, pki.rogue.file
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BOX: Final = "box-7f3a"
OTHER: Final = "box-0000"
DAY: Final = timedelta(days=1)
SERVERS: Final = (
    "expired",
    "not_yet_valid",
    "wrong_ca",
    "wrong_name",
    "self_signed",
    "weak_key",
    "for_clients",
    "no_identifiers",
    "sloppy_ca",
)
"""Certificates of a server that have to be refused."""
CLIENTS: Final = ("expired", "not_yet_valid", "wrong_ca", "self_signed", "for_servers")
"""Certificates of a box that a server has to refuse."""


class Pair(NamedTuple):
    """A certificate with its key, in files."""

    chain: Path
    key: Path


class Ca:
    """An authority; `sloppy`: without key usage, as many home-made ones are."""

    def __init__(self, folder: Path, name: str, *, sloppy: bool = False) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.crt"
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 1000 * DAY)
            .not_valid_after(now + 1000 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        if not sloppy:
            made = made.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
            identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
            made = made.add_extension(identifier, critical=False)
        self.certificate = made.sign(self.key, hashes.SHA256())
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))


class Pki:
    """Everything a test of TLS needs, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = Ca(folder, "clinic")
        self.rogue = Ca(folder, "rogue")
        self.sloppy = Ca(folder, "sloppy", sloppy=True)
        self._n = 0

    def server(self, fault: str = "") -> Pair:
        """Return the certificate of a server at localhost, good or with one fault."""
        return self._made(fault, "localhost", "for_clients")

    def client(self, fault: str = "", name: str = BOX) -> Pair:
        """Return the certificate of a box, good or with one fault."""
        return self._made(fault, OTHER if fault == "other_box" else name, "for_servers")

    def ca_of(self, fault: str) -> Path:
        """Return the CA file of whoever is shown a certificate with that fault."""
        return (self.sloppy if fault == "sloppy_ca" else self.ca).file

    def _made(self, fault: str, name: str, for_others: str) -> Pair:
        key = (
            rsa.generate_private_key(65537, 1024)  # noqa: S505  # too weak on purpose
            if fault == "weak_key"
            else ec.generate_private_key(ec.SECP256R1())
        )
        server = (name == "localhost") != (fault == for_others)
        return self.sign(key, name, fault, server=server)

    def sign(self, key, name: str, fault: str = "", *, server: bool = False, public=None) -> Pair:
        """Return a certificate of any key in any name; `public`: of a key we do not have."""
        issuer = {"wrong_ca": self.rogue, "sloppy_ca": self.sloppy}.get(fault, self.ca)
        now = datetime.now(UTC)
        begins, ends = {
            "expired": (now - 30 * DAY, now - DAY),
            "not_yet_valid": (now + DAY, now + 30 * DAY),
            "nearly_over": (now - 300 * DAY, now + 20 * DAY),
        }.get(fault, (now - DAY, now + 300 * DAY))
        shown = "elsewhere.example" if fault == "wrong_name" else name
        hosts: list[x509.GeneralName] = [x509.DNSName(shown)]
        if shown == "localhost":
            hosts.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        public = public or key.public_key()
        alone = fault == "self_signed"
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(shown))
            .issuer_name(_named(shown) if alone else issuer.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(x509.BasicConstraints(ca=fault == "is_ca", path_length=None), True)
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if fault != "no_key_usage":
            made = made.add_extension(_usage("digital_signature"), critical=True)
        if fault != "no_identifiers":
            own = x509.SubjectKeyIdentifier.from_public_key(public)
            of = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
            made = made.add_extension(own, critical=False)
            made = made if alone else made.add_extension(of, critical=False)
        signed = made.sign(key if alone else issuer.key, hashes.SHA256())
        return self._kept(key, signed, name, fault)

    def _kept(self, key, signed: x509.Certificate, name: str, fault: str) -> Pair:
        self._n += 1
        stem = self.folder / f"{self._n}-{name}-{fault or 'good'}"
        chain, secret = stem.with_suffix(".crt"), stem.with_suffix(".key")
        chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        secret.touch(mode=0o600)
        if key is not None:
            secret.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return Pair(chain, secret)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*on: str) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in on for name in names})
