"""Names of episodes, the same whenever the same night is replayed."""

from __future__ import annotations

import hashlib
import uuid

import msgspec


def alert_id(run_id: str, patient: str, rule: str, number: int) -> str:
    """Return the id of an episode: the same for the same run, patient, rule and number.

    A UUID of version 8 (RFC 9562, 5.8) whose bits are a BLAKE2b digest of the four.

    Examples
    --------
    >>> alert_id("run", "p1", "low_spo2", 1)
    '...-8...-...'
    """
    digest = hashlib.blake2b(
        msgspec.json.encode([run_id, patient, rule, number]), digest_size=16
    ).digest()
    bits = int.from_bytes(digest, "big")
    bits = bits & ~(0xF << 76) | 0x8 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))
