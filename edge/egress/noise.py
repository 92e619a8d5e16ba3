"""Noise for privacy: the two-sided geometric distribution, drawn exactly from bits by a secret.

With whole numbers alone: floating-point noise can be told apart (Mironov, CCS 2012,
doi:10.1145/2382196.2382264). Sampler: Canonne, Kamath, Steinke, "The discrete Gaussian for
differential privacy" (2020), arXiv:2004.00010, algorithms 1 and 2; exact, given fair bits. How long
it takes has no bound, only odds: most draws take one try or two.
"""

from __future__ import annotations

import hashlib
import hmac
from fractions import Fraction


class Bits:
    """Fair bits, the same for the same secret and name."""

    def __init__(self, seed: bytes, name: str) -> None:
        self._seed, self._name = seed, name.encode()
        self._n_blocks = self._held = self._n_held = 0

    def below(self, n: int) -> int:
        """Return a whole number of 0 to n - 1, each as likely."""
        k = (n - 1).bit_length()
        while True:
            found = self._take(k)
            if found < n:
                return found

    def _take(self, k: int) -> int:
        while self._n_held < k:
            text = self._name + b"\0" + self._n_blocks.to_bytes(8, "big")
            block = hmac.digest(self._seed, text, hashlib.sha256)
            self._held |= int.from_bytes(block, "big") << self._n_held
            self._n_held += 256
            self._n_blocks += 1
        taken = self._held & ((1 << k) - 1)
        self._held >>= k
        self._n_held -= k
        return taken


def draw(scale: Fraction, bits: Bits) -> int:
    """Return noise: k with a probability that falls as exp(-|k| / scale), exactly."""
    t, s = scale.numerator, scale.denominator
    while True:
        u = bits.below(t)
        if not _happens(u, t, bits):
            continue
        v = 0
        while _happens(1, 1, bits):
            v += 1
        size = (u + t * v) // s
        negative = bits.below(2) == 1
        if negative and size == 0:
            continue  # there is one zero only
        return -size if negative else size


def _happens(a: int, b: int, bits: Bits) -> bool:
    """Return True with the probability exp(-a / b), for a not above b."""
    k = 1
    while bits.below(b * k) < a:
        k += 1
    return k % 2 == 1
