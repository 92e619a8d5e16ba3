"""``homeward demo --receiver``: box, sender and receiver as three processes, and a cut between.

Nothing is played here: `homeward run` watches the simulated patient, `homeward sync` sends, and
`homeward receive` stores on this machine. The receiver is killed in the midst, what leaves waits at
the box, and drains when it is back. At the end what the box made is compared with what came.
"""

from __future__ import annotations

import queue
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import typer

from edge.cli import DONE, FAILED
from edge.cli._shared import CommandError, print_json
from edge.control import ControlError, Status
from edge.control.client import ControlClient

LENGTH_S: Final = 90.0
CUT: Final = (0.25, 0.65)
"""From and to which share of the time the receiver is away."""
START_S: Final = 60.0
"""How long the processes may take to be there; a Pi is slow at it."""
DRAIN_S: Final = 60.0
STOP_S: Final = 10.0
LINE_S: Final = 5.0

_SETTINGS: Final = """\
[box]
name = "demo"

[summaries]
period_s = 20

[sync]
box = "demo-box"
batch_s = 2
heartbeat_s = 10

[consent]
heartbeats = true

[annunciators.sound]
enabled = false

[[sources]]
reader = "simulated"
scenario = "{scenario}"

[[sinks]]
sink = "webhook"
name = "receiver"
receipt_key_file = "{key}"
"""


def show(scenario: str, length_s: float | None, *, as_json: bool) -> int:
    """Play it, and say what came of it.

    Returns
    -------
    int
        0: all that the box made has come, once each.

    Raises
    ------
    CommandError
        One of the processes did not start, or ended.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="homeward-demo-") as folder:
        play = _Play(Path(folder), scenario, as_json=as_json)
        with play.running():
            play.live(LENGTH_S if length_s is None else length_s)
        return play.compare()


class _Play:
    _client: ControlClient

    def __init__(self, folder: Path, scenario: str, *, as_json: bool) -> None:
        self._home, self._far, self._as_json = folder / "box", folder / "far", as_json
        for one in (self._home, self._far):
            one.mkdir(mode=0o700)
        self._config, self._scenario = folder / "box.toml", scenario
        self._listen = "127.0.0.1:0"
        self._lines: queue.Queue[Mapping[str, Any]] = queue.Queue()
        self._came: Counter[str] = Counter()
        self._n_again = 0
        self._most_waiting = 0
        self._ended = ExitStack()
        self._receiver: subprocess.Popen[bytes] | None = None
        self._began_s = time.monotonic()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the three processes run, and none of them afterwards."""
        with self._ended:
            self._receive()
            self._write_settings()
            self._start("run")
            self._start("sync")
            yield
            self._wait_until_empty()

    def live(self, length_s: float) -> None:
        """Live through it: with the receiver, without, and with it again."""
        self._client = self._connected()
        self._began_s = time.monotonic()
        cut_s, back_s = (length_s * share for share in CUT)
        told_s = 0.0
        while (at_s := time.monotonic() - self._began_s) < length_s:
            away = self._receiver is None
            if cut_s <= at_s < back_s and not away:
                self._kill()
                self._say(at_s, "CUT: the receiver is killed; alerts go on, and wait here")
            elif at_s >= back_s and away:
                self._receive()
                self._say(at_s, "BACK: the receiver is started again")
            if at_s >= told_s:
                told_s += LINE_S
                self._tell(at_s)
            time.sleep(0.2)

    def compare(self) -> int:
        """Say what the box made and what came of it."""
        from edge.store import History

        with History.open(self._home / "homeward.db") as history:
            made, n_waiting = history.counts(), history.outbox_count()
        n_made = made["alerts"] + made["summaries"]
        n_received = len({str(row["uuid"]) for row in self._received()})
        n_missing = n_made - n_waiting - n_received
        told = {
            "n_alerts": made["alerts"],
            "n_summaries": made["summaries"],
            "n_received": n_received,
            "n_waiting": n_waiting,
            "n_missing": n_missing,
            "n_sent_again": self._n_again,
            "most_waiting": self._most_waiting,
        }
        if self._as_json:
            print_json({"record": "demo_receiver", **told})
        else:
            typer.echo(
                f"The box made {made['alerts']} states of alerts and {made['summaries']} "
                f"summaries, and up to {self._most_waiting} waited. The receiver holds "
                f"{n_received}, each once "
                f"({self._n_again} came again and were known by their id); {n_waiting} of the last "
                f"moment wait still; {n_missing} are missing."
            )
        return DONE if n_missing == 0 else FAILED

    def _received(self) -> Sequence[Mapping[str, Any]]:
        listed = subprocess.run(  # noqa: S603  # ours
            self._command("receive", "list", "--json", "--limit", "1000000", home=self._far),
            capture_output=True,
            check=True,
            timeout=START_S,
        )
        rows = [msgspec.json.decode(line) for line in listed.stdout.splitlines()]
        return [row for row in rows if row["record"] == "entry"]

    def _write_settings(self) -> None:
        said = self._next("receiver")
        self._listen = str(said["listen"])
        secret = self._home / "webhook"
        secret.write_text(f"http://{self._listen}/v1/{{box}}\n{secrets.token_hex(32)}\n")
        secret.chmod(0o600)
        key = said["receipt_key_file"]
        self._config.write_text(_SETTINGS.format(scenario=self._scenario, key=key))

    def _receive(self) -> None:
        """Start the receiver, at the same place each time."""
        words = self._command("receive", "--listen", self._listen, "--json", home=self._far)
        self._receiver = self._popen(words, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=(self._receiver.stdout,), daemon=True).start()

    def _kill(self) -> None:
        if self._receiver is not None:
            self._receiver.kill()
            self._receiver.wait()
            self._receiver = None

    def _start(self, name: str) -> None:
        words = self._command(name, "--config", str(self._config), home=self._home)
        self._popen(words, stdout=subprocess.DEVNULL)

    def _command(self, *words: str, home: Path) -> list[str]:
        return [sys.executable, "-m", "edge", *words, "--data-dir", str(home)]

    def _popen(self, words: Sequence[str], stdout: int) -> subprocess.Popen[bytes]:
        log = self._ended.enter_context((self._home.parent / f"{words[3]}.log").open("ab"))
        process = subprocess.Popen(  # noqa: S603  # ours
            words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log
        )
        self._ended.callback(_stop, process)
        return process

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            with suppress(msgspec.DecodeError):  # the last line of one that was killed
                self._lines.put(msgspec.json.decode(line))

    def _next(self, record: str) -> Mapping[str, Any]:
        end_s = time.monotonic() + START_S
        while (left_s := end_s - time.monotonic()) > 0.0:
            with suppress(queue.Empty):
                said = self._lines.get(timeout=left_s)
                if said["record"] == record:
                    return said
        raise CommandError(f"the receiver did not start: {self._log('receive')}")

    def _log(self, name: str) -> str:
        """Return the last line that a process said."""
        path = self._home.parent / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return lines[-1] if lines else "it said nothing"

    def _connected(self) -> ControlClient:
        end_s = time.monotonic() + START_S
        while True:
            try:
                client = ControlClient(self._home / "control.sock")
                client.ask(Status())
            except ControlError:
                if time.monotonic() > end_s:
                    raise CommandError(f"the box did not start: {self._log('run')}") from None
                time.sleep(0.2)
            else:
                self._ended.callback(client.close)
                return client

    def _waiting(self) -> int:
        """Return what waits at the box, by its own word."""
        try:
            sinks = self._client.ask(Status())["sync"]["sinks"]
        except ControlError as error:
            raise CommandError(f"the box ended: {error}; {self._log('run')}") from error
        n = sum(one["n_alerts"] + one["n_summaries"] for one in sinks)
        self._most_waiting = max(self._most_waiting, n)
        return int(n)

    def _take(self) -> None:
        with suppress(queue.Empty):
            while True:
                said = self._lines.get_nowait()
                if said["record"] == "received":
                    self._came[str(said["kind"])] += bool(said["new"])
                    self._n_again += not said["new"]

    def _tell(self, at_s: float) -> None:
        self._take()
        n = self._waiting()
        link = "receiver away" if self._receiver is None else "receiver there"
        self._say(at_s, f"{link}: {n:3} wait, {sum(self._came.values()):3} received", waiting=n)

    def _say(self, at_s: float, text: str, **more: int) -> None:
        if self._as_json:
            record = {"record": "demo_sync", "at_s": round(at_s, 1), "text": text}
            print_json({**record, "n_received": sum(self._came.values()), **more})
        else:
            typer.echo(f"{at_s:5.0f} s  {text}")
        sys.stdout.flush()

    def _wait_until_empty(self) -> None:
        """Stop watching, and let drain what waits."""
        began_s = time.monotonic()
        while self._waiting() and time.monotonic() - began_s < DRAIN_S:
            time.sleep(0.5)
        self._tell(time.monotonic() - self._began_s)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
