"""A small BlueZ: ``org.bluez`` on a private bus, over a simulated radio, for unmodified clients.

    with private_bus(as_system_bus=True) as address:
        bluez = await Bluez(address).start()
        strap = await bluez.put_on_air(WEARABLE, seed=1)
        ...                                     # bleak and dbus-fast as on a real box
        await bluez.stop()

Real here: bleak, D-Bus, attribute protocol, pairing, MTU. Read off BlueZ's sources and rebuilt: the
objects, their rules and their errors. Not here: the kernel, the firmware, real air. The contract in
`tests/rigs/test_ble_contract.py` holds it to the real BlueZ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, Self

from dbus_fast import Message, MessageFlag, MessageType, RequestNameReply
from dbus_fast.aio import MessageBus

from edge.virtual import Wearable
from edge.virtual._adapter import Adapter
from edge.virtual._agents import Agents
from edge.virtual._calls import AGENT_MANAGER, ROOT, Calls
from edge.virtual._dbus_tree import DBusError, Tree
from edge.virtual._ether import Ether
from edge.virtual._face import Face
from edge.virtual._faults import Faults
from edge.virtual._onair import OnAir
from edge.virtual._patient_bus import PatientBus
from edge.virtual._radio import MAX_MTU

log = logging.getLogger(__name__)

NAME: Final = "org.bluez"
RETRY_S: Final = 0.05
"""How often the way back to a bus that has died is tried."""
FIRST_ADDRESS: Final = 0xC0DE_0000_0001
_PEER: Final = "org.freedesktop.DBus.Peer"
_DAEMON: Final = "org.freedesktop.DBus"
_LOST: Final = (EOFError, OSError)
"""What dbus-fast raises when the bus has died."""


class Bluez:
    """A small BlueZ with adapters and wearables.

    Attributes
    ----------
    faults : Faults
        What goes wrong.
    adapters : dict[str, Adapter]
        By name, ``hci0`` and so on.
    on_air : list[OnAir]
        The wearables.
    """

    def __init__(self, address: str, n_adapters: int = 1) -> None:
        self._address = address
        self._bus: MessageBus | None = None
        self._watching: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.faults = Faults()
        self.ether = Ether()
        self.tree = Tree(self._send)
        self.agents = Agents(self._ask, self._send)
        self.on_air: list[OnAir] = []
        self.adapters: dict[str, Adapter] = {}
        for n in range(n_adapters):
            name, public = f"hci{n}", f"B8:27:EB:00:00:{n + 1:02X}"
            self.adapters[name] = Adapter(
                name, public, self.ether, self.tree, self.agents, self.faults
            )
        self._calls = Calls(self.tree, self.agents, self.faults, self.adapters)

    async def start(self) -> Self:
        """Take the name ``org.bluez`` on the bus.

        Raises
        ------
        OSError
            Nobody listens at the address.
        RuntimeError
            Somebody else has the name.
        """
        for adapter in self.adapters.values():
            await adapter.start()
        await self._join()
        self._show()
        return self

    async def stop(self) -> None:
        """Leave the bus, and take the wearables off the air.

        Raises
        ------
        ExceptionGroup
            Wearables that failed while they were on the air.
        """
        for task in (*self._running, *([self._returning] if self._returning else [])):
            task.cancel()
        errors: list[Exception] = []
        for one in self.on_air:
            try:
                await one.stop()
            except RuntimeError as error:
                errors.append(error)
        self.on_air.clear()
        for adapter in self.adapters.values():
            await adapter.stop()
        await self._leave()
        if errors:
            raise ExceptionGroup("virtual wearables failed", errors)

    async def put_on_air(  # what a device is
        self,
        wearable: Wearable,
        seed: int = 1,
        address: str = "",
        *,
        face: Face | None = None,
        name: str = "",
        secure_connections: bool = True,
        max_mtu: int = MAX_MTU,
    ) -> OnAir:
        """Switch a wearable on, in range.

        Parameters
        ----------
        wearable : Wearable
            What it is.
        seed : int
            The same seed sends the same.
        address : str
            Its static random address; empty: C0:DE:00:00:00:01 and so on.
        face : Face | None
            Display and buttons; None: what its kind has.
        name : str
            Name it advertises; empty: what its kind has.
        secure_connections : bool
            False: it knows only the pairing of Bluetooth 4.0.
        max_mtu : int
            Longest attribute packet it takes part in.
        """
        one = OnAir(
            self.ether,
            wearable,
            seed,
            address or _nth_address(len(self.on_air)),
            face=face,
            name=name,
            secure_connections=secure_connections,
            max_mtu=max_mtu,
        )
        await one.start()
        self.on_air.append(one)
        return one

    async def restart(self, gone_s: float = 0.5, *, crashed: bool = False) -> None:
        """Let bluetoothd end and come back; bonds and names are kept, as on its disk.

        Parameters
        ----------
        gone_s : float
            How long nobody is ``org.bluez``.
        crashed : bool
            It was killed: its objects vanish without a signal.
        """
        if crashed:
            await self._leave()
            await self._forget()
        else:
            await self._forget()
            await self._leave()
        await asyncio.sleep(gone_s)
        await self._join()
        self._show()

    # The daemon's life

    def _show(self) -> None:
        self.tree.add(ROOT, {AGENT_MANAGER: {}})
        for adapter in self.adapters.values():
            adapter.show()

    async def _forget(self) -> None:
        self.agents.clear()
        for adapter in self.adapters.values():
            await adapter.hide()
        self.tree.remove(ROOT)
        # Signals go out when the loop comes round.
        await asyncio.sleep(0)

    async def _join(self) -> None:
        bus = PatientBus(bus_address=self._address)
        try:
            await bus.connect()
            bus.add_message_handler(self._take)
            reply = await bus.request_name(NAME)
        except BaseException:
            # dbus-fast opens its socket before it connects, and keeps it.
            bus.disconnect()
            raise
        if reply != RequestNameReply.PRIMARY_OWNER:
            bus.disconnect()
            raise RuntimeError(f"somebody else is {NAME} on {self._address}")
        rule = f"type='signal',sender='{_DAEMON}',member='NameOwnerChanged'"
        await bus.call(
            Message(
                destination=_DAEMON,
                path="/org/freedesktop/DBus",
                interface=_DAEMON,
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )
        self._bus = bus
        self._watching = asyncio.ensure_future(self._watch(bus))

    async def _leave(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()
            await _ended(bus)

    async def _watch(self, bus: MessageBus) -> None:
        await _ended(bus)
        if self._bus is bus:
            log.info("the bus has died")
            self._bus = None
            self._returning = asyncio.ensure_future(self._return())

    async def _return(self) -> None:
        """Come back when the bus is there again, as systemd restarts bluetoothd."""
        await self._forget()
        while self._bus is None:
            await asyncio.sleep(RETRY_S)
            with suppress(*_LOST):
                await self._join()
        self._show()

    # Messages

    def _send(self, message: Message) -> None:
        if self._bus is not None and self._bus.connected:
            self._bus.send(message)

    async def _ask(self, message: Message) -> Message | None:
        if self._bus is None:
            return None
        with suppress(*_LOST):
            return await self._bus.call(message)
        return None

    def _take(self, message: Message) -> bool | None:
        if message.message_type is MessageType.SIGNAL:
            if message.member == "NameOwnerChanged" and not message.body[2]:
                self._start(self._client_gone(str(message.body[0])))
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.interface == _PEER:
            return None
        self._start(self._answer(message))
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _client_gone(self, sender: str) -> None:
        self.agents.gone(sender)
        for adapter in self.adapters.values():
            await adapter.client_gone(sender)

    async def _answer(self, message: Message) -> None:
        try:
            signature, body = await self._calls.carry_out(message)
        except DBusError as error:
            answer = Message.new_error(message, error.name, error.text)
        except Exception as error:
            log.exception("%s.%s failed", message.interface, message.member)
            answer = Message.new_error(message, "org.bluez.Error.Failed", repr(error))
        else:
            answer = Message.new_method_return(message, signature, body)
        if not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._send(answer)


async def _ended(bus: MessageBus) -> None:
    with suppress(*_LOST):
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]


def _nth_address(n: int) -> str:
    digits = f"{FIRST_ADDRESS + n:012X}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
