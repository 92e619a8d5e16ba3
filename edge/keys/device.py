"""The device's key: wraps other keys, so that they may lie on the medium; nothing else.

AES-256-GCM with random nonces: some hundred a year, of 2**32. What is wrapped is bound to its
context, bytes that say what it opens: a key that is put in another's place does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
WRAPPED_BYTES: Final = KEY_BYTES + 16
"""A key with its tag."""


class KeysError(RuntimeError):
    """A key cannot be had; nothing was changed. The text says why and what to do."""


class Wrapped(msgspec.Struct, frozen=True):
    """A secret as it may lie on the medium.

    Attributes
    ----------
    device_id : bytes
        Which device key opens it.
    nonce, sealed : bytes
        AES-256-GCM of the secret; vouches for its context.
    """

    device_id: bytes
    nonce: bytes
    sealed: bytes


class DeviceKey:
    """The key that wraps all others.

    Parameters
    ----------
    secret : bytes
        32 random bytes.

    Attributes
    ----------
    id : bytes
        Tells keys apart, and nothing of them.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a device key has {KEY_BYTES} bytes, not {len(secret)}")
        self.secret = secret
        # The words of these two are the vault's: what it has wrapped before goes on to open.
        self.id = hmac.digest(secret, b"homeward vault key id 1", hashlib.sha256)[:ID_BYTES]

    def __repr__(self) -> str:
        return f"DeviceKey({self.id.hex()})"

    def wrap(self, secret: bytes, context: bytes) -> Wrapped:
        """Return a secret as it may lie on the medium.

        Parameters
        ----------
        context : bytes
            Says what it opens; it opens only under the same.
        """
        nonce = os.urandom(NONCE_BYTES)
        return Wrapped(self.id, nonce, AESGCM(self._wrapping()).encrypt(nonce, secret, context))

    def unwrap(self, wrapped: Wrapped, context: bytes, what: str) -> bytes:
        """Return the secret.

        Parameters
        ----------
        what : str
            What it opens, for the error's text: ``segment 00000001-0``.

        Raises
        ------
        KeysError
            It does not open: it was changed, or this is another device's key.
        """
        try:
            return AESGCM(self._wrapping()).decrypt(wrapped.nonce, wrapped.sealed, context)
        except InvalidTag:
            raise KeysError(
                f"the key of {what} does not open with the device key {self.id.hex()}: one of the "
                f"two was changed; nothing was touched, bring back the right one from a backup"
            ) from None

    def _wrapping(self) -> bytes:
        return hmac.digest(self.secret, b"homeward vault wrapping 1", hashlib.sha256)


def new_key() -> DeviceKey:
    """Return a key nobody has."""
    return DeviceKey(os.urandom(KEY_BYTES))
