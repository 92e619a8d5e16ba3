"""The gate: what is not on the list or not let leave is refused; the disk holds nothing up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.clock import WallEntry, WallLog
from edge.config import Config
from edge.config.consent import Consent, read_switches, write_switches
from edge.config.settings import Box
from edge.control import Became, ChangeConsent, ControlError, ForgetSent, Leaves
from edge.daemon.gate import TOGETHER_S
from edge.daemon.handing import hand_out
from edge.daemon.outgoing import Outgoing
from edge.daemon.recorder import Recorder
from edge.egress.alert import AlertOut
from edge.egress.allowed import ALLOWED, Content
from edge.egress.consent import Switch
from edge.egress.departure import Departure
from edge.egress.summary import SummaryOut
from edge.records import Alert, AlertState, Kind, Outcome, Priority
from edge.store import DATABASE, History, Run
from edge.store.backlog import MAX_EGRESS
from edge.store.verification import verify
from tests.edge.store.test_store import summary

RUN = Run("run-1", "boot-1", 5.0, "0.1.0", "digest")


def message(n: int = 1, **changed: Any) -> Departure:
    what = Departure(
        *(f"uuid-{n}", 90.0, "notify", "anna", "ntfy.sh", Content.NOTICE, 1, "alarm", f"hw{n}"),
        headers={"X-Title": "HIGH alarm"},
        body=b"p1 at bedroom",
    )
    return msgspec.structs.replace(what, **changed)


def ping(n: int, at_s: float) -> Departure:
    nothing: dict[str, Any] = {"headers": {}, "body": b"", "known_as": ""}
    return message(n, kind=Content.PING, about="ping", at_s=at_s, **nothing)


class Scene:
    """A gate on a real recorder and its store."""

    def __init__(self, folder: Path, consent: Consent | None = None) -> None:
        self.folder, self.now_s = folder, 100.0
        self.wall = WallLog()
        self.wall.note(WallEntry("boot-1", 50.0, 1.7e9, synchronised=True))
        self.recorder = Recorder(folder / DATABASE, RUN, lambda: self.now_s)
        stored = self.recorder.stored
        self.outgoing = Outgoing(self.recorder, RUN, lambda: self.now_s, self.wall, stored)
        self.gate = self.outgoing.gate
        box = Box(data_dir=folder, socket=folder / "control.sock")
        self.outgoing.begin(Config(box=box, consent=consent or Consent()))

    async def ask(self, request: Any) -> Any:
        return await self.outgoing.answer(request)

    async def stored(self) -> None:
        assert await self.recorder.stored()

    def history(self) -> History:
        return History.open(self.folder / DATABASE)


def play(
    folder: Path, body: Callable[[Scene], Awaitable[None]], consent: Consent | None = None
) -> None:
    async def live() -> None:
        scene = Scene(folder, consent)
        writing = asyncio.get_running_loop().create_task(scene.recorder.run())
        acting = asyncio.ensure_future(body(scene))
        await asyncio.wait({writing, acting}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if writing.done():  # it goes on until it is cancelled
                acting.cancel()
                writing.result()
            await acting
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            assert await scene.recorder.close()
        verdict = verify(folder / DATABASE)
        assert verdict.whole, verdict.flaws

    asyncio.run(live())


def test_what_leaves_is_written_with_its_wall_time_and_what_became_of_it(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        assert await scene.ask(Leaves(message())) == {}
        assert await scene.ask(Leaves(message())) == {}  # the same again
        await scene.ask(Became("uuid-1", "sent", 91.0))
        await scene.ask(Became("uuid-1", "received", 92.0, "held by the server"))
        await scene.stored()
        with pytest.raises(ControlError, match="no message uuid-9 has left"):
            await scene.ask(Became("uuid-9", "sent", 91.0))
        with pytest.raises(ControlError, match="cannot be"):
            await scene.ask(Became("uuid-1", "sent", 500.0))
        await scene.stored()
        with scene.history() as history:
            (sent,) = history.sent()
            assert (sent.body, sent.wall_s, sent.quality) == (
                b"p1 at bedroom",
                1.7e9 + 40,
                "synced",
            )
            assert [r.stage for r in history.became(["uuid-1"])["uuid-1"]] == ["sent", "received"]

    play(tmp_path, body)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"kind": Content.BOARD}, "not on the list"),
        ({"version": 9}, "not on the list"),
        ({"at_s": 300.0}, "cannot have left yet"),
    ],
)
def test_what_is_not_on_the_list_is_refused(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    async def body(scene: Scene) -> None:
        with pytest.raises(ControlError, match=why):
            await scene.ask(Leaves(message(**changed)))
        assert scene.gate.n_refused == 1
        await scene.stored()
        with scene.history() as history:
            assert history.sent() == []

    play(tmp_path, body)


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        (Switch.NOTICES, Content.NOTICE),
        (Switch.NOTICES, Content.QUESTION),
        (Switch.PINGS, Content.PING),
        (Switch.SELF_TESTS, Content.SELF_TEST),
        (Switch.ALERTS, Content.ALERT),
        (Switch.SUMMARIES, Content.SUMMARY),
        (Switch.HEARTBEATS, Content.HEARTBEAT),
    ],
)
def test_what_is_switched_off_is_refused_at_once_and_over_a_restart(
    tmp_path: Path, switch: Switch, kind: Content
) -> None:
    what = message(kind=kind, version=ALLOWED[kind].version)

    async def switched(scene: Scene) -> None:
        await scene.ask(ChangeConsent(switch, True, "Anna", "to begin with"))
        await scene.ask(Leaves(what))
        answer = await scene.ask(ChangeConsent(switch, False, "Anna", "no more"))
        assert (answer["was"], answer["on"], answer["stored"]) == (True, False, True)
        assert answer["warnings"]
        with pytest.raises(ControlError, match=f"^withheld: consent to {switch.value} is off"):
            await scene.ask(Leaves(msgspec.structs.replace(what, uuid="uuid-2")))
        with scene.history() as history:
            rows = history.consents()
            assert [(r.ref, r.stage, r.by) for r in rows] == [
                (f"consent:{switch.value}", "on", "Anna"),
                (f"consent:{switch.value}", "off", "Anna"),
            ]
            assert rows[1].body == {"why": "no more", "was": True}

    async def again(scene: Scene) -> None:
        with pytest.raises(ControlError, match="withheld"):
            await scene.ask(Leaves(msgspec.structs.replace(what, uuid="uuid-3")))
        assert scene.outgoing.consent.report().n_withheld == {switch.value: 1}

    play(tmp_path, switched)
    play(tmp_path, again)
    assert "Anna" not in (tmp_path / "consent.json").read_text()


def test_a_request_to_delete_needs_no_consent(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        for switch in Switch:
            await scene.ask(ChangeConsent(switch, False, "Anna", "all off"))
        await scene.ask(Leaves(message(kind=Content.ERASE, about="")))

    play(tmp_path, body)


def test_a_value_a_sender_still_holds_does_not_leave_without_consent_to_details(
    tmp_path: Path,
) -> None:
    alert = Alert(
        *("a1", "p1", "e", "very_low_spo2", Kind.PHYSIOLOGICAL, Priority.HIGH, AlertState.RAISED),
        *(1.0, 1.0, "SpO2 of p1 is 80 %", {}),
    )

    async def body(scene: Scene) -> None:
        scene.gate.alerts, scene.gate.noticed_as = (lambda: [alert]), lambda _: "hw-1"
        told = b"hw-1 at bedroom. SpO2 of hw-1 is 80 %"
        await scene.ask(Leaves(message(1, body=told)))
        await scene.ask(ChangeConsent(Switch.NOTICE_DETAILS, False, "Anna", "private"))
        with pytest.raises(ControlError, match="consent to notice_details is off"):
            await scene.ask(Leaves(message(2, body=told)))
        await scene.ask(Leaves(message(3)))

    play(tmp_path, body)


def test_what_has_left_already_is_written_down_whatever_may_leave_now(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.ask(ChangeConsent(Switch.NOTICES, False, "Anna", "no more"))
        late = {"late": True, "about": "gone"}
        await scene.ask(Leaves(message(1, boot_id="boot-1", **late)))
        await scene.ask(Leaves(message(2, boot_id="boot-0", at_s=9e5, **late)))
        await scene.stored()
        with scene.history() as history:
            assert [(s.at_s, s.late) for s in history.sent()] == [(90.0, True), (100.0, True)]

    play(tmp_path, body)


def test_messages_that_say_nothing_are_one_row_for_ten_minutes(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        scene.now_s = 5_000.0
        for n in range(25):
            await scene.ask(Leaves(ping(n, 1000.0 + 60.0 * n)))
            await scene.ask(Became(f"uuid-{n}", "failed" if n == 3 else "sent", 1001.0 + 60.0 * n))
        scene.gate.close()
        await scene.stored()
        with scene.history() as history:
            rows = history.sent()
            assert [(r.times, r.at_s) for r in rows] == [(10, 1000.0), (10, 1600.0), (5, 2200.0)]
            assert rows[0].until_s == 1000.0 + TOGETHER_S - 60.0
            became = history.became([rows[0].uuid])[rows[0].uuid]
            assert [(r.stage, r.body) for r in became] == [("sent", {"n": 9}), ("failed", {"n": 1})]

    play(tmp_path, body)


def test_numbers_of_now_are_one_row_for_ten_minutes_with_the_first_of_them(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        for n in range(60):
            at_s = scene.now_s = 100.0 + 10.0 * n
            more: dict[str, Any] = {"kind": Content.NUMBERS, "about": "", "at_s": at_s}
            await scene.ask(Leaves(message(n, body=b"now %d" % n, **more)))
            await scene.ask(Became(f"uuid-{n}", "sent", at_s))
        scene.gate.close()
        await scene.stored()
        with scene.history() as history:
            (sent,) = history.sent()
            assert (sent.times, sent.body, sent.until_s) == (60, b"now 0", 690.0)
            assert [row.body for row in history.became([sent.uuid])[sent.uuid]] == [{"n": 60}]

    play(tmp_path, body, Consent(numbers=True))


def test_a_disk_that_takes_nothing_lets_alarms_leave_and_nothing_else(tmp_path: Path) -> None:
    async def live() -> None:
        scene = Scene(tmp_path)  # nobody writes: as a disk that hangs
        for n in range(MAX_EGRESS - 500):
            await scene.ask(Leaves(message(n, about="over")))
        with pytest.raises(ControlError, match="the disk does not take what left"):
            await scene.ask(Leaves(message(9999, about="over")))
        await scene.ask(Leaves(message(10_000, about="alarm")))
        assert await scene.recorder.close()

    asyncio.run(live())


def test_what_waits_in_the_outbox_is_withdrawn_for_good(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        alert = Alert(
            *("a1", "p1", "e", "low_hr", Kind.PHYSIOLOGICAL, Priority.HIGH, AlertState.RAISED),
            *(1.0, 1.0, "low", {}),
        )
        scene.recorder.add((), Outcome((alert, summary(60.0))), 100.0)
        await scene.stored()
        with scene.history() as history:
            assert history.outbox_count() == 2
        await scene.ask(ChangeConsent(Switch.ALERTS, False, "Anna", "no more"))
        scene.recorder.add((), Outcome((msgspec.structs.replace(alert, id="a2"),)), 100.0)
        await scene.stored()
        await scene.ask(ChangeConsent(Switch.ALERTS, True, "Anna", "again"))
        with scene.history() as history:
            assert [type(w.content).__name__ for w in history.outbox()] == ["StoredSummary"]
            assert history.withheld() == {"alerts": 2, "summaries": 0}

    play(tmp_path, body)


def test_forgetting_while_it_runs(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.ask(Leaves(message()))
        await scene.stored()
        assert await scene.ask(ForgetSent(1, 5, "Anna")) == {"n": 1, "n_to_ask": 1}
        with pytest.raises(ControlError, match="say which and who"):
            await scene.ask(ForgetSent(5, 1, "Anna"))
        with scene.history() as history:
            assert history.sent()[0].erased

    play(tmp_path, body)


def test_switches_that_are_lost_let_nothing_leave_that_was_measured(tmp_path: Path) -> None:
    write_switches(tmp_path, {"notices": True})
    path = tmp_path / "consent.json"
    path.write_text(path.read_text().replace("true", "false"))

    async def body(scene: Scene) -> None:
        report = scene.outgoing.consent.report()
        assert "not as it was written" in report.trouble
        on = {name for name, one in report.switches.items() if one}
        assert on == {"notices", "self_tests"}  # as the settings have it, and no details
        await scene.ask(ChangeConsent(Switch.SUMMARIES, True, "Anna", "mended"))
        assert scene.outgoing.consent.report().trouble == ""
        assert read_switches(tmp_path)["alerts"] is False

    play(tmp_path, body, Consent(pings=False))


def test_switched_off_counts_at_once_where_the_disk_will_not_have_it(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        folder = tmp_path / "consent.json"
        folder.mkdir()  # nothing can be put in its place
        (folder / "x").touch()
        with pytest.raises(ControlError, match="notices is off, until the next start"):
            await scene.ask(ChangeConsent(Switch.NOTICES, False, "Anna", "no more"))
        assert not scene.gate.allows(Switch.NOTICES)
        with pytest.raises(ControlError, match="cannot be written"):
            await scene.ask(ChangeConsent(Switch.NOTICES, True, "Anna", "again"))
        assert not scene.gate.allows(Switch.NOTICES)

    play(tmp_path, body)


def test_a_sender_is_handed_structs_of_the_list_and_only_what_may_leave(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        scene.gate.pseudonym = lambda patient: f"hw-{len(patient)}"
        alert = Alert(
            *("a1", "mary", "e", "low_hr", Kind.PHYSIOLOGICAL, Priority.HIGH, AlertState.RAISED),
            *(60.0, 61.0, "mary: 31 a minute", {"hr_bpm": 31.0, "ecg_mv": 31.41592}),
            answered_by="Carol",
        )
        scene.recorder.add((), Outcome((alert, summary(60.0))), 100.0)
        await scene.stored()
        with scene.history() as history:
            waiting = history.outbox()
        told = [hand_out(one, scene.gate, scene.wall, "box-1") for one in waiting]
        (first, second) = sorted(told, key=lambda one: type(one).__name__)
        assert isinstance(first, AlertOut)
        assert isinstance(second, SummaryOut)
        assert (first.patient, first.box, first.reason) == ("hw-4", "box-1", "hw-4: 31 a minute")
        assert (first.values.hr_bpm, first.time_quality) == (31.0, "synced")
        assert {one.uuid for one in (first, second)} == {one.uuid for one in waiting}
        text = msgspec.json.encode(told).decode()
        for secret in ("mary", "Carol", "31.41592"):
            assert secret not in text
        await scene.ask(ChangeConsent(Switch.ALERTS, False, "Anna", "no more"))
        left = [hand_out(one, scene.gate, scene.wall) for one in waiting]
        assert sorted(type(one).__name__ for one in left) == ["NoneType", "SummaryOut"]

    play(tmp_path, body)
