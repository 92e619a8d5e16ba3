"""Whether there is a network, which link it is, and when it changes: asked of the kernel alone.

Nothing is sent to find out. The routes stand in ``/proc/net``; changes are told by rtnetlink(7),
and where a unit may not open such a socket they are looked for every 30 s.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import structlog

PROC: Final = Path("/proc/net")
LOOK_S: Final = 30.0
SETTLE_S: Final = 0.5
"""Changes come in bursts: a link, an address, a route."""
MAX_BYTES: Final = 1024 * 1024
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE."""
_UP, _REJECT = 0x1, 0x200
_LOCAL: Final = frozenset({"", "localhost"})

Net: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = structlog.get_logger("sync")


class Route(msgspec.Struct, frozen=True):
    """One route: where to, over which interface, how dear."""

    net: Net
    interface: str
    metric: int


class Routes:
    """The routes there are now.

    Parameters
    ----------
    found : Sequence[Route]
        Of both families.
    known : bool
        Whether the kernel could be asked; where not, anything may be reached.
    """

    def __init__(self, found: Sequence[Route], *, known: bool = True) -> None:
        self._found = sorted(found, key=lambda one: (-one.net.prefixlen, one.metric))
        self._known = known

    def interface_to(self, host: str) -> str | None:
        """Return over which interface a host would be reached; None: there is no way to it.

        A name may be of this home's own network, so any link is a way to it; where there is a
        default route, that is taken for it. Empty: the host is this machine (a path is), or nobody
        knows.
        """
        address = _address(host)
        here = host in _LOCAL or "/" in host or (address is not None and address.is_loopback)
        if here or not self._known:
            return ""
        if address is not None:
            return next((one.interface for one in self._found if address in one.net), None)
        defaults = [one for one in self._found if one.net.prefixlen == 0]
        # A name is reached over IPv4 as a rule: of two defaults that decides.
        defaults.sort(key=lambda one: (one.net.version, one.metric))
        ways = [*defaults, *self._found]
        return ways[0].interface if ways else None

    def metered(self, host: str, globs: Sequence[str]) -> bool:
        """Return whether the way to a host costs money."""
        interface = self.interface_to(host) or ""
        return bool(interface) and any(fnmatchcase(interface, glob) for glob in globs)


def read_routes(proc: Path = PROC) -> Routes:
    """Return the routes there are now."""
    found: list[Route] = []
    known = False
    for name, read in (("route", _route), ("ipv6_route", _route6)):
        try:
            with (proc / name).open("rb") as file:
                text = file.read(MAX_BYTES).decode("ascii", "replace")
        except OSError:  # no such family, or not for us: the other one decides
            continue
        known = True
        for line in text.splitlines():
            with suppress(ValueError, IndexError):  # the head of the table, or a line cut short
                route = read(line.split())
                if route is not None:
                    found.append(route)
    return Routes(found, known=known)


def _route(words: list[str]) -> Route | None:
    """Read a line of ``route``: interface, destination, gateway, flags, ..., metric, mask."""
    flags = int(words[3], 16)
    if not flags & _UP or flags & _REJECT or words[0] == "lo":
        return None
    to, mask = (int.from_bytes(bytes.fromhex(words[at])[::-1]) for at in (1, 7))
    return Route(ipaddress.IPv4Network((to & mask, mask.bit_count())), words[0], int(words[6]))


def _route6(words: list[str]) -> Route | None:
    """Read a line of ``ipv6_route``: destination, its length, ..., metric, ..., flags, interface.

    Addresses of the link alone (fe80::/10) and of groups lead nowhere that is configured.
    """
    flags, interface = int(words[8], 16), words[9]
    if not flags & _UP or flags & _REJECT or interface == "lo":
        return None
    net = ipaddress.IPv6Network((bytes.fromhex(words[0]), int(words[1], 16)))
    if net.is_link_local or net.is_multicast:
        return None
    return Route(net, interface, int(words[5], 16))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


class Watch:
    """Waits for the network to change.

    Parameters
    ----------
    look_s : float
        How often to look where nothing tells.
    """

    def __init__(self, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self._changed = asyncio.Event()
        self._socket = self._opened()

    async def change(self) -> None:
        """Wait until something has changed, or it is time to look."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look_s):
                await self._changed.wait()
                await asyncio.sleep(SETTLE_S)
        self._changed.clear()

    @property
    def told(self) -> bool:
        """Whether the kernel tells of changes."""
        return self._socket is not None

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket | None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            made = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        except OSError as error:
            _log.info("the network is looked at now and then", error=str(error))
            return None
        try:
            made.bind((0, _GROUPS))
        except OSError as error:
            made.close()
            _log.info("the network is looked at now and then", error=str(error))
            return None
        asyncio.get_running_loop().add_reader(made, self._drain, made)
        return made

    def _drain(self, told: socket.socket) -> None:
        """Take all that the kernel says: that it says something is enough."""
        for _ in range(64):
            try:
                told.recv(65536)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more was said than fits; it has changed all the same
                break
        self._changed.set()
