"""Advertisements: written as a wearable sends them, and read into BlueZ's properties.

Source: Bluetooth Core Specification Supplement 11, part A.
"""

from __future__ import annotations

from typing import Final

from bumble.core import UUID, AdvertisingData
from bumble.device import Advertisement
from bumble.hci import Address
from dbus_fast import Variant

from edge.gatt import uuid
from edge.virtual import Service
from edge.virtual._dbus_tree import Values

_SIG: Final = uuid(0)[8:]
_NAMES: Final = (AdvertisingData.COMPLETE_LOCAL_NAME, AdvertisingData.SHORTENED_LOCAL_NAME)
_UUID_LENGTHS: Final = {
    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}


def advertisement(name: str, services: tuple[Service, ...]) -> bytes:
    """Return flags, name and advertised services (Core Specification Supplement, part A)."""
    numbers = [known(one.uuid).to_bytes() for one in services if one.advertised]
    short = b"".join(one for one in numbers if len(one) == 2)
    long = b"".join(one for one in numbers if len(one) == 16)
    parts = [
        (AdvertisingData.FLAGS, b"\x06"),
        (AdvertisingData.COMPLETE_LOCAL_NAME, name.encode()),
    ]
    if short:
        parts.append((AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, short))
    if long:
        parts.append((AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, long))
    return bytes(AdvertisingData(parts))


def advertised(told: Advertisement) -> Values:
    """Return the properties of ``Device1`` that an advertisement gives."""
    values: Values = {}
    uuids: list[str] = []
    for kind, content in told.data.ad_structures:
        if kind in _NAMES:
            values["Name"] = values["Alias"] = content.decode(errors="replace")
        elif kind in _UUID_LENGTHS:
            uuids += _uuids(content, _UUID_LENGTHS[AdvertisingData.Type(kind)])
        elif kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA and len(content) >= 2:
            company = int.from_bytes(content[:2], "little")
            values["ManufacturerData"] = {company: Variant("ay", content[2:])}
    if uuids:
        # bumble joins what was advertised and the answer to a scan, and both say the same.
        values["UUIDs"] = list(dict.fromkeys(uuids))
    return values


def short(address: Address) -> str:
    """Return an address without bumble's mark of its type.

    >>> short(Address("B8:27:EB:00:00:01", Address.PUBLIC_DEVICE_ADDRESS))
    'B8:27:EB:00:00:01'
    """
    return str(address).split("/")[0]


def known(name: str) -> UUID:
    """Return bumble's UUID: in two bytes where the Bluetooth SIG gave the number."""
    if name.startswith("0000") and name.endswith(_SIG):
        return UUID.from_16_bits(int(name[4:8], 16))
    return UUID(name)


def full(one: UUID) -> str:
    """Return a UUID in full, in lower case."""
    text = one.to_hex_str("-").lower()
    return uuid(int(text, 16)) if len(text) in (4, 8) else text


def _uuids(content: bytes, length: int) -> list[str]:
    pieces = (content[at : at + length] for at in range(0, len(content), length))
    return [full(UUID.from_bytes(piece)) for piece in pieces if len(piece) == length]
