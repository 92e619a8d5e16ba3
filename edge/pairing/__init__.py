"""Pairing: from what is in the air to a sensor of this box, with a person in between.

`Scan` says what there is and whether we can read it; `pair` opens a window of a minute, makes a
bond, and writes the sensor into the list of `edge.devices`; `forget` undoes it. Trust is the bond
and its identity address, never the name, which anybody can take.
"""

from __future__ import annotations

from edge.pairing.bonding import Wish, pair
from edge.pairing.errors import PairingError, explained
from edge.pairing.keeping import Bonded, bonds, forget
from edge.pairing.matching import Readable
from edge.pairing.scanning import Scan, Seen, ready_adapter, scan
from edge.pairing.window import Guide

__all__ = [
    "Bonded",
    "Guide",
    "PairingError",
    "Readable",
    "Scan",
    "Seen",
    "Wish",
    "bonds",
    "explained",
    "forget",
    "pair",
    "ready_adapter",
    "scan",
]
