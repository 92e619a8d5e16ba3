"""One virtual wearable on the simulated radio, and what can happen to it."""

from __future__ import annotations

import asyncio

from bumble.device import Connection

from edge.virtual import Service, Wearable
from edge.virtual._advertising import advertisement
from edge.virtual._ether import HUNG_UP, HUNG_UP_HERE, SUPERVISION_S, TIMED_OUT, Ether
from edge.virtual._face import Face
from edge.virtual._radio import MAX_MTU, Radio

DEFAULT_DBM = -60


class OnAir(Radio):
    """A wearable that can be found, connected to, paired with, and that can go away.

    Attributes
    ----------
    wearable : Wearable
        What it is.
    peripheral : Peripheral
        The device itself, switched on.
    name : str
        Under which it advertises.
    address : str
        Its static random address, which is also its identity address.
    screen : Screen
        Its display and buttons.
    """

    def __init__(  # noqa: PLR0913  # what a device is
        self,
        ether: Ether,
        wearable: Wearable,
        seed: int,
        address: str,
        *,
        face: Face | None = None,
        secure_connections: bool = True,
        name: str = "",
        max_mtu: int = MAX_MTU,
    ) -> None:
        super().__init__(
            ether,
            wearable,
            seed,
            address,
            name=name or wearable.local_name,
            face=face or (Face.DISPLAY if wearable.displays_passkey else Face.NOTHING),
            secure_connections=secure_connections,
            max_mtu=max_mtu,
        )
        self.services = wearable.services
        self._living: asyncio.Task[None] | None = None
        self._refusals = 0

    async def start(self) -> None:
        """Switch it on for the first time."""
        await self.device.power_on()
        self.change_table(self.services)
        await self.device.start_advertising(auto_restart=True)
        self._live()

    async def stop(self) -> None:
        """Take it away for good.

        Raises
        ------
        RuntimeError
            The peripheral failed while it was on the air.
        """
        self.end_tasks()
        self.ether.cut(self.controller, TIMED_OUT, TIMED_OUT)
        await asyncio.sleep(0)
        self.ether.taps.remove(self.tap)
        await self.device.stop_advertising()
        await self.device.power_off()
        self.ether.remove(self.controller)
        if self.failure is not None:
            raise RuntimeError(f"{self.name}: the virtual wearable failed") from self.failure

    # Where it is

    def power_off(self) -> None:
        """Switch it off, or let its battery die: it falls silent, and links time out."""
        self.end_tasks()
        self.fade()

    def power_on(self) -> None:
        """Switch it on again: it remembers what its kind remembers, and its bonds."""
        if self.connected:
            # It was off for less than the other side took to notice: the link is lost all the same.
            self.drop()
        self.back()
        if self._living is None or self._living.done() or self._living.cancelling():
            self._live()

    def fade(self, supervision_s: float = SUPERVISION_S) -> None:
        """Carry it out of range: its links end `supervision_s` later, on both sides."""
        self.ether.leave(self.controller, supervision_s)

    def back(self) -> None:
        """Carry it back in range; it advertises, or goes on with a link that still lives."""
        self.ether.come(self.controller)

    # What becomes of its links

    def hang_up(self) -> None:
        """Let it end its links, as when it is taken off: the box sees reason 0x13."""
        self.ether.cut(self.controller, HUNG_UP_HERE, HUNG_UP)

    def drop(self) -> None:
        """End its links as interference does: both sides see a timeout, and it advertises."""
        self.ether.cut(self.controller, TIMED_OUT, TIMED_OUT)

    def refuse(self, times: int) -> None:
        """End the next `times` links as soon as they are made."""
        self._refusals = times

    def slow(self, interval_s: float) -> None:
        """Exchange packets only every `interval_s`, in bursts; 0: at once."""
        self.ether.interval_s[self.controller] = interval_s

    # What it does wrong

    def silence(self) -> None:
        """Send nothing more, though connected and subscribed to."""
        self.mute = True

    def speak(self) -> None:
        """Send again."""
        self.mute = False

    def lose(self, share: float) -> None:
        """Throw away this share of what is to be sent, before it is sent."""
        self.loss = share

    def forget_bond(self) -> None:
        """Let it lose its keys, as by a reset to factory settings."""
        self.keys.all_keys.clear()

    def change_table(self, services: tuple[Service, ...]) -> None:
        """Have these services from the next link on, as after a firmware update."""
        self.services = services
        self.table.fill(self.device, services)
        self.device.advertising_data = advertisement(self.name, services)

    # State

    @property
    def passkey(self) -> int | None:
        """Six digits on its display while it pairs: to be typed, or compared."""
        return self.screen.number

    @property
    def connected(self) -> bool:
        """Whether it has a link."""
        return bool(self.controller.le_connections)

    @property
    def bonded(self) -> bool:
        """Whether it keeps keys of somebody."""
        return bool(self.keys.all_keys)

    @property
    def rssi_dbm(self) -> int:
        """How strongly it is heard."""
        return self.ether.rssi_dbm.get(self.address, DEFAULT_DBM)

    @rssi_dbm.setter
    def rssi_dbm(self, value: int) -> None:
        self.ether.rssi_dbm[self.address] = value

    def linked(self, link: Connection) -> None:
        """Note that a link was made, or refuse it."""
        super().linked(link)
        if self._refusals > 0:
            self._refusals -= 1
            self.hang_up()

    def _live(self) -> None:
        self._living = self.spawn(self.peripheral.run(self))
