"""Networks that a sender may meet, each with what the configuration says and how it is called (N3).

    no answer      nobody answers a SYN
    TLS hang       the connection stands, and the handshake never ends
    DNS hang       the name server hears the question, and says nothing
    DNS wrong      it says there is no such name
    1 byte/s       a broker behind a link of one byte a second
    half open      a broker whose answers never come back
    10 MB          whoever subscribes is sent a message of ten megabytes
    garbage        bytes of chance where a broker should be
    refused        a broker that says no
    wrong CA       a broker that somebody else vouches for
    no network     no interface at all, not even a loopback

Nothing gets through any of them, so all that is made has to be still there afterwards.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tests.edge.notices.far_away import authority
from tests.rigs.net import broker, names
from tests.rigs.net.proxy import Proxy
from tests.rigs.net.servers import serving
from tests.rigs.sync.processes import new_key

SINK: Final = """
[sync]
box = "rig-box"
batch_s = 1
[[sinks]]
sink = "mqtt"
name = "clinic"
host = "{host}"
port = {port}
tls = {tls}
receipt_key_file = "receiver.pub"
"""
FILES: Final = """ca_file = "{ca}"
cert_file = "{pair}"
key_file = "{pair}"
"""


class Trouble(msgspec.Struct, frozen=True):
    """One of them, while it lasts; `words`: how the sender is called."""

    config: str
    words: Callable[[list[str]], list[str]] = lambda words: words


def _said(port: int, *, tls: bool = False, host: str = "localhost") -> str:
    return SINK.format(host=host, port=port, tls=str(tls).lower())


def _secured(folder: Path, port: int, host: str = "localhost", name: str = "ours") -> str:
    ca = authority(folder, name, host=host)
    files = FILES.format(ca=ca, pair=ca.with_name(f"{name}.server.pem"))
    for file in folder.glob(f"{name}*.pem"):
        file.chmod(0o600)
    return _said(port, tls=True, host=host) + files


@contextlib.contextmanager
def _served(kind: str, folder: Path, *, tls: bool) -> Iterator[Trouble]:
    with serving(kind) as far:
        yield Trouble(_secured(folder, far.port) if tls else _said(far.port))


@contextlib.contextmanager
def _named(lies: names.Lies, folder: Path) -> Iterator[Trouble]:
    with names.naming(lies):
        yield Trouble(
            _secured(folder, 8883, "broker.example"),
            lambda words: names.asking_it(folder, words),
        )


@contextlib.contextmanager
def _linked(folder: Path, **weather: object) -> Iterator[Trouble]:
    with broker.broker(folder / "broker") as one, Proxy(one.port) as link:
        link.be(**weather)
        yield Trouble(_said(link.port))


@contextlib.contextmanager
def _strange(folder: Path) -> Iterator[Trouble]:
    ca = authority(folder, "theirs")
    pair = ca.with_name("theirs.server.pem")
    tls = {"cafile": ca, "certfile": pair, "keyfile": pair}
    with broker.broker(folder / "broker", tls=tls) as one:
        yield Trouble(_secured(folder, one.port))


@contextlib.contextmanager
def _nowhere(folder: Path) -> Iterator[Trouble]:
    yield Trouble(_secured(folder, 8883), names.without_network)


TROUBLES: Final[Mapping[str, Callable[[Path], contextlib.AbstractContextManager[Trouble]]]] = {
    "no answer": lambda folder: _served("deaf", folder, tls=True),
    "TLS hang": lambda folder: _served("hang", folder, tls=True),
    "DNS hang": lambda folder: _named("hang", folder),
    "DNS wrong": lambda folder: _named("wrong", folder),
    "1 byte/s": lambda folder: _linked(folder, bytes_per_s=1.0),
    "half open": lambda folder: _linked(folder, swallow="down"),
    "10 MB": lambda folder: _served("flood", folder, tls=False),
    "garbage": lambda folder: _served("garbage", folder, tls=False),
    "refused": lambda folder: _served("refuse", folder, tls=False),
    "wrong CA": _strange,
    "no network": _nowhere,
}


def why_not(name: str) -> str:
    """Return why a trouble cannot be had here; empty: it can.

    Both that need a name server of ours use one port, and so they are not to be had together.
    """
    if name.startswith("DNS") or name == "no network":
        return names.why_not()
    return broker.why_not() if name in {"1 byte/s", "half open", "wrong CA"} else ""


@contextlib.contextmanager
def trouble(name: str, folder: Path, data_dir: Path) -> Iterator[Trouble]:
    """Bring one about, with a data directory that trusts a receiver who will never answer."""
    folder.mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(mode=0o700, exist_ok=True)
    new_key(data_dir)
    with TROUBLES[name](folder) as one:
        yield one


def sender_words(config: Path, data_dir: Path, one: Trouble) -> list[str]:
    """Return how the real sender is called in there."""
    common = ["--config", str(config), "--data-dir", str(data_dir)]
    return one.words([sys.executable, "-m", "edge", "sync", *common])
