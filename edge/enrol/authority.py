"""A clinic's own authority, for homes and small clinics that have none.

    ca.key  ca.crt          of the authority; the key under a passphrase where one was chosen
    issued.json             everything it ever signed, and what was taken back
    crl.pem                 what was taken back, for the broker
    NAME.pem                what a box is handed: its certificate, the CA's, the receiver's key
    NAME.key  NAME.crt      of the broker and of receivers, made here

It signs certificates of boxes, brokers and receivers, and no authority below it. What it holds
names boxes by their pseudonyms and no patient.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge.enrol import EnrolError
from edge.enrol.folder import read_bounded, write_file
from edge.enrol.leaves import (
    BACKDATED,
    CA_DAYS,
    LEAF_DAYS,
    Leaf,
    host_name,
    sign_authority,
    sign_leaf,
    sign_revoked,
    utc,
)
from edge.enrol.naming import RECEIVER, check_box, same_fingerprint
from edge.enrol.request import HasKey, common_name, fingerprint_of, key_pem, new_key, read_request

KEY: Final = "ca.key"
CERTIFICATE: Final = "ca.crt"
ISSUED: Final = "issued.json"
REVOKED: Final = "crl.pem"
RECEIPT_KEY: Final = "receiver.pub"
BROKER: Final = "broker"
MAX_ISSUED_BYTES: Final = 64 * 1024 * 1024
Purpose: TypeAlias = Literal["box", "broker", "receiver"]
Passphrase: TypeAlias = Callable[[], str]


class Issued(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One certificate that was signed.

    Attributes
    ----------
    serial : str
        In hex.
    fingerprint : str
        Of its key.
    signed_s, ends_s : float
        Wall time, seconds since 1970.
    revoked_s : float
        When it was taken back; 0: it was not.
    """

    serial: str
    name: str
    purpose: Purpose
    fingerprint: str
    signed_s: float
    ends_s: float
    revoked_s: float = 0.0

    def is_valid(self, now_utc_s: float) -> bool:
        """Return whether it can still be used."""
        return not self.revoked_s and now_utc_s < self.ends_s


class Authority:
    """An authority in a folder; `create` makes one.

    Parameters
    ----------
    folder : Path
        Where it lies.
    passphrase : Callable
        Asked for it where the key is under one.
    """

    def __init__(self, folder: Path, passphrase: Passphrase) -> None:
        self.folder, self._passphrase = folder, passphrase
        if not (folder / CERTIFICATE).exists():
            raise EnrolError(f"there is no authority in {folder}: `homeward receive ca init`")
        self.certificate = x509.load_pem_x509_certificate(read_bounded(folder / CERTIFICATE))

    def issued(self) -> list[Issued]:
        """Return everything it has signed, in that order."""
        path = self.folder / ISSUED
        try:
            with path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_ISSUED_BYTES), type=list[Issued])
        except FileNotFoundError:
            return []
        except msgspec.MsgspecError as error:
            raise EnrolError(f"{path} is damaged ({error}): restore it from a backup") from error

    def sign(
        self,
        content: bytes,
        now_utc_s: float,
        *,
        fingerprint: str = "",
        again: bool = False,
        days: int = LEAF_DAYS,
    ) -> tuple[Issued, bytes]:
        """Sign a box's request.

        Parameters
        ----------
        content : bytes
            The request (PEM). Of what it asks for only name and key count.
        fingerprint : str
            As the box's people read it out; empty: it was compared already.
        again : bool
            A box of that name may have a valid certificate: this is its renewal.

        Returns
        -------
        tuple
            What was signed, and what the box is handed: PEM.

        Raises
        ------
        EnrolError
            The request is refused; the text says why.
        """
        request = read_request(content, "the request")
        name = check_box(common_name(request.subject))
        if fingerprint and not same_fingerprint(fingerprint, fingerprint_of(request)):
            raise EnrolError(
                f"the fingerprint of this request is {fingerprint_of(request)}, not the one that "
                f"was read out: it is not from that box"
            )
        with self._alone():
            known = [one for one in self.issued() if one.name == name and one.is_valid(now_utc_s)]
            if known and not again:
                raise EnrolError(
                    f"{name} has a valid certificate already (key {known[-1].fingerprint}). If "
                    f"this is its renewal say --again; if not, somebody asks in another's name"
                )
            leaf = self._leaf(name, (name,), now_utc_s, days, client=True)
            signed = self._sign(leaf, request, "box", now_utc_s)
            bundle = signed[1] + read_bounded(self.folder / CERTIFICATE) + self._receipt_key()
            write_file(self.folder / f"{name}.pem", bundle, 0o644)
        return signed[0], bundle

    def equip(
        self, name: str, hosts: Sequence[str], now_utc_s: float, days: int = LEAF_DAYS
    ) -> Issued:
        """Make key and certificate of a broker (`BROKER`) or of a receiver, into the folder.

        Parameters
        ----------
        hosts : Sequence[str]
            Names and addresses under which boxes reach it.

        Raises
        ------
        EnrolError
            The name is that of neither, or no certificate can hold a host.
        """
        purpose: Purpose = "broker" if name == BROKER else "receiver"
        if purpose == "receiver" and not RECEIVER.fullmatch(name):
            raise EnrolError(f"{name!r} is no receiver's name: receiver, or receiver-2 and so on")
        for host in hosts:
            try:
                host_name(host)
            except ValueError as error:
                raise EnrolError(f"{host!r} is no name or address of a host: {error}") from error
        alone = purpose == "broker"
        # A broker is known by its hosts; a receiver by its name, whatever host it serves at.
        names = tuple(hosts) if alone else (name, *hosts)
        if not names:
            raise EnrolError("under which names or addresses do boxes reach the broker?")
        with self._alone():
            key = new_key()
            leaf = self._leaf(
                names[0], names, now_utc_s, days, client=not alone, server=alone or bool(hosts)
            )
            issued, pem = self._sign(leaf, key, purpose, now_utc_s)
            write_file(self.folder / f"{name}.key", key_pem(key))
            write_file(self.folder / f"{name}.crt", pem, 0o644)
        return issued

    def revoke(self, named: str, now_utc_s: float) -> list[Issued]:
        """Take back one certificate by its serial number, or all valid ones of a name.

        Raises
        ------
        EnrolError
            There is none.
        """
        with self._alone():
            known = self.issued()
            mine = {
                one.serial
                for one in known
                if named in {one.name, one.serial} and one.is_valid(now_utc_s)
            }
            if not mine:
                raise EnrolError(f"no valid certificate has the name or number {named[:80]!r}")
            now = [
                msgspec.structs.replace(one, revoked_s=now_utc_s) if one.serial in mine else one
                for one in known
            ]
            self._keep(now)
            self._publish(now, now_utc_s, self._key())
        return [one for one in now if one.serial in mine]

    def keep_receipt_key(self, pem: bytes) -> None:
        """Remember the key receipts are signed by: every box is handed it with its certificate."""
        write_file(self.folder / RECEIPT_KEY, pem, 0o644)

    def _receipt_key(self) -> bytes:
        path = self.folder / RECEIPT_KEY
        return read_bounded(path) if path.exists() else b""

    def _leaf(  # what a certificate says
        self,
        name: str,
        hosts: Sequence[str],
        now_utc_s: float,
        days: int,
        *,
        client: bool = False,
        server: bool = False,
    ) -> Leaf:
        if utc(now_utc_s) >= self.certificate.not_valid_after_utc:
            raise EnrolError(f"the authority in {self.folder} has ended: begin a new one")
        begins = max(utc(now_utc_s) - BACKDATED, self.certificate.not_valid_before_utc)
        ends = utc(now_utc_s) + timedelta(days=days)
        return Leaf(name, hosts, begins, ends, client=client, server=server)

    def _sign(
        self, leaf: Leaf, of: HasKey, purpose: Purpose, now_utc_s: float
    ) -> tuple[Issued, bytes]:
        """Sign, and have it written down before anybody gets to see it."""
        key = self._key()
        made = sign_leaf(leaf, of, self.certificate, key)
        issued = Issued(
            serial=f"{made.serial_number:x}",
            name=leaf.name,
            purpose=purpose,
            fingerprint=fingerprint_of(of),
            signed_s=now_utc_s,
            ends_s=made.not_valid_after_utc.timestamp(),
        )
        self._keep([*self.issued(), issued])
        return issued, made.public_bytes(serialization.Encoding.PEM)

    def _keep(self, issued: Sequence[Issued]) -> None:
        write_file(self.folder / ISSUED, msgspec.json.encode(issued))

    def _publish(
        self, issued: Sequence[Issued], now_utc_s: float, key: ec.EllipticCurvePrivateKey
    ) -> None:
        back = [(int(one.serial, 16), utc(one.revoked_s)) for one in issued if one.revoked_s]
        made = sign_revoked(back, len(back) + 1, utc(now_utc_s), self.certificate, key)
        write_file(self.folder / REVOKED, made.public_bytes(serialization.Encoding.PEM), 0o644)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        path = self.folder / KEY
        if path.stat().st_mode & 0o077:
            raise EnrolError(f"{path} is open to other users: run `chmod 600 {path}`")
        content = read_bounded(path)
        typed = self._passphrase().encode() if b"ENCRYPTED PRIVATE KEY" in content else None
        try:
            key = serialization.load_pem_private_key(content, typed)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            wrong = "the passphrase is wrong" if typed is not None else f"it is damaged ({error})"
            raise EnrolError(f"{path} cannot be used: {wrong}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise EnrolError(f"{path} was not made here: it is no EC key")
        return key

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else sign meanwhile: what was signed must not be forgotten."""
        lock = os.open(self.folder / "ca.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def create(folder: Path, name: str, passphrase: str, now_utc_s: float) -> Authority:
    """Make an authority.

    Parameters
    ----------
    passphrase : str
        Its key is kept under this; empty: whoever reads the folder can sign.

    Raises
    ------
    EnrolError
        There is one already: boxes that trust it would trust the new one no more.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    if (folder / KEY).exists() or (folder / CERTIFICATE).exists():
        raise EnrolError(f"there is an authority in {folder} already: every box trusts that one")
    key = new_key()
    begins = utc(now_utc_s) - BACKDATED
    made = sign_authority(key, name[:64], begins, begins + timedelta(days=CA_DAYS))
    write_file(folder / KEY, key_pem(key, passphrase))
    write_file(folder / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM), 0o644)
    authority = Authority(folder, lambda: passphrase)
    authority._publish([], now_utc_s, key)  # noqa: SLF001  # its first list, which is empty
    return authority
