"""The keys of this box: one device key, and what it wraps.

    device   the device key, which wraps other keys under a context
    keyfile  its file: plain, under a passphrase, or one half with the other on a USB stick
    ring     where it is looked for, how well it protects; while it is changed there are two
    sealed   a key in a small file of its own, wrapped by the device key
    medium   small files, whole or not at all

The vault's segments have each a key of their own, the records one; all are wrapped by the device
key. No part that may open a network connection imports this package.
"""

from edge.keys.device import KEY_BYTES, DeviceKey, KeysError, Wrapped, new_key
from edge.keys.keyfile import KeyFile, Passphrase
from edge.keys.ring import SENTENCES, KeyRing, Protection, find_keys, open_keys
from edge.keys.sealed import SealedKey, make_sealed, open_sealed, rewrap, sealed_files

__all__ = [
    "KEY_BYTES",
    "SENTENCES",
    "DeviceKey",
    "KeyFile",
    "KeyRing",
    "KeysError",
    "Passphrase",
    "Protection",
    "SealedKey",
    "Wrapped",
    "find_keys",
    "make_sealed",
    "new_key",
    "open_keys",
    "open_sealed",
    "rewrap",
    "sealed_files",
]
