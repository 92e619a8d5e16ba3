"""Commands a profile has for its device, and the device's answers to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from edge.devices import Device
from edge.gatt import Answer, Profile, Write
from edge.readers._ble_errors import NotReadyError
from edge.readers._ble_gatt import Connection, Take, pick

ANSWER_S: Final = 5.0
"""A device that has not answered a command by then will not."""
STOP_S: Final = 2.0
"""All commands that end a link together take no longer."""
LEAST_POLL_S: Final = 0.1

_log = structlog.get_logger("ble")


class Commands:
    """Sends commands over one link.

    Parameters
    ----------
    connection : Connection
        The link; the characteristics that carry answers are subscribed to with `listener`.
    device : Device
        Whose options decide which commands are sent.
    raise_if_grave : Callable
        Raises an error again that must not be passed over, even by an optional command.
    """

    def __init__(
        self,
        connection: Connection,
        device: Device,
        raise_if_grave: Callable[[Exception], None],
    ) -> None:
        self._connection, self._device = connection, device
        self._raise_if_grave = raise_if_grave
        self._asked: list[tuple[Answer, asyncio.Future[int]]] = []

    def answering(self, profile: Profile) -> set[str]:
        """Return the characteristics on which a profile's commands are answered."""
        writes = (*profile.start, *profile.stop, profile.poll)
        return {one.answer.on for one in writes if one is not None and one.answer is not None}

    def listener(self, uuid: str) -> Take:
        """Return what takes the answers that come on a characteristic."""

        def take(_: object, data: bytearray) -> None:
            for answer, wanted in self._asked:
                fits = answer.on == uuid and data.startswith(answer.begins)
                if fits and len(data) > answer.status_at and not wanted.done():
                    wanted.set_result(data[answer.status_at])

        return take

    async def start(self, profile: Profile) -> None:
        """Send the commands that bring the device to send.

        Raises
        ------
        NotReadyError
            It refused one, or did not answer.
        """
        for write in profile.start:
            if await self._is_wanted(profile, write):
                await self._command(profile, write)

    async def poll(self, profile: Profile) -> None:
        """Ask again and again, where the profile has to."""
        while profile.poll is not None:
            await self._command(profile, profile.poll)
            await asyncio.sleep(max(profile.poll_s, LEAST_POLL_S))

    async def stop(self, profiles: Iterable[Profile]) -> None:
        """Let the device rest; bounded, and never raises but when cancelled."""
        try:
            async with asyncio.timeout(STOP_S):
                for profile in profiles:
                    for write in profile.stop:
                        if await self._is_wanted(profile, write):
                            # Nobody waits for an answer: the link is let go in any case.
                            await self._send(profile, write)
        except Exception as error:  # noqa: BLE001  # the link is let go whatever the device says
            _log.info("sensor not stopped", sensor=self._device.address[-5:], error=repr(error))

    async def _is_wanted(self, profile: Profile, write: Write) -> bool:
        options = self._device.options or profile.options
        if write.option and write.option not in options:
            return False
        if write.needs is None:
            return True
        feature = pick(self._connection.found, write.needs.on, profile.service)
        if feature is None:
            return False
        try:
            value = await self._connection.read(feature)
        except Exception as error:  # noqa: BLE001  # judged below
            self._raise_if_grave(error)
            return False
        at = write.needs.at
        return len(value) > at and bool(value[at] >> write.needs.bit & 1)

    async def _command(self, profile: Profile, write: Write) -> None:
        try:
            await self._write(profile, write)
        except Exception as error:
            if not write.optional:
                raise
            self._raise_if_grave(error)

    async def _send(self, profile: Profile, write: Write) -> None:
        to = pick(self._connection.found, write.to, profile.service)
        if to is None:
            raise NotReadyError(f"it has no characteristic {write.to} to be commanded by")
        # Some devices of one family take a command only in the other way of writing.
        way, other = "write", "write-without-response"
        response = (write.response or other not in to.can) if way in to.can else False
        await self._connection.write(to, write.payload, response=response)

    async def _write(self, profile: Profile, write: Write) -> None:
        if write.answer is None:
            await self._send(profile, write)
            return
        wanted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asked = write.answer, wanted
        self._asked.append(asked)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._send(profile, write)
                status = await wanted
        except TimeoutError:
            raise NotReadyError(f"it does not answer command {write.payload[:2].hex()}") from None
        finally:
            self._asked.remove(asked)
        if status not in write.answer.good:
            raise NotReadyError(f"it refused command {write.payload[:2].hex()}: status {status}")
