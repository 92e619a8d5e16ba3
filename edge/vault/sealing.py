"""Keys and blocks, encrypted and opened: all use of the cipher is here.

AES-256-GCM. A segment's key is random and encrypts only that segment's blocks, each with its
sequence number as the nonce. The number lives in the one `SegmentKey` that encrypts: it is spent
before the cipher is called, a block whose write failed is written again as the same bytes, and a
segment is never gone on with after a restart: the next run has a new key. So no nonce is used
twice, also not by a process that was killed at any point. A key read back from the medium can only
open blocks; to encrypt with it is refused.

The device's key (`edge.keys`) only wraps segment keys.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.keys import KEY_BYTES, KeyRing, Wrapped
from edge.vault import layout
from edge.vault.layout import BlockHead, Head, VaultError, WrappedKey

_NONCE_BYTES: Final = 12
_MAX_BLOCKS: Final = 1 << 31


def wrap(ring: KeyRing, secret: bytes, head: Head) -> WrappedKey:
    """Return a segment's key as it may lie on the medium."""
    wrapped = ring.wrap(secret, _vouched(head))
    return WrappedKey(wrapped.device_id, wrapped.nonce, wrapped.sealed, head)


def unwrap(ring: KeyRing, key: WrappedKey) -> bytes:
    """Return a segment's key.

    Raises
    ------
    KeysError
        Another device key has wrapped it, or it was changed.
    """
    wrapped = Wrapped(key.device_id, key.nonce, key.wrapped)
    return ring.unwrap(wrapped, _vouched(key.head), f"segment {key.head.stem}")


class SegmentKey:
    """Encrypts the blocks of one new segment, or opens those of one that is there.

    Parameters
    ----------
    segment_id : bytes
        Of the segment.
    secret : bytes | None
        None: made now, and only then it may encrypt.
    """

    def __init__(self, segment_id: bytes, secret: bytes | None = None) -> None:
        self._next = 0 if secret is None else None
        self.secret = os.urandom(KEY_BYTES) if secret is None else secret
        self._id = segment_id
        self._cipher = AESGCM(self.secret)

    def seal(self, kind: int, body: bytes, n_packets: int, first_s: float, last_s: float) -> bytes:
        """Return the next block.

        Raises
        ------
        VaultError
            This key came from the medium, or has encrypted all it may.
        """
        if self._next is None or self._next >= _MAX_BLOCKS:
            raise VaultError("this segment is not gone on with: begin another, with its own key")
        sequence = self._next
        self._next += 1  # spent, whatever happens now
        n_bytes = len(body) + layout.TAG_BYTES
        head = BlockHead(kind, sequence, n_packets, n_bytes, first_s, last_s)
        sealed = self._cipher.encrypt(_nonce(sequence), body, layout.vouched(self._id, head))
        return layout.pack_block(head, sealed)

    def open(self, head: BlockHead, body: bytes) -> bytes:
        """Return what a block holds.

        Raises
        ------
        VaultError
            It is not the block that was written there.
        """
        try:
            return self._cipher.decrypt(_nonce(head.sequence), body, layout.vouched(self._id, head))
        except InvalidTag:
            raise VaultError(
                f"block {head.sequence} is whole and yet not the one that was written there: it "
                f"was changed or moved by somebody"
            ) from None


def _nonce(sequence: int) -> bytes:
    return sequence.to_bytes(_NONCE_BYTES, "little")


def _vouched(head: Head) -> bytes:
    return b"segment key 1" + head.id + head.stem.encode()
