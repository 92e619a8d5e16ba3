"""One destination served: exactly once as far as can be, whatever the channel does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.config import Notice
from edge.egress.messages import NoticeOut, TestOut
from edge.notices import sender as sender_module
from edge.notices.channels import Letter, SendError, Sent
from edge.notices.channels.ntfy import CHANNEL, Settings
from edge.notices.content import Item
from edge.notices.memory import Memory, MemoryFile
from edge.notices.sender import Sender
from edge.records import Priority
from edge.secret import Secret
from tests.edge.notices.far_away import TOPIC, Far, serving
from tests.edge.notices.untold import alone, nobody

WAY = Notice(channel="ntfy", name="anna", url_file="x", settings=Settings(), n_burst=2)


def item(number: int, priority: Priority = Priority.HIGH) -> Item:
    return Item(f"hw{number}", "alarm", (f"a{number}",), priority, f"alarm {number}", "text")


class Desk:
    """A sender on a real ntfy, with its memory; `again` is the sender of the next start."""

    def __init__(self, folder: Path, far: Far, settings: Settings | None = None) -> None:
        self.far, self.folder, self.settings = far, folder, settings or Settings()
        self.memory, self.file = Memory(), MemoryFile(folder)
        self.acknowledged: list[str] = []
        self.sender = self._made()

    def _made(self) -> Sender:
        secret = Secret((f"{self.far.url}/{TOPIC}",))
        opened, buttons = CHANNEL.open(self.settings, secret), CHANNEL.buttons(self.settings)
        now_s = asyncio.get_running_loop().time
        made = Sender(
            WAY, opened, buttons, self.memory, self.file, now_s, alone(self.folder),
            chance=lambda: 0.0, scrub=secret.scrub,
        )  # fmt: skip
        made.answered = self.acknowledged.append
        return made

    async def again(self) -> None:
        """Begin again with what the disk holds."""
        await self.file.settled()
        self.file = MemoryFile(self.folder)
        kept = self.file.read()
        assert kept is not None
        self.memory = kept
        self.sender = self._made()

    async def until(self, done: Callable[[], Any], limit_s: float = 8.0) -> None:
        task = asyncio.get_running_loop().create_task(self.sender.run())
        try:
            async with asyncio.timeout(limit_s):
                while not done():
                    assert not task.done()
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def stages(self, alert_id: str) -> list[tuple[str, str]]:
        return [(r.stage, r.detail) for r in self.memory.reports if r.alert_id == alert_id]


class Plain:
    """A channel to nowhere."""

    host = "nowhere"
    asking = staticmethod(nobody)

    def letter(self, notice: NoticeOut | TestOut) -> Letter:
        return Letter(notice, {}, {}, notice.text.encode())

    async def holds(self, notice: NoticeOut | TestOut) -> bool | None:
        del notice
        return None

    async def replies(self) -> tuple[str, ...] | None:
        return None


def run(body: Callable[[Desk], Any], folder: Path, settings: Settings | None = None) -> None:
    async def live(far: Far) -> None:
        await body(Desk(folder, far, settings))

    with serving(Far()) as far:
        asyncio.run(live(far))


def test_what_is_put_is_sent_and_each_stage_reported(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.sender.put(item(1))
        await desk.until(lambda: len(desk.stages("a1")) == 3)
        assert desk.stages("a1") == [
            ("queued", "alarm"), ("sent", ""), ("received", "held by the server"),
        ]  # fmt: skip
        assert {r.by for r in desk.memory.reports} == {"ntfy:anna"}
        state = desk.sender.state()
        assert (state.works, state.n_waiting, state.reason) == (True, 0, "")

    run(body, tmp_path)


def test_a_reply_that_was_lost_does_not_tell_anybody_twice(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.far.fault = {"lose": True}
        desk.sender.put(item(1))
        await desk.until(lambda: ("sent", "") in desk.stages("a1"))
        assert len(desk.far.topic(TOPIC)) == 1
        assert desk.stages("a1")[-1] == ("received", "held by the server")

    run(body, tmp_path)


def test_killed_between_the_sending_and_the_answer_nobody_is_told_twice(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.far.fault = {"lose": True}
        desk.sender.put(item(1))
        await desk.until(lambda: desk.far.topic(TOPIC))
        desk.far.fault = {}
        await desk.again()
        await desk.until(lambda: ("sent", "") in desk.stages("a1"))
        assert len(desk.far.topic(TOPIC)) == 1

    run(body, tmp_path)


def test_what_waited_at_the_end_is_sent_at_the_next_start(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.far.fault = {"status": 503}
        for number in range(3):
            desk.sender.put(item(number))
        await desk.until(lambda: not desk.sender.state().works)
        assert desk.far.topic(TOPIC) == []
        desk.far.fault = {}
        await desk.again()
        await desk.until(lambda: len(desk.far.topic(TOPIC)) == 3)
        await desk.again()
        await asyncio.sleep(0.2)
        assert len(desk.far.topic(TOPIC)) == 3

    run(body, tmp_path)


def test_a_failure_is_reported_once_with_its_reason_and_no_address(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.far.fault = {"status": 500}
        desk.sender.put(item(1))
        await desk.until(lambda: len(desk.far.posts(f"/{TOPIC}")) >= 2)
        failed = [detail for stage, detail in desk.stages("a1") if stage == "failed"]
        assert failed == ["ntfy answered 500: it will be tried again"]
        state = desk.sender.state()
        assert (state.works, state.n_waiting) == (False, 1)
        assert TOPIC not in msgspec.json.encode([state, desk.memory.reports]).decode()

    run(body, tmp_path)


def test_a_storm_is_one_notice_and_each_of_its_alerts_is_reported(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        for number in range(9):
            desk.sender.put(item(number, Priority.MEDIUM))
        await desk.until(lambda: len(desk.far.topic(TOPIC)) == 2)
        titles = [message["title"] for message in desk.far.topic(TOPIC)]
        assert titles == ["alarm 0", "8 more alarms"]
        await desk.until(lambda: ("sent", "") in desk.stages("a8"))
        assert all(("sent", "") in desk.stages(f"a{number}") for number in range(9))

    run(body, tmp_path)


def test_a_word_from_the_phone_counts_once_and_one_made_up_never(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sender_module, "REPLY_S", 0.1)

    async def body(desk: Desk) -> None:
        desk.sender.put(item(1))
        await desk.until(lambda: desk.far.topic(TOPIC))
        seen, coming = desk.far.topic(TOPIC)[0]["actions"]
        topic = seen["url"].rpartition("/")[2]
        assert min(len(seen["body"]), len(coming["body"])) >= 22  # 128 bits
        for word in ("made-up", "", seen["body"][:-1], seen["body"], seen["body"]):
            desk.far.publish(topic, word, {})
        seen_once = ("received", "seen on the phone")
        await desk.until(lambda: seen_once in desk.stages("a1"))
        await asyncio.sleep(0.3)
        assert desk.stages("a1").count(seen_once) == 1
        assert desk.acknowledged == []
        desk.far.publish(topic, coming["body"], {})
        await desk.until(lambda: desk.acknowledged == ["a1"])
        assert ("received", "acknowledged on the phone") in desk.stages("a1")

    run(body, tmp_path, Settings(answers=True))


def test_by_default_nothing_that_comes_back_acknowledges(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.sender.put(item(1))
        await desk.until(lambda: desk.far.topic(TOPIC))
        assert [action["label"] for action in desk.far.topic(TOPIC)[0]["actions"]] == ["Seen"]
        assert not any(token.acknowledge for token in desk.memory.tokens.values())

    run(body, tmp_path)


def test_an_alarm_does_not_wait_for_a_question_that_hangs(tmp_path: Path) -> None:
    class Hangs(Plain):
        sent: list[str]

        def __init__(self) -> None:
            self.sent = []

        async def send(self, letter: Letter) -> Sent:
            self.sent.append(letter.notice.id)
            return Sent()

        async def replies(self) -> tuple[str, ...] | None:
            await asyncio.sleep(3600.0)
            return None

    async def body(desk: Desk) -> None:
        hangs = Hangs()
        desk.sender._opened = hangs
        task = asyncio.get_running_loop().create_task(desk.sender.run())
        await asyncio.sleep(0.1)
        desk.sender.put(item(1))
        await asyncio.sleep(0.3)
        assert hangs.sent == ["hw1"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body, tmp_path)


def test_a_channel_with_a_fault_of_its_own_is_tried_again(tmp_path: Path) -> None:
    class Broken(Plain):
        n_calls = 0

        async def send(self, letter: Letter) -> Sent:
            del letter
            self.n_calls += 1
            if self.n_calls == 1:
                raise ZeroDivisionError
            if self.n_calls == 2:
                raise SendError("not now")
            return Sent()

    async def body(desk: Desk) -> None:
        desk.sender._opened = Broken()
        desk.sender.put(item(1))
        await desk.until(lambda: ("sent", "") in desk.stages("a1"))
        failed = [detail for stage, detail in desk.stages("a1") if stage == "failed"]
        assert failed == ["ZeroDivisionError in its channel", "not now"]

    run(body, tmp_path)


def test_a_disk_that_takes_nothing_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        desk.file.path = tmp_path / "no such folder" / "notices.json"
        desk.sender.put(item(1))
        await desk.until(lambda: desk.far.topic(TOPIC))
        assert "cannot be kept" in desk.file.trouble

    run(body, tmp_path)


def test_what_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path)
    assert file.read() is None
    for content in (b"", b"{", b'{"told": 3}', b"\xff"):
        file.path.write_bytes(content)
        assert MemoryFile(tmp_path).read() is None
        assert file.path.with_suffix(".damaged").read_bytes() == content
        assert not file.path.exists()


def test_what_waits_is_let_go_where_people_let_it_leave_no_more(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        plain = msgspec.structs.replace(item(1), text="p1. SpO2 80 %", plain="p1.")
        desk.sender.put(plain)
        desk.sender.put(item(2))
        desk.sender.withhold(("notice_details",))
        assert [one.text for one in desk.memory.waiting["anna"]] == ["p1.", "text"]
        desk.sender.withhold(("notices",))
        assert desk.memory.waiting["anna"] == []
        assert ("failed", "withheld: consent to notices is off") in desk.stages("a1")
        await desk.file.settled()
        assert desk.far.requests == []

    run(body, tmp_path)
