"""Words of the settings file that must be known again, without writing them down a second time.

What stands in the settings file of a patient may hold names (who decided on a scale, and why). To
know later whether it is still the same a salted digest is enough; and so it is for the id of a
patient. Whoever has the file can try names against it, and cannot read any.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final

_PREFIX: Final = "digest:"
_SALT_BYTES: Final = 16
PERSONAL: Final = frozenset({"spo2_scale_by", "spo2_scale_why", "spo2_scale_on", "birth_year"})
"""Keys of a patient's table that say something of people."""


def told_apart(text: str) -> str:
    """Return a salted digest of a text, to be written down in its place; of a digest, itself."""
    return text if text.startswith(_PREFIX) else _digest(text, os.urandom(_SALT_BYTES))


def void_value(key: str, value: Any) -> Any:  # noqa: ANN401  # whatever TOML holds
    """Return what is written down of a value that does not count."""
    return _digest(value, os.urandom(_SALT_BYTES)) if key in PERSONAL else value


def is_void(void: Any, value: Any) -> bool:  # noqa: ANN401  # whatever TOML holds
    """Return whether a value is the one that does not count."""
    if isinstance(void, str) and void.startswith(_PREFIX):
        salt = void.removeprefix(_PREFIX).partition(":")[0]
        return _digest(value, bytes.fromhex(salt)) == void
    return bool(void == value)


def _digest(value: Any, salt: bytes) -> str:  # noqa: ANN401  # whatever TOML holds
    told = hashlib.blake2b(repr(value).encode(), digest_size=16, salt=salt).hexdigest()
    return f"{_PREFIX}{salt.hex()}:{told}"
