"""Home Assistant: numbers and alarm state of now, on a display in the same house.

Home Assistant and the box meet at the broker of the house (its Mosquitto add-on, or one's own).
Each patient becomes a device: its discovery document is retained, its state follows every ten
seconds (`edge.sync.home_display`), and the broker says "offline" for us once we are gone. It is a
display and no alarm: nothing waits for it, nothing is sent again, nothing is settled, and nothing
is ever received. No name, no reason, no course and no raw signal goes there; and nothing at all
without the consent `numbers`.

A broker without TLS is accepted on this machine, and elsewhere only with ``insecure_lan = true``:
vital signs then go through the house unencrypted, and whoever is in the network can read them.
Even so nothing is said to an address of the internet.

Login: the broker's user name, and a password in the first line of a file of its own; or the
certificate of the box.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import MAX_HANDED
from edge.fetch import tls
from edge.secret import SecretError
from edge.sync import SyncError, home_display
from edge.sync.bounded import Broker
from edge.sync.identity import ends_s
from edge.sync.parcel import MAX_PARCEL_BYTES, Item, Parcel, Receipt
from edge.sync.posting import MAX_RECEIPTS, fitting, own_files
from edge.sync.publisher import Message, Publisher, PublishError
from edge.sync.sinks import Place, Sink, SinkError
from edge.sync.words import words

KEEPALIVE_S: Final = 20
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker that Home Assistant listens to."""

    host: Annotated[
        str, Meta(max_length=255, description="Name or address of the broker in the house.")
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port; without TLS mostly 1883.")] = (
        8883
    )
    tls: Annotated[bool, Meta(description="Encrypted, and only with who it should be.")] = True
    insecure_lan: Annotated[
        bool,
        Meta(
            description="With tls = false: whoever is in the network of the house may read along."
        ),
    ] = False
    username: Annotated[str, Meta(max_length=255, description="Login at the broker.")] = ""
    password_file: Annotated[
        str, Meta(max_length=1000, description="File whose first line is its password.")
    ] = ""
    certificate: Annotated[
        bool, Meta(description="Show the broker the certificate of the box (`homeward enrol`).")
    ] = False
    ca_file: Annotated[
        Path | None, Meta(description="Certificate of the authority that vouches for the broker.")
    ] = None
    discovery_prefix: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="As in Home Assistant's settings."),
    ] = "homeassistant"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What leaves at once, as the ledger has it."""

    messages: tuple[Message, ...]


class HomeAssistant:
    """One broker.

    Raises
    ------
    SyncError, SecretError
        It cannot be used as configured.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        if not settings.host or not settings.host.isascii() or not settings.host.isprintable():
            raise SyncError(
                f"[[sinks]] {place.name}: host is missing: write the broker's name or address, "
                f'host = "homeassistant.local"'
            )
        plain = not settings.tls
        if plain and settings.host not in _LOCAL and not settings.insecure_lan:
            raise SyncError(
                f"[[sinks]] {place.name}: without TLS everybody in the network of the house can "
                f"read the numbers: set up TLS at the broker, or accept that with "
                f"insecure_lan = true"
            )
        self._settings, self._place = settings, place
        ca, crt, key = own_files(place) if settings.certificate else (None, None, None)
        self._files = (settings.ca_file or ca, crt, key)
        self._password()
        self._told: set[str] = set()
        self._publisher = Publisher(
            self._broker, self._away, self._told.clear, house_only=not settings.tls
        )
        self.host = settings.host
        self.uses_tls = settings.tls
        self.window = MAX_HANDED
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(MAX_RECEIPTS)

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        """Return what nobody would take here: `send` says so."""
        fit, body = fitting(items, lambda some: msgspec.json.encode([one.uuid for one in some]))
        return Parcel(kind, fit, body)

    async def send(self, parcel: Parcel) -> None:
        """Say that a display keeps no record."""
        del parcel
        raise SinkError("Home Assistant is a display and keeps no record", refused=True)

    def state_message(self, what: HeartbeatOut | Sequence[NumbersOut]) -> Parcel | None:
        """Return what is shown of each patient; first who they are, where that is not known yet."""
        if isinstance(what, HeartbeatOut):
            return None
        first: list[Message] = []
        then: list[Message] = []
        for now in what:
            if not now.patient or now.box != self._place.box():
                continue
            more = self._introduction(now)
            state = Message(
                home_display.state_topic(now.box, now.patient),
                home_display.text(home_display.state(now)),
            )
            if len(_text([*first, *more, *then, state])) > MAX_PARCEL_BYTES:
                break  # more patients than fit: the rest is introduced next time
            first += more
            then.append(state)
        return Parcel(Content.NUMBERS, (), _text([*first, *then])) if then else None

    async def send_state(self, parcel: Parcel) -> None:
        """Publish it."""
        messages = msgspec.json.decode(parcel.body, type=_Body).messages
        try:
            await self._publisher.publish(messages)
        except PublishError as error:
            raise SinkError(f"{self.host}: {error}", arrived=error.arrived) from error
        except (OSError, SecretError) as error:
            raise SinkError(f"a file of this sink cannot be used: {words(error)}") from error
        self._told |= {m.topic for m in messages if m.retain}

    def certificate_s(self) -> float | None:
        """Return when the certificate of the box ends."""
        cert_file = self._files[1]
        return None if cert_file is None else ends_s(cert_file)

    async def close(self) -> None:
        """Say that the box is away, and hang up."""
        await self._publisher.close(self._away())

    def _introduction(self, now: NumbersOut) -> list[Message]:
        """Return who a patient is, for a broker that may not know it; empty: it was told."""
        prefix = self._settings.discovery_prefix
        topic = home_display.discovery_topic(prefix, now.box, now.patient)
        if topic in self._told:
            return []
        document = home_display.text(home_display.discovery(now.box, now.patient))
        here = Message(home_display.availability_topic(now.box), home_display.ONLINE, retain=True)
        return [Message(topic, document, retain=True), here]

    def _away(self) -> Message:
        topic = home_display.availability_topic(self._place.box())
        return Message(topic, home_display.OFFLINE, retain=True)

    def _password(self) -> str:
        own = self._settings
        return self._place.secret(own.password_file).url if own.password_file else ""

    def _broker(self) -> Broker:
        """Return how to reach the broker; the files are read anew for every connection."""
        own = self._settings
        written_s = tuple(0.0 if file is None else file.stat().st_mtime for file in self._files)
        return Broker(
            own.host,
            own.port,
            f"{self._place.box() or 'homeward'}-display",
            tls(*self._files, written_s) if own.tls else None,
            own.username,
            self._password(),
            KEEPALIVE_S,
        )


def _text(messages: Sequence[Message]) -> bytes:
    return msgspec.json.encode(_Body(tuple(messages)), order="sorted")


SINK = Sink("home_assistant", Settings, HomeAssistant, frozenset({"numbers"}))
