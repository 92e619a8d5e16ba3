"""Ways in which the link to a Bluetooth sensor ends; `edge.readers._ble_faults` judges them."""

from __future__ import annotations


class LostError(RuntimeError):
    """The link is gone; the text says how."""


class SilentError(LostError):
    """The link is open, and nothing comes."""


class KeyLostError(RuntimeError):
    """One side has lost the pairing."""


class RefusedError(RuntimeError):
    """The sensor will not have us, or we will not have it as it is."""


class NotReadyError(RuntimeError):
    """The sensor will not start now; it may later."""


class NothingError(RuntimeError):
    """The sensor has nothing that this box can read."""
