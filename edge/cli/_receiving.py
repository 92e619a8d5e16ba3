"""Where a receiver listens, as it stands on the command line."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from edge.receive import ReceiveError
from edge.secret import read_secret
from edge.sync.bounded import Broker
from edge.sync.identity import client_context, server_context

MQTT_PORT: Final = 1883
MQTTS_PORT: Final = 8883
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def broker_at(  # as they stand on the command line
    url: str,
    password_file: str,
    name: str,
    shared: str,
    files: tuple[Path | None, Path | None, Path | None],
    home: Path,
) -> Broker:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ReceiveError(f"{url} is no address: write mqtts://HOST") from error
    host, secured = parts.hostname or "", parts.scheme == "mqtts"
    if parts.scheme not in {"mqtt", "mqtts"} or not host:
        raise ReceiveError("the broker's address must begin with mqtts:// (or mqtt://)")
    if not secured and host not in _LOCAL:
        raise ReceiveError(
            f"mqtt:// to {host} is open to everybody in the network: write mqtts:// (mqtt:// is "
            f"for a broker on this machine)"
        )
    if parts.password:
        raise ReceiveError("a password in an address is seen by others: use --password-file")
    if set(shared + name) & set("/+#"):
        raise ReceiveError("a name or a group at a broker holds none of / + #")
    ca, cert, key = files
    context = None
    if secured:
        if ca is None:
            raise ReceiveError("mqtts:// needs --ca: who vouches for the broker")
        context = client_context(ca, cert, key)
    return Broker(
        host,
        port or (MQTTS_PORT if secured else MQTT_PORT),
        (name or f"receive-{socket.gethostname()}")[:64],
        context,
        unquote(parts.username or ""),
        read_secret(password_file, home).url if password_file else "",
        30,
        keeps=not shared,  # of a group, the others get what comes while this one is away
        acks=True,
        max_unsent=1_000,
    )


def server_tls(
    ca: Path | None, cert: Path | None, key: Path | None, crl: Path | None
) -> ssl.SSLContext | None:
    return None if cert is None or key is None else server_context(cert, key, ca, crl)


def address_of(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ReceiveError(f"{listen} is no address: write HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)
