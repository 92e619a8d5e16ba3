"""What the pipeline and people are told of each sensor's link: only what is new."""

from __future__ import annotations

from edge.devices import Device
from edge.events import ASSIGN, EXPECT, LINK, Assignment, Expectation, LinkTold, tell
from edge.readers import Rim
from edge.records import LinkState, Security


class Told:
    """Tells of one sensor.

    Parameters
    ----------
    device : Device
        As registered; replace it with `now_is`.
    rim : Rim
        Where it is told.
    """

    def __init__(self, device: Device, rim: Rim) -> None:
        self._device, self._rim = device, rim
        self._state: LinkState | None = None
        self._reason = ""
        self._security = Security.UNKNOWN
        self._is_expected = False

    @property
    def is_connected(self) -> bool:
        """Whether the last word was that it sends."""
        return self._state is LinkState.CONNECTED

    def expect(self) -> None:
        """Say that something should come, if the sensor is of a kind that sends all the time."""
        device = self._device
        continuous = {one.name for one in self._rim.profiles if one.deadline_s > 0}
        self._is_expected = not continuous.isdisjoint(device.profiles)
        if self._is_expected:
            self._say(EXPECT, Expectation(device.address, device.patient))

    def connected(self, security: Security) -> None:
        """Say that it sends, and whose it is."""
        self._security = security
        self._link(LinkState.CONNECTED, "")
        device = self._device
        self._say(ASSIGN, Assignment(device.address, device.patient, device.address))

    def lost(self, reason: str) -> None:
        """Say that it sends no more, if it did."""
        if self.is_connected:
            self._link(LinkState.LOST, reason)

    def waits(self, reason: str) -> None:
        """Say why it does not come back, if it is being looked for."""
        if self._state in {None, LinkState.LOST} and reason != self._reason:
            self._link(LinkState.LOST, reason)

    def not_usable(self, state: LinkState, reason: str) -> None:
        """Say that it cannot be used, and why; the same is not said twice."""
        if (state, reason) != (self._state, self._reason):
            self._link(state, reason)

    def now_is(self, device: Device) -> None:
        """Say what people have changed: its name, its place, whose it is."""
        before, self._device = self._device, device
        if before.patient != device.patient and self._is_expected:
            self._say(EXPECT, Expectation(before.address, before.patient, withdrawn=True))
            self.expect()
        if self.is_connected:
            self.connected(self._security)

    def removed(self) -> None:
        """Say that it is no longer ours."""
        device = self._device
        if self._is_expected:
            self._say(EXPECT, Expectation(device.address, device.patient, withdrawn=True))
        self._link(LinkState.REMOVED, "a person has removed it")

    def _link(self, state: LinkState, reason: str) -> None:
        self._state, self._reason = state, reason
        device = self._device
        self._say(
            LINK,
            LinkTold(device.address, state, self._security, device.name, device.place, reason),
        )

    def _say(self, stream: str, payload: Assignment | Expectation | LinkTold) -> None:
        self._rim.deliver(tell(stream, payload, self._rim.now_s()))
