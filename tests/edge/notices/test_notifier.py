"""The notifier as a whole, beside a control server of the monitor's: gone, back, restarted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edge.notices.channels
from edge.cli._shared import plugin_defaults
from edge.clock import BootClock
from edge.config import Config, load
from edge.config.consent import write_switches
from edge.control import (
    WITHHELD,
    Acknowledge,
    Became,
    ControlError,
    Delivered,
    Leaves,
    Notices,
    NoticesProof,
    NoticesState,
    Request,
)
from edge.control.board import NOTICES_SOCKET, Board
from edge.control.server import ControlServer
from edge.discover import discover
from edge.egress.departure import Departure
from edge.notices import notifier as notifier_module
from edge.notices.channels import Channel
from edge.notices.memory import Memory
from edge.notices.notifier import Notifier
from edge.notices.ways import open_ways
from edge.records import AlertState, Meaning, Role
from tests.edge.notices.far_away import TOPIC, Far, serving, wretched
from tests.edge.notices.test_telling import ANSWERED, alert

ROOT = Path(__file__).parents[3]
CONFIG = """
[box]
name = "bedroom"
[[notices]]
channel = "ntfy"
name = "anna"
url_file = "anna"
[[notices]]
channel = "ntfy"
name = "open-to-all"
url_file = "open"
"""


class Monitor:
    """The monitor's side of the socket: what it shows is set, what it is told is kept."""

    def __init__(self, path: Path) -> None:
        self.server = ControlServer(path, self._answer)
        self.clock = BootClock()
        self.board: dict[str, Any] = {}
        self.standing: tuple[Any, ...] = ()
        self.ended: tuple[Any, ...] = ()
        self.change = 0
        self.ticks = True
        self.run_id = "run"
        self.delivered: list[Delivered] = []
        self.stores_in_s = 0.0
        self.state: NoticesState | None = None
        self.acknowledged: list[Acknowledge] = []
        self.proof = 0
        self.proofs: list[NoticesProof] = []
        self._tick_s = self.clock.now_s()
        self.left: list[Departure] = []
        self.became: list[Became] = []
        self.refuses: set[str] = set()
        self.withheld: tuple[str, ...] = ()

    def show(self, *standing: Any, ended: tuple[Any, ...] = ()) -> None:
        self.standing, self.ended, self.change = standing, ended, self.change + 1

    async def _answer(self, request: Request) -> Any:
        match request:
            case Leaves() | Became():
                self._see(request)
            case Notices(after=after):
                for _ in range(10):
                    if after == self.change:
                        await asyncio.sleep(0.02)
                now_s = self.clock.now_s()
                self._tick_s = now_s if self.ticks else self._tick_s
                return Board(
                    self.change, self.run_id, "boot", "bedroom", self._tick_s, now_s, None,
                    ready=True, standing=self.standing, ended=self.ended, proof=self.proof,
                    withheld=self.withheld,
                )  # fmt: skip
            case Delivered():
                await self._deliver(request)
            case NoticesState():
                self.state = request
            case NoticesProof():
                self.proofs.append(request)
            case Acknowledge():
                self.acknowledged.append(request)
        return {}

    async def _deliver(self, request: Delivered) -> None:
        if request.alert_id == "unknown":
            raise ControlError("there is no alert")
        await asyncio.sleep(self.stores_in_s)
        self.delivered.append(request)

    def _see(self, request: Leaves | Became) -> None:
        if isinstance(request, Became):
            self.became.append(request)
        elif request.what.kind in self.refuses:
            raise ControlError(f"{WITHHELD}consent is off")
        else:
            self.left.append(request.what)


class Scene:
    """A folder, a far server, a monitor, and notifiers that come and go."""

    def __init__(self, folder: Path, far: Far) -> None:
        self.far, self.folder = far, folder
        for name, text, mode in (
            ("anna", f"{far.url}/{TOPIC}", 0o600),
            ("open", f"{far.url}/{TOPIC}open", 0o644),
        ):
            (folder / name).write_text(text)
            (folder / name).chmod(mode)
        folder.chmod(0o700)
        self.monitor = Monitor(folder / NOTICES_SOCKET)
        self.task: asyncio.Task[None] | None = None

    def config(self) -> Config:
        file = self.folder / "box.toml"
        file.write_text(CONFIG)
        return load(file, plugin_defaults(), overrides={"box.data_dir": str(self.folder)})

    def start(self) -> Notifier:
        config = self.config()
        ways = open_ways(config, discover(edge.notices.channels, "CHANNEL", Channel))
        made = Notifier(config, ways, BootClock())
        self.task = asyncio.get_running_loop().create_task(made.run())
        return made

    async def kill(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, done: Callable[[], Any], limit_s: float = 10.0) -> None:
        async with asyncio.timeout(limit_s):
            while not done():
                assert self.task is None or not self.task.done()
                await asyncio.sleep(0.02)

    def titles(self) -> list[str]:
        return [message["title"] for message in self.far.topic(TOPIC)]


def play(folder: Path, body: Callable[[Scene], Awaitable[None]]) -> None:
    async def live(far: Far) -> None:
        scene = Scene(folder, far)
        try:
            await body(scene)
        finally:
            if scene.task is not None:
                await scene.kill()
            await scene.monitor.server.close()

    with serving(Far()) as far:
        asyncio.run(live(far))


def test_an_alarm_goes_its_whole_way_and_every_stage_is_handed_back(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.start()
        scene.monitor.show(alert())
        await scene.until(lambda: len(scene.monitor.delivered) == 4)
        # The second way cannot be used, and that keeps nothing from the first.
        told = [(d.stage, d.by) for d in scene.monitor.delivered]
        assert sorted(told) == [
            ("queued", "ntfy:anna"), ("queued", "ntfy:open-to-all"),
            ("received", "ntfy:anna"), ("sent", "ntfy:anna"),
        ]  # fmt: skip
        state = scene.monitor.state
        assert state is not None
        anna, broken = state.ways
        assert (anna.works, broken.works) == (True, False)
        assert "chmod 600" in broken.reason
        scene.monitor.show(alert(**ANSWERED))
        await scene.until(lambda: "Handled: very low SpO2" in scene.titles())
        scene.monitor.show(ended=(alert(**{**ANSWERED, "state": AlertState.ENDED}),))
        await scene.until(lambda: "Over: very low SpO2" in scene.titles())
        assert len(scene.titles()) == 3

    play(tmp_path, body)


def test_however_often_it_is_killed_each_is_told_once(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        for number in range(6):
            standing = tuple(alert(id=f"a{n}", words=f"alarm {n}") for n in range(number + 1))
            scene.monitor.show(*standing)
            scene.start()
            await asyncio.sleep(0.03 * number)
            await scene.kill()
            await scene.monitor.server.close()
            await scene.monitor.server.start()
        scene.start()
        await scene.until(lambda: len(scene.titles()) >= 6)
        await asyncio.sleep(0.5)
        assert sorted(scene.titles()) == [f"HIGH alarm: alarm {n}" for n in range(6)]

    play(tmp_path, body)


@pytest.mark.parametrize("how", ["hung up", "stands still"])
def test_people_are_told_that_the_monitor_is_gone_and_that_it_is_back(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "GONE_S", 1.5)
    monkeypatch.setattr(notifier_module, "AWAY_S", 0.1)
    gone, back = "HIGH: the monitor at bedroom does not answer", "The monitor at bedroom is back"

    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.start()
        await scene.until(lambda: scene.monitor.state is not None)
        if how == "hung up":
            await scene.monitor.server.close()
        else:
            scene.monitor.ticks = False
        await scene.until(lambda: scene.titles() == [gone])
        (message,) = scene.far.topic(TOPIC)
        assert message["priority"] == 5
        # A notifier that begins again meanwhile does not tell it again.
        await scene.kill()
        scene.start()
        await asyncio.sleep(2.0)
        assert scene.titles() == [gone]
        if how == "hung up":
            await scene.monitor.server.start()
        scene.monitor.ticks = True
        await scene.until(lambda: scene.titles() == [gone, back])

    play(tmp_path, body)


def test_a_monitor_of_another_run_that_knows_the_alert_makes_no_news(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.monitor.show(alert())
        scene.start()
        await scene.until(lambda: len(scene.titles()) == 1)
        await scene.monitor.server.close()
        scene.monitor.run_id = "next"
        await scene.monitor.server.start()
        await asyncio.sleep(1.5)
        assert len(scene.titles()) == 1

    play(tmp_path, body)


def test_a_report_no_monitor_takes_holds_up_no_other(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.monitor.show(alert(id="unknown"), alert(id="a2"))
        scene.start()
        await scene.until(lambda: {d.alert_id for d in scene.monitor.delivered} == {"a2"})

    play(tmp_path, body)


def test_a_backlog_of_reports_keeps_neither_the_state_nor_an_answer_waiting(tmp_path: Path) -> None:
    reports = [Delivered(f"a{n}", "sent", "ntfy:anna", 1.0 * n) for n in range(100)]
    (tmp_path / "notices.json").write_bytes(msgspec.json.encode(Memory(reports=reports)))

    async def body(scene: Scene) -> None:
        scene.monitor.stores_in_s = 0.2
        await scene.monitor.server.start()
        scene.start()._answered("anna", "a1")
        await scene.until(lambda: scene.monitor.state and scene.monitor.acknowledged, 3.0)
        assert len(scene.monitor.delivered) < 50

    play(tmp_path, body)


def test_a_press_that_acknowledges_does_so_in_the_name_of_its_destination(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        made = scene.start()
        made._senders["anna"].answered("a1")
        await scene.until(lambda: scene.monitor.acknowledged)
        (said,) = scene.monitor.acknowledged
        assert (said.id, said.by, said.role, said.meaning) == (
            "a1", "anna", Role.CARER, Meaning.SEEN,
        )  # fmt: skip

    play(tmp_path, body)


def test_a_proof_that_is_asked_for_is_given_once_by_every_way_and_wakes_nobody(
    tmp_path: Path,
) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.start()
        await scene.until(lambda: scene.monitor.state is not None)
        scene.monitor.proof, scene.monitor.change = 1, 1
        await scene.until(lambda: scene.monitor.proofs)
        for _ in range(5):  # the same number on the board again is the same asking
            scene.monitor.show()
            await asyncio.sleep(0.1)
        (proof,) = scene.monitor.proofs
        anna, broken = proof.ways
        assert (proof.n, anna.name, anna.sent, anna.received) == (1, "anna", True, True)
        assert (broken.name, broken.sent) == ("open-to-all", False)
        assert "chmod 600" in broken.text
        (message,) = scene.far.topic(TOPIC)
        assert message["title"] == "Test from bedroom: nothing to do"
        assert message["priority"] == 2  # ntfy: no sound, no vibration
        assert message["actions"] == []
        scene.far.fault = {"status": 500}
        scene.monitor.proof = 2
        scene.monitor.show()
        await scene.until(lambda: len(scene.monitor.proofs) == 2)
        assert "ntfy answered 500" in scene.monitor.proofs[1].ways[0].text
        assert TOPIC not in str(scene.monitor.proofs)

    play(tmp_path, body)


def test_an_alarm_waits_for_no_test(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        with wretched("silent") as port:
            (scene.folder / "open").chmod(0o600)
            (scene.folder / "open").write_text(f"http://localhost:{port}/t0pic")
            await scene.monitor.server.start()
            scene.start()
            await scene.until(lambda: scene.monitor.state is not None)
            scene.monitor.proof, scene.monitor.change = 1, 1
            await scene.until(lambda: scene.titles() == ["Test from bedroom: nothing to do"])
            scene.monitor.show(alert())
            await scene.until(lambda: len(scene.titles()) == 2)
            assert scene.monitor.proofs == []  # the other way still hangs

    play(tmp_path, body)


FORBIDDEN = (
    *("edge.dsp.ring", "edge.packetlog", "edge.readers", "edge.pipeline", "edge.store"),
    *("edge.vault", "edge.export", "edge.keys"),
)


def test_what_tells_people_cannot_see_raw_data() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in contracts["contracts"] if "raw data" in c["name"])
    assert "edge.notices" in contract["source_modules"]
    assert set(contract["forbidden_modules"]) <= set(FORBIDDEN)
    code = (
        "import sys, edge.notices.notifier, edge.notices.proof, edge.notices.channels as c\n"
        "import edge.discover; edge.discover.discover(c, 'CHANNEL', c.Channel)\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = ended.stdout.split()
    assert "edge.notices.channels.ntfy" in loaded
    assert not [name for name in loaded if name.startswith(FORBIDDEN)]


def test_what_it_may_be_told_holds_no_measured_value() -> None:
    fields = {field.name for field in msgspec.structs.fields(Board)}
    fields |= {field.name for field in msgspec.structs.fields(type(alert()))}
    assert not fields & {"evidence", "vitals", "values", "score", "patients", "readings", "notes"}


def test_every_message_is_told_before_it_leaves_word_for_word(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.start()
        scene.monitor.show(alert())
        await scene.until(lambda: len(scene.monitor.became) == 2)
        (post,) = scene.far.posts(f"/{TOPIC}")
        (what,) = [one for one in scene.monitor.left if one.kind == "notice"]
        assert what.body.decode() == post[3]
        assert {**what.headers, "X-Actions": ""} == {
            **{name: post[2][name] for name in what.headers},
            "X-Actions": "",
        }
        assert (what.destination, what.host, what.process) == ("anna", "localhost", "notify")
        assert what.refs == (alert().id,)
        assert [(one.uuid, one.stage) for one in scene.monitor.became] == [
            (what.uuid, "sent"), (what.uuid, "received"),
        ]  # fmt: skip
        n_asked = sum(one.kind == "question" for one in scene.monitor.left)
        assert n_asked == sum(one[0] == "GET" for one in scene.far.requests)
        told = msgspec.json.encode(scene.monitor.left).decode()
        assert TOPIC not in told
        assert post[2]["X-Actions"].partition('"body":"')[2].partition('"')[0] not in told

    play(tmp_path, body)


def test_what_the_monitor_refuses_is_not_sent_and_not_tried_again(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.monitor.refuses = {"notice", "question"}
        scene.start()
        scene.monitor.show(alert())
        await scene.until(lambda: any("withheld" in one.detail for one in scene.monitor.delivered))
        await asyncio.sleep(0.3)
        assert scene.far.requests == []

    play(tmp_path, body)


def test_with_consent_off_nothing_is_made_and_what_came_meanwhile_is_told_when_it_is_back(
    tmp_path: Path,
) -> None:
    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.monitor.withheld = ("notices",)
        scene.monitor.refuses = {"notice", "question"}
        scene.monitor.show(alert())
        scene.start()
        await scene.until(lambda: scene.monitor.state is not None)
        await asyncio.sleep(0.3)
        assert (scene.far.requests, scene.monitor.delivered) == ([], [])
        scene.monitor.withheld, scene.monitor.refuses = (), set()
        scene.monitor.show(alert())
        await scene.until(lambda: len(scene.titles()) == 1)

    play(tmp_path, body)


def test_that_the_monitor_is_gone_is_sent_and_told_when_it_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "GONE_S", 0.5)

    async def body(scene: Scene) -> None:
        await scene.monitor.server.start()
        scene.start()
        await scene.until(lambda: scene.monitor.state is not None)
        scene.monitor.ticks = False
        await scene.monitor.server.close()
        await scene.until(lambda: len(scene.titles()) == 1)
        n_before = len(scene.monitor.left)
        scene.monitor.ticks = True
        await scene.monitor.server.start()
        await scene.until(lambda: len(scene.titles()) == 2)  # it is back
        await scene.until(lambda: any(one.about == "gone" for one in scene.monitor.left))
        (late,) = [one for one in scene.monitor.left[n_before:] if one.about == "gone"]
        assert late.late
        assert late.body.decode() == scene.far.posts(f"/{TOPIC}")[0][3]
        await scene.until(lambda: not (scene.folder / "notices.untold").exists())

    play(tmp_path, body)


def test_without_consent_nobody_is_told_that_the_monitor_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "GONE_S", 0.2)
    monkeypatch.setattr(notifier_module, "GRACE_S", 0.0)

    async def body(scene: Scene) -> None:
        write_switches(scene.folder, {"notices": False})  # it never hears a monitor
        made = scene.start()
        await scene.until(lambda: made._memory.gone)
        await asyncio.sleep(0.3)
        assert scene.far.requests == []

    play(tmp_path, body)
