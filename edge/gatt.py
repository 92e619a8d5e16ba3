"""What a Bluetooth LE device must be asked for before it sends: the start of a link, as data.

A decoder knows its device and says so in a `Profile`; the reader that runs the link knows no
device at all. Characteristics and services are named by their full 128-bit UUID, as a string in
lower case; `uuid` makes one of a 16-bit number.

Source: Bluetooth Core Specification 5.4, volume 3, parts F and G; GATT Specification Supplement.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edge.bits import uint16

STORED: Final = "stored:"
"""Stream names of records a device kept and was asked for begin so: they are of the past."""


def uuid(number: int) -> str:
    """Return the full UUID of a 16-bit number of the Bluetooth SIG.

    >>> uuid(0x2A37)
    '00002a37-0000-1000-8000-00805f9b34fb'
    """
    return f"{number:08x}-0000-1000-8000-00805f9b34fb"


BATTERY_LEVEL: Final = uuid(0x2A19)
CURRENT_TIME: Final = uuid(0x2A2B)
RECORD_ACCESS: Final = uuid(0x2A52)


class Answer(msgspec.Struct, frozen=True):
    """What a device says to a command, and which of its answers are good.

    Attributes
    ----------
    on : str
        Characteristic it answers on.
    begins : bytes
        How the answer to this command begins.
    status_at : int
        Where its status byte is.
    good : tuple[int, ...]
        Statuses with which the start goes on; any other ends it, unless the command is optional.
    """

    on: str
    begins: bytes
    status_at: int
    good: tuple[int, ...]


class Feature(msgspec.Struct, frozen=True):
    """One bit of a characteristic that says whether a device can do something."""

    on: str
    at: int
    bit: int


class Write(msgspec.Struct, frozen=True):
    """One command.

    Attributes
    ----------
    to : str
        Characteristic.
    payload : bytes
        What is written.
    response : bool
        Whether the device confirms the write.
    answer : Answer | None
        What it says afterwards; None: nothing is waited for.
    needs : Feature | None
        The command is left out where the device has not got this.
    option : str
        The command is left out unless the device's entry names this option, or `Profile.options`
        does where its entry names none; empty: always written.
    optional : bool
        A bad answer, or none, does not end the start.
    """

    to: str
    payload: bytes
    response: bool = True
    answer: Answer | None = None
    needs: Feature | None = None
    option: str = ""
    optional: bool = False


class Records(msgspec.Struct, frozen=True):
    """How a device is asked for the records it kept (record access control point, 0x2A52).

    Attributes
    ----------
    on : str
        Characteristic the records come on.
    sequence_at : int | None
        Where a record holds its 16-bit sequence number, so that only newer ones are asked for;
        None: it has none, and all are asked for.
    epoch : str
        Characteristic, among those that are read, that says since when the numbers run: when it
        has changed they began anew, and all are asked for. Empty: they never do.
    """

    on: str
    sequence_at: int | None = None
    epoch: str = ""

    def request(self, after: int | None) -> bytes:
        """Return the command for all records, or for those from a sequence number on.

        The last record is asked for again: what belongs to it (a glucose context) comes after it,
        and may have been cut off.
        """
        if after is None or self.sequence_at is None:
            return bytes([0x01, 0x01])
        # Report stored records, greater than or equal, filter: sequence number.
        return bytes([0x01, 0x03, 0x01]) + (after & 0xFFFF).to_bytes(2, "little")

    def sequence(self, record: bytes) -> int | None:
        """Return the sequence number of a record; None where it has none."""
        if self.sequence_at is None or len(record) < self.sequence_at + 2:
            return None
        return uint16(record, self.sequence_at)


class SessionClock(msgspec.Struct, frozen=True):
    """A clock that only counts: minutes since a start.

    Attributes
    ----------
    start : str
        Characteristic that begins with the date and time of the start (seven bytes).
    minutes : str
        Characteristic that begins with the minutes that have passed since (16 bits).
    """

    start: str
    minutes: str


class Quirk(msgspec.Struct, frozen=True):
    """By what a device is told whose bytes are its own under a standard UUID.

    Every field that is not empty has to fit; a UUID alone never decides.

    Attributes
    ----------
    manufacturer, model : str
        How the strings of its device information (0x2A29, 0x2A24) begin.
    name : str
        How its advertised name begins.
    service : str
        A service it also has.
    """

    manufacturer: str = ""
    model: str = ""
    name: str = ""
    service: str = ""


class Profile(msgspec.Struct, frozen=True):
    """One service of a device, and what brings it to send.

    Attributes
    ----------
    name : str
        Short and stable: ``heart_rate``. A paired device remembers it.
    words : str
        What people call such a device.
    service : str
        Its service; advertised or found, it says that we can read the device.
    listen : tuple[str, ...]
        Characteristics that notify or indicate what is wanted; those a device has not got are
        passed over, but one must be there.
    read : tuple[str, ...]
        Characteristics read once, after connecting; their values go the way of notifications.
    replies : tuple[str, ...]
        Characteristics that carry answers to commands: subscribed to, never decoded.
    start, stop : tuple[Write, ...]
        Commands before data come, and before the link is let go.
    poll : Write | None
        A command that has to be written again and again, every `poll_s`.
    records : Records | None
        Records it keeps.
    clock : SessionClock | None
        The clock its records are timed by, where that is not the device's current time.
    deadline_s : float
        An open link that is silent for longer is dead and is made anew. 0: the device sends when
        it has something (a scale), and its silence says nothing.
    mtu : int
        Least MTU with which the device sends all it can.
    options : tuple[str, ...]
        Options that are on by default; see `Write.option`.
    quirk : Quirk | None
        Only for devices that are told by this; it goes before a profile without one that wants
        the same characteristics.
    prefix : str
        Put before the UUID to name the stream; profiles with a quirk have one.
    """

    name: str
    words: str
    service: str
    listen: tuple[str, ...]
    read: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    start: tuple[Write, ...] = ()
    stop: tuple[Write, ...] = ()
    poll: Write | None = None
    poll_s: float = 0.0
    records: Records | None = None
    clock: SessionClock | None = None
    deadline_s: float = 0.0
    mtu: int = 23
    options: tuple[str, ...] = ()
    quirk: Quirk | None = None
    prefix: str = ""

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams its packets have."""
        live = tuple(self.prefix + one for one in (*self.listen, *self.read))
        return (*live, f"{STORED}{self.prefix}{self.records.on}") if self.records else live
