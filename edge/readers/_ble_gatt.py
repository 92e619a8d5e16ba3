"""What a connected device has, and which profiles it is read by.

`Connection` is what this package needs of a link; `edge.readers.ble` gives it, over bleak.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeAlias

import msgspec

from edge.gatt import Profile, Quirk, uuid

DEVICE_INFORMATION: Final = uuid(0x180A)
BATTERY: Final = uuid(0x180F)
MANUFACTURER_NAME: Final = uuid(0x2A29)
MODEL_NUMBER: Final = uuid(0x2A24)

Take: TypeAlias = Callable[[object, bytearray], None]
"""Takes what a device notified; the first argument says from where, and nobody looks at it."""


class Characteristic(msgspec.Struct, frozen=True):
    """One characteristic of a connected device.

    Attributes
    ----------
    handle : int
        Tells it from others of the same UUID.
    service, uuid : str
        Full UUIDs, lower case.
    can : frozenset[str]
        Its properties, in bleak's words: ``read``, ``notify``, ``write-without-response`` ...
    """

    handle: int
    service: str
    uuid: str
    can: frozenset[str] = frozenset()

    @property
    def can_notify(self) -> bool:
        """Whether it can be subscribed to."""
        return bool(self.can & {"notify", "indicate"})


class Connection(Protocol):
    """An open link; what it raises is judged by `edge.readers._ble_faults`."""

    name: str
    adapter: str
    found: tuple[Characteristic, ...]
    gone: asyncio.Event

    @property
    def mtu(self) -> int:
        """Bytes of one packet, its three bytes of head included."""
        ...

    async def read(self, characteristic: Characteristic) -> bytes:
        """Return a value."""
        ...

    async def write(
        self, characteristic: Characteristic, payload: bytes, *, response: bool
    ) -> None:
        """Write a value."""
        ...

    async def subscribe(self, characteristic: Characteristic, take: Take) -> None:
        """Call `take` with every notification or indication."""
        ...

    async def close(self) -> None:
        """Close the link, within a bound, whatever state it is in; never raises."""
        ...


class Identity(msgspec.Struct, frozen=True):
    """What a device says of itself; empty where it does not."""

    manufacturer: str = ""
    model: str = ""
    name: str = ""


class Use(msgspec.Struct, frozen=True):
    """A profile a device is read by, and the characteristics it is read from."""

    profile: Profile
    listen: tuple[Characteristic, ...]
    read: tuple[Characteristic, ...]
    replies: tuple[Characteristic, ...]


def pick(found: Iterable[Characteristic], wanted: str, service: str = "") -> Characteristic | None:
    """Return the first characteristic of a UUID, one in the given service before others."""
    fitting = [one for one in found if one.uuid == wanted]
    return min(fitting, key=lambda one: (one.service != service, one.handle), default=None)


def choose(
    profiles: Sequence[Profile], found: Sequence[Characteristic], identity: Identity
) -> tuple[Use, ...]:
    """Return how a device is read: the most specific profiles first, no characteristic twice.

    A profile with a quirk goes before one without; of two quirks, the one that asks for more.
    """
    services = {one.service for one in found}
    fitting = [
        one
        for one in profiles
        if one.service in services and (one.quirk is None or fits(one.quirk, services, identity))
    ]
    taken: set[int] = set()
    uses = []
    for profile in sorted(fitting, key=lambda one: -_n_asked(one.quirk)):
        listen = [
            one
            for wanted in profile.listen
            if (one := pick(found, wanted, profile.service)) is not None
            and one.can_notify
            and one.handle not in taken
        ]
        if not listen:
            continue
        read = [
            one
            for wanted in profile.read
            if (one := pick(found, wanted, profile.service)) is not None and one.handle not in taken
        ]
        taken.update(one.handle for one in (*listen, *read))
        replies = [
            one
            for wanted in profile.replies
            if (one := pick(found, wanted, profile.service)) is not None and one.can_notify
        ]
        uses.append(Use(profile, tuple(listen), tuple(read), tuple(replies)))
    return tuple(uses)


def fits(quirk: Quirk, services: set[str], identity: Identity) -> bool:
    """Return whether everything a quirk asks for is so; one that asks for nothing never is."""
    return (
        _n_asked(quirk) > 0
        and identity.manufacturer.startswith(quirk.manufacturer)
        and identity.model.startswith(quirk.model)
        and identity.name.startswith(quirk.name)
        and (not quirk.service or quirk.service in services)
    )


def _n_asked(quirk: Quirk | None) -> int:
    if quirk is None:
        return 0
    return sum(bool(field) for field in msgspec.structs.astuple(quirk))
