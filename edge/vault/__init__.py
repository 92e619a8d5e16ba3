"""Every packet before decoding, kept on the device: encrypted, bounded, safe from power cuts.

    layout, scan    the bytes of a segment, and its whole blocks whatever happened to it
    fields, shaping, body  packets to few bytes and back, exactly
    sealing         the cipher, and why no nonce is used twice; the device's key is in edge.keys
    folder          which segments there are, and who may change them
    segment, writer, opening what is being written
    reading         what was written: packets, span by span
    keeping         what is given up by itself, the oldest first
    remains, forgetting  what is destroyed, and what stays of it
    rotating        another device key
    verifying       whether all is whole

The daemon hands every packet to a `VaultWriter`, which takes the place of a packet log. A run
begins a segment of its own with ``box:start``, so it can be replayed record for record; later
segments begin with a recap of what stood, so each can be read alone. No part that may open a
network connection imports this package.
"""

from edge.keys import KeyRing, KeysError, Protection, open_keys
from edge.vault.bounds import Bounds
from edge.vault.folder import FOLDER
from edge.vault.forgetting import Forgotten, forget_all, forget_span
from edge.vault.layout import VaultError
from edge.vault.opening import open_writer
from edge.vault.reading import HOLE, latest, packets, rows
from edge.vault.rotating import Rotated, rotate
from edge.vault.scan import VaultReport
from edge.vault.spans import WallSpan
from edge.vault.standing import END, Standing
from edge.vault.verifying import verify
from edge.vault.writer import RefusedError, VaultWriter

__all__ = [
    "END",
    "FOLDER",
    "HOLE",
    "Bounds",
    "Forgotten",
    "KeyRing",
    "KeysError",
    "Protection",
    "RefusedError",
    "Rotated",
    "Standing",
    "VaultError",
    "VaultReport",
    "VaultWriter",
    "WallSpan",
    "forget_all",
    "forget_span",
    "latest",
    "open_keys",
    "open_writer",
    "packets",
    "rotate",
    "rows",
    "verify",
]
