"""A cluster of nats-server with JetStream, spoken to through its MQTT listeners."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.rigs.net.programs import HERE, UP_S, Program, free_port, missing

PROGRAM: Final = shutil.which("nats-server") or "/usr/sbin/nats-server"


def why_not() -> str:
    """Return why there is no nats-server here; empty: there is."""
    return "" if Path(PROGRAM).exists() else missing("nats-server")


class Node(Program):
    """One server of a cluster.

    Attributes
    ----------
    port : int
        Its MQTT listener.
    monitor : int
        Port at which it tells over HTTP how it is.
    """

    def __init__(self, folder: Path, name: str, ports: tuple[int, int, int, int], routes: str):
        folder.mkdir(parents=True, exist_ok=True)
        clients, cluster, mqtt, self.monitor = ports
        configuration = folder / "nats.conf"
        configuration.write_text(
            f"server_name: {name}\nlisten: {HERE}:{clients}\nhttp: {HERE}:{self.monitor}\n"
            f'jetstream {{ store_dir: "{folder}", max_mem: 64M, max_file: 1G }}\n'
            f"cluster {{ name: rig, listen: {HERE}:{cluster}, routes: [{routes}] }}\n"
            f"mqtt {{ listen: {HERE}:{mqtt} }}\n"
        )
        super().__init__([PROGRAM, "-c", str(configuration)], mqtt, folder, name)

    def leader(self) -> str:
        """Return who leads the cluster's JetStream as this node knows it; empty: nobody."""
        try:
            with urllib.request.urlopen(f"http://{HERE}:{self.monitor}/jsz", timeout=2.0) as told:
                known = msgspec.json.decode(told.read())
        except (urllib.error.URLError, OSError):
            return ""
        return str(known.get("meta_cluster", {}).get("leader", ""))


class Cluster:
    """Three nodes, or as many as wanted."""

    def __init__(self, folder: Path, n: int = 3) -> None:
        ports = [(free_port(), free_port(), free_port(), free_port()) for _ in range(n)]
        routes = ",".join(f'"nats://{HERE}:{one[1]}"' for one in ports)
        self.nodes = [
            Node(folder / f"n{i}", f"n{i}", one, routes) for i, one in enumerate(ports, 1)
        ]

    @property
    def alive(self) -> list[Node]:
        return [one for one in self.nodes if one.process and one.process.poll() is None]

    def start(self) -> None:
        """Start all, and wait until they have agreed on who leads."""
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_up()
        self.wait_agreed()

    def wait_agreed(self) -> str:
        """Wait until all that live know the same leader; return its name."""
        end_s = time.monotonic() + UP_S
        while time.monotonic() < end_s:
            known = {node.leader() for node in self.alive}
            names = {node.name for node in self.alive}
            if len(known) == 1 and known <= names:
                return known.pop()
            time.sleep(0.1)
        raise RuntimeError(f"no leader: {[node.last_words() for node in self.alive]}")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


@contextmanager
def cluster(folder: Path, n: int = 3) -> Iterator[Cluster]:
    """Run one; it is gone afterwards."""
    one = Cluster(folder, n)
    try:
        one.start()
        yield one
    finally:
        one.stop()
