"""The sender's socket: what waits is handed out, only a receipt settles, nothing else changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.assemble import assemble, settings_of
from edge.clock import WallEntry, WallLog
from edge.config import Config, Sink, Sync
from edge.config.consent import Consent
from edge.config.settings import Box, Patient
from edge.control import (
    Acknowledge,
    Became,
    ChangeConsent,
    ControlError,
    Forget,
    Leaves,
    Ping,
    Request,
    Status,
)
from edge.control.syncing import (
    SinkState,
    SyncBeat,
    SyncFetch,
    SyncNumbers,
    SyncReject,
    SyncSettle,
    SyncState,
    SyncWait,
)
from edge.daemon.noticeboard import Noticeboard
from edge.daemon.outgoing import Outgoing
from edge.daemon.recorder import Recorder
from edge.daemon.syncdesk import SyncDesk
from edge.daemon.syncstate import NO_SENDER, START_S, SyncPart
from edge.egress.allowed import ALLOWED, Content
from edge.egress.consent import Switch
from edge.egress.departure import Departure
from edge.pseudonyms import Pseudonyms
from edge.records import Alert, AlertState, Kind, Outcome, Priority
from edge.store import DATABASE, History, Run, Wanted
from edge.store.verification import verify
from tests.edge.store.test_store import summary

RUN = Run("run-1", "boot-1", 5.0, "0.1.0", "digest", "model-1")
LATER = Run("run-2", "boot-2", 1.0, "0.1.0", "digest", "model-1")
PATIENT = "zz-patient"


class Nothing(msgspec.Struct, frozen=True):
    """Settings of a sink that is never opened here."""


def sink(name: str = "clinic", *content: str) -> Sink:
    told: Any = content or ("alerts", "summaries", "heartbeats")
    return Sink(sink="folder", name=name, content=told, settings=Nothing())


class Scene:
    """A desk on a real recorder and its store."""

    def __init__(self, folder: Path, run: Run = RUN, *sinks: Sink, **more: Any) -> None:
        self.folder, self.run, self.now_s = folder, run, run.started_s + 95.0
        self.wall = WallLog()
        self.wall.note(self.clock(synchronised=more.pop("synchronised", True)))
        now_s = lambda: self.now_s  # noqa: E731
        self.recorder = Recorder(folder / DATABASE, run, now_s)
        self.outgoing = Outgoing(self.recorder, run, now_s, self.wall, self.recorder.stored)
        self.pseudonyms = Pseudonyms(keep=lambda one: self.recorder.backlog.name(one, self.now_s))
        if (folder / DATABASE).exists():
            with History.open(folder / DATABASE) as history:
                self.pseudonyms.know(history.pseudonyms())
        self.outgoing.gate.pseudonym = self.pseudonyms.of
        box = Box(data_dir=folder, socket=folder / "control.sock")
        patients = (Patient(id=PATIENT),)
        self.config = Config(box=box, patients=patients, sinks=sinks or (sink(),), **more)
        self.outgoing.begin(self.config)
        pipeline = assemble(settings_of(self.config), run.run_id, scorer=None, start_s=5.0)
        board = Noticeboard(pipeline, run, now_s, self.wall, tuple, _nobody)
        self.desk = SyncDesk(
            *(self.config, pipeline, self.recorder, run, now_s, self.wall),
            *(self.outgoing, self.pseudonyms, board),
        )

    def clock(self, *, synchronised: bool) -> WallEntry:
        return WallEntry(self.run.boot_id, self.run.started_s + 45.0, 1.7e9, synchronised)

    async def ask(self, request: Any) -> Any:
        """Ask as the socket does: what comes back is plain JSON."""
        return msgspec.json.decode(msgspec.json.encode(await self.desk.answer(request)))

    async def record(self, *records: Any) -> None:
        self.recorder.add((), Outcome(records), self.now_s)
        assert await self.recorder.stored()

    async def fetch(self, kind: Any = "alert", sink: str = "clinic", **more: Any) -> list[Any]:
        return list((await self.ask(SyncFetch(sink, kind, **more)))["entries"])

    async def board(self, after: int = -1, wait_s: float = 0.0) -> Any:
        return await self.ask(SyncWait(after, wait_s))

    async def send(self, *uuids: str, sink: str = "clinic", **changed: Any) -> None:
        await self.ask(Leaves(self.message(*uuids, sink=sink, **changed)))

    def message(self, *uuids: str, sink: str = "clinic", **changed: Any) -> Departure:
        kind = changed.get("kind", Content.ALERT)
        what = Departure(
            *(str(uuid4()), self.now_s, "sync", sink, "host", kind, ALLOWED[kind].version),
            known_as=" ".join(uuids),
            body=b'{"some": "bytes"}',
        )
        return msgspec.structs.replace(what, **changed)


async def _nobody(_: Acknowledge) -> None:
    raise ControlError("nobody answers from here")


def play(scene: Scene, body: Callable[[Scene], Awaitable[None]]) -> None:
    async def live() -> None:
        loop = asyncio.get_running_loop()
        writing = loop.create_task(scene.recorder.run())
        looking = loop.create_task(scene.desk.run())
        acting = asyncio.ensure_future(_ready(scene, body))
        try:
            await asyncio.wait({writing, acting, looking}, return_when=asyncio.FIRST_COMPLETED)
            for task in (writing, looking):
                if task.done():
                    task.result()
            await acting
        finally:
            for task in (writing, looking, acting):
                task.cancel()
            await asyncio.gather(writing, looking, acting, return_exceptions=True)
            assert await scene.recorder.close()
        verdict = verify(scene.folder / DATABASE)
        assert verdict.whole, verdict.flaws

    asyncio.run(live())


async def _ready(scene: Scene, body: Callable[[Scene], Awaitable[None]]) -> None:
    async with asyncio.timeout(60.0):
        while not scene.desk.box() or scene.desk.oldest_s() == (False, None):
            await asyncio.sleep(0.01)
            if not any("alerts" in one.content for one in scene.config.sinks):
                break
        await body(scene)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(20.0):
        while not (found := await condition()):  # noqa: ASYNC110  # of another task
            await asyncio.sleep(0.02)
        return found


def alert(n: int, **changed: Any) -> Alert:
    one = Alert(
        *(f"alert-{n}", PATIENT, f"{PATIENT}/low/{n}", "low_spo2", Kind.PHYSIOLOGICAL),
        *(Priority.LOW, AlertState.RAISED, 60.0 + n, 60.0 + n),
        *(f"SpO2 of {PATIENT} is 84 %", {"spo2_pct": 84.0, "ecg_mv": 31.4}),
    )
    return msgspec.structs.replace(one, **changed)


def test_what_was_settled_is_never_handed_out_again(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1), alert(2), summary(60.0))
        first, second = await scene.fetch()
        assert first["alert"]["id"] == "alert-1"
        assert first["seq"] < second["seq"]
        (period,) = await scene.fetch("summary")
        assert period["summary"]["start_utc"] is not None
        await scene.send(first["uuid"], second["uuid"])
        marked = await scene.ask(SyncSettle("clinic", (first["uuid"],)))
        assert marked == {"n": 1, "n_unknown": 0}
        assert await scene.fetch() == [second]

        async def drained() -> Any:
            (queue,) = (await scene.board())["queues"]
            return queue if queue.get("n_alerts", 0) == 1 else None

        assert (await until(drained))["n_summaries"] == 1
        with History.open(tmp_path / DATABASE) as history:
            (row,) = [r for r in history.ledger_of("alert-1") if r.kind == "delivery"]
            assert (row.stage, row.by) == ("received", "clinic")
            (sent,) = history.sent()
            assert (sent.process, sent.known_as) == ("sync", f"{first['uuid']} {second['uuid']}")

    play(Scene(tmp_path), body)


def test_nothing_of_who_it_is_is_handed_out_and_no_number_but_vital_signs(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1), msgspec.structs.replace(summary(60.0), patient=PATIENT))
        told = msgspec.json.encode([await scene.fetch(), await scene.fetch("summary")]).decode()
        assert PATIENT not in told
        assert "31.4" not in told
        assert told.count(scene.pseudonyms.of(PATIENT)) == 3  # patient, reason, patient
        assert (await scene.board())["box"].startswith("box-")

    play(Scene(tmp_path), body)


def test_a_restart_in_the_midst_hands_out_the_same_to_the_letter(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    async def before(scene: Scene) -> None:
        await scene.record(alert(1), alert(2))
        seen["all"], seen["box"] = await scene.fetch(), (await scene.board())["box"]
        await scene.send(*(one["uuid"] for one in seen["all"]))

    async def after(scene: Scene) -> None:
        assert await scene.fetch() == seen["all"]
        assert (await scene.board())["box"] == seen["box"]
        await scene.ask(SyncSettle("clinic", tuple(one["uuid"] for one in seen["all"])))
        assert await scene.fetch() == []

    play(Scene(tmp_path), before)
    play(Scene(tmp_path, LATER), after)


def test_an_entry_in_hand_says_the_same_and_one_without_a_date_a_better_one(
    tmp_path: Path,
) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1))
        (first,) = await scene.fetch()
        assert first["alert"]["time_quality"] == "unsynced"
        scene.wall.note(WallEntry("boot-1", 99.0, 1.7e9 + 1000.0, synchronised=True))
        scene.desk.look()
        (better,) = await scene.fetch()
        assert better["alert"]["time_quality"] == "holdover"
        scene.wall.note(WallEntry("boot-1", 62.0, 1.7e9 + 963.5, synchronised=True))
        assert await scene.fetch() == [better]

    play(Scene(tmp_path, RUN, synchronised=False), body)


def test_each_of_two_destinations_has_a_line_of_its_own(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1), summary(60.0))
        (one,) = await scene.fetch()
        await scene.send(one["uuid"])
        await scene.ask(SyncSettle("clinic", (one["uuid"],)))
        assert await scene.fetch() == []
        assert await scene.fetch(sink="stick") == [one]
        assert await scene.fetch("summary", "stick") == []
        for kind in (Content.SUMMARY, Content.NUMBERS, Content.NOTICE, Content.PING):
            with pytest.raises(ControlError, match="gets no"):
                await scene.send(one["uuid"], sink="stick", kind=kind)
        with pytest.raises(ControlError, match="no \\[\\[sinks\\]\\] named 'other'"):
            await scene.fetch(sink="other")

    play(Scene(tmp_path, RUN, sink(), sink("stick", "alerts")), body)


def test_what_never_left_is_not_settled_and_what_is_refused_is_set_aside(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1), alert(2))
        first, second = await scene.fetch()
        forged = (first["uuid"], "made-up", "x" * 64)
        assert (await scene.ask(SyncSettle("clinic", forged)))["n_unknown"] == 3
        assert len(await scene.fetch()) == 2
        await scene.ask(SyncReject("clinic", first["uuid"], "422 unknown code"))
        assert await scene.fetch() == [second]

        async def shown() -> Any:
            (one,) = scene.desk.report().sinks
            return one if one.n_rejected else None

        assert (await until(shown)).rejected == "422 unknown code"

    play(Scene(tmp_path), body)


def test_without_consent_nothing_is_handed_out_and_what_waited_never_is(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1))
        (one,) = await scene.fetch()
        change = (await scene.board())["change"]
        await scene.outgoing.answer(ChangeConsent(Switch.ALERTS, False, "Ann", "private"))
        assert await scene.fetch() == []
        board = await scene.board(change, 10.0)
        assert "alerts" in board["withheld"]
        with pytest.raises(ControlError, match="consent to alerts is off"):
            await scene.send(one["uuid"])
        await scene.record(alert(2))
        await scene.outgoing.answer(ChangeConsent(Switch.ALERTS, True, "Ann", "again"))
        assert await scene.fetch() == []
        await scene.record(alert(3))
        assert [e["alert"]["id"] for e in await scene.fetch()] == ["alert-3"]

    play(Scene(tmp_path), body)


def test_who_waits_is_woken_by_an_alert_and_by_the_clock(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        board = await scene.board()
        waiting = asyncio.ensure_future(scene.board(board["change"], 30.0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await scene.record(alert(1, priority=Priority.HIGH))
        board = await waiting
        assert board["queues"][0]["n_urgent"] == 1
        assert board["queues"][0]["oldest_s"] == 61.0
        scene.wall.note(WallEntry("boot-1", 98.0, 1.7e9, synchronised=True))
        waiting = asyncio.ensure_future(scene.board(board["change"], 30.0))
        await asyncio.sleep(0.05)
        scene.desk.look()
        assert (await waiting)["time_quality"] == "synced"

    play(Scene(tmp_path, RUN, synchronised=False), body)


def test_heartbeats_and_numbers_leave_with_consent_alone(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        beat = await scene.ask(SyncBeat())
        assert (beat["n_patients"], beat["model_id"]) == (1, "model-1")
        (one,) = await scene.ask(SyncNumbers())
        assert one["patient"] == scene.pseudonyms.of(PATIENT)
        assert one["watching"] is False
        await scene.send(sink="home", kind=Content.NUMBERS)
        for switch in (Switch.HEARTBEATS, Switch.NUMBERS):
            await scene.outgoing.answer(ChangeConsent(switch, False, "Ann", "private"))
        for request in (SyncBeat(), SyncNumbers()):
            with pytest.raises(ControlError, match="withheld: consent to"):
                await scene.ask(request)

    allowed = Consent(heartbeats=True, numbers=True)
    play(Scene(tmp_path, RUN, sink(), sink("home", "numbers"), consent=allowed), body)


def test_what_is_forgotten_is_asked_of_who_has_it(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1))
        (one,) = await scene.fetch()
        await scene.send(one["uuid"])
        wanted = Wanted(patient=PATIENT)
        await scene.recorder.forget(wanted, "Ann", (), None, dry_run=False)
        (erase,) = await scene.fetch("erase")
        assert erase["erase"]["uuids"] == [one["uuid"]]
        assert erase["erase"]["asked_utc"] is not None
        await scene.send(erase["uuid"], kind=Content.ERASE)
        await scene.ask(SyncSettle("clinic", (erase["uuid"],)))
        assert await scene.fetch("erase") == []
        assert await scene.fetch() == []

    play(Scene(tmp_path), body)


def test_a_destination_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    async def before(scene: Scene) -> None:
        await scene.record(alert(1))
        (one,) = await scene.fetch()
        await scene.send(one["uuid"])
        await scene.recorder.forget(Wanted(), "Ann", (), None, dry_run=False)
        assert await scene.fetch("erase")

    async def after(scene: Scene) -> None:
        async def shown() -> Any:
            return scene.desk.report().impossible

        assert await until(shown) == {"clinic": 1}

    play(Scene(tmp_path), before)
    play(Scene(tmp_path, LATER, sink("other")), after)


def test_how_long_alerts_wait_is_known_to_the_box(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        part = SyncPart(scene.desk.oldest_s)
        assert part(100.0).facts == {"unsent_s": 0.0}
        await scene.record(alert(1))

        async def known() -> Any:
            return part(100.0).since_s

        assert await until(known) == {"unsent_s": 61.0}

    play(Scene(tmp_path), body)


def test_where_only_numbers_leave_nothing_is_known_of_waiting(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1))
        await asyncio.sleep(0.1)
        assert SyncPart(scene.desk.oldest_s)(100.0).facts == {}

    play(Scene(tmp_path, RUN, sink("home", "numbers")), body)


def test_a_sender_that_does_not_run_is_told_with_its_command(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        scene.now_s = RUN.started_s + START_S - 1.0
        assert scene.desk.report().trouble == ""
        scene.now_s = RUN.started_s + START_S + 1.0
        assert scene.desk.report().trouble == NO_SENDER
        state = SinkState("clinic", "folder", False, 60.0, "no such folder", n_bytes_today=7)
        await scene.ask(SyncState(1, (state, SinkState("no-such", "folder", True, 1.0))))
        report = scene.desk.report()
        assert report.trouble == ""
        assert [(s.name, s.works, s.trouble) for s in report.sinks] == [
            ("clinic", False, "no such folder")
        ]
        scene.now_s += 60.0
        assert scene.desk.report().trouble == NO_SENDER

    play(Scene(tmp_path), body)


def test_blurred_summaries_stay_the_same(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(summary(60.0))
        (one,) = await scene.fetch("summary")
        assert await scene.fetch("summary") == [one]
        assert one["summary"]["n_beats"] != 61 or one["summary"]["n_gaps"] != 1

    play(Scene(tmp_path, RUN, sync=Sync(epsilon_per_day=0.5)), body)


def test_the_socket_answers_nothing_else(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        assert (await scene.ask(Ping()))["run_id"] == "run-1"
        for request in (
            Status(),
            Acknowledge("alert-1", "Ann"),
            ChangeConsent(Switch.ALERTS, False, "x", "y"),
            Forget("x"),
        ):
            with pytest.raises(ControlError, match="no more"):
                await scene.ask(request)
        await scene.record(alert(1))
        (one,) = await scene.fetch()
        with pytest.raises(ControlError, match="not told before"):
            await scene.send(one["uuid"], late=True)
        with pytest.raises(ControlError, match="no message"):
            await scene.ask(Became("made-up", "received", 1.0))

    play(Scene(tmp_path), body)


TEXT = st.text(max_size=20)
REQUESTS = st.one_of(
    st.from_type(SyncFetch),
    st.from_type(SyncSettle),
    st.from_type(SyncReject),
    st.from_type(SyncState),
    st.builds(SyncWait, after=st.integers(), wait_s=st.just(0.0)),
    st.builds(SyncSettle, st.just("clinic"), st.lists(TEXT, max_size=4).map(tuple)),
    st.builds(SyncReject, st.just("clinic"), TEXT, TEXT),
    st.builds(
        SyncFetch,
        st.just("clinic"),
        st.sampled_from(["alert", "summary", "erase"]),
        st.integers(0, 2**70),
        st.lists(TEXT, max_size=3).map(tuple),
        st.integers(1, 64),
    ),
)
_DECODER = msgspec.json.Decoder(Request)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(REQUESTS, max_size=12))
def test_no_request_loses_or_settles_what_waits(
    tmp_path_factory: pytest.TempPathFactory, asked: list[Any]
) -> None:
    async def body(scene: Scene) -> None:
        await scene.record(alert(1), summary(60.0))
        for request in asked:
            try:
                known = _DECODER.decode(msgspec.json.encode(request))
            except (msgspec.DecodeError, UnicodeError):
                continue
            try:
                await scene.ask(known)
            except ControlError:
                continue
        assert len(await scene.fetch()) == len(await scene.fetch("summary")) == 1

    play(Scene(tmp_path_factory.mktemp("fuzz")), body)
