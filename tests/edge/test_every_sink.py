"""What every sink must do; a new one is tested by being dropped in.

It adds one line to `SETTINGS`: how it is configured against a server on a port of this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edge.sync.sinks
from edge.config.fields import meaning
from edge.discover import discover, plugin_names
from edge.egress.allowed import Content
from edge.secret import SecretError, read_secret
from edge.store.egress import MAX_ERASED
from edge.sync import SyncError, posting, publisher
from edge.sync.parcel import MAX_PARCEL_BYTES, Item, Parcel, Receipt
from edge.sync.sinks import SEND_S, Opened, Place, Sink, SinkError, mqtt
from tests.edge.notices.far_away import authority
from tests.edge.sync.sinks import far_off
from tests.edge.sync.sinks.bad_server import KINDS, badly
from tests.edge.sync.sinks.far_off import BOX, SECRET, erasure, heartbeat, items, numbers, uuid_of

SINKS = discover(edge.sync.sinks, "SINK", Sink)
every_sink = pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
CONTENT = {"alerts", "summaries", "heartbeats", "numbers"}
RECORDS = {"alerts", "summaries"}
HIDDEN = "aTopicNobodyGuesses"

SETTINGS: dict[str, Callable[[int, Path, str], dict[str, Any]]] = {
    "fhir_rest": lambda port, folder, scheme: {
        "url": f"{scheme}://localhost:{port}/{HIDDEN}",
        "token_file": far_off.secret_file(folder, "token", SECRET),
    },
    "webhook": lambda port, folder, scheme: {
        "url_file": far_off.secret_file(
            folder, "hook", f"{scheme}://localhost:{port}/{HIDDEN}", SECRET
        )
    },
    "folder": lambda _port, folder, _scheme: {"path": folder / "nowhere"},
    "home_assistant": lambda port, folder, scheme: {
        "host": "localhost",
        "port": port,
        "tls": scheme == "https",
        "username": "homeward",
        "password_file": far_off.secret_file(folder, "house", SECRET),
    },
    "mqtt": lambda port, _folder, scheme: {
        "host": "localhost",
        "port": port,
        "tls": scheme == "https",
    },
}
"""Sink -> its settings against a server on this machine; a new sink adds its own."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return where a box stands that is enrolled."""
    at = far_off.place(tmp_path)
    ours = authority(tmp_path, "ours", host=BOX)
    both = (tmp_path / "ours.server.pem").read_bytes()
    for name in ("box.crt", "box.key"):
        (at.sync_dir / name).write_bytes(both)
        (at.sync_dir / name).chmod(0o600)
    (at.sync_dir / "ca.crt").write_bytes(ours.read_bytes())
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (at.sync_dir / "receiver.pub").write_bytes(pem)
    return at


def opened(sink: Sink, place: Place, port: int = 1, scheme: str = "http") -> Opened:
    """Open it in the folder of `place`, against a port of this machine."""
    return sink.open(sink.settings(**SETTINGS[sink.name](port, place.data_dir, scheme)), place)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "WHOLE_S", 0.3)
    monkeypatch.setattr(posting, "BODY_S", 0.2)
    monkeypatch.setattr(mqtt, "CONNECT_S", 0.3)
    monkeypatch.setattr(mqtt, "TAKEN_S", 0.3)
    monkeypatch.setattr(publisher, "CONNECT_S", 0.3)
    monkeypatch.setattr(publisher, "ACKNOWLEDGED_S", 0.3)


def timeless(body: bytes) -> bytes:
    """Return a message without when it was packed: all else is to be the same."""
    return re.sub(rb'"sent_utc":"[^"]*"', b"", body)


async def attempt(sink: Opened, kind: Content = Content.ALERT) -> SinkError | None:
    """Send an alert, or where it takes none how things are; return what went wrong."""
    try:
        state = sink.state_message([numbers()])
        if state is not None:
            await sink.send_state(state)
        else:
            await sink.send(sink.pack(kind, items(2)))
    except SinkError as error:
        return error
    return None


def test_five_are_meant_and_none_is_without_settings_here() -> None:
    found = set(plugin_names(edge.sync.sinks))
    assert {"fhir_rest", "webhook", "folder", "home_assistant", "mqtt"} <= found
    assert found <= set(SETTINGS), "a new sink adds its line to SETTINGS"


@every_sink
def test_its_name_is_its_files_and_its_file_tells_of_the_other_end(sink: Sink) -> None:
    assert sink.name in plugin_names(edge.sync.sinks)
    module = inspect.getmodule(sink.open)
    assert module is not None
    assert len(module.__doc__ or "") > 300
    assert sink.takes
    assert sink.takes <= CONTENT


@every_sink
def test_every_setting_has_a_default_and_a_meaning(sink: Sink) -> None:
    defaults = sink.settings()
    assert msgspec.convert(msgspec.to_builtins(defaults), sink.settings) == defaults
    for name, field_type in get_type_hints(sink.settings, include_extras=True).items():
        assert meaning(field_type).endswith("."), name


@every_sink
def test_a_setting_that_is_not_known_is_refused(sink: Sink) -> None:
    with pytest.raises(msgspec.ValidationError, match="urrl"):
        msgspec.convert({"urrl": 1}, sink.settings)


@every_sink
def test_no_setting_holds_a_secret(sink: Sink) -> None:
    names = {field.encode_name for field in msgspec.structs.fields(sink.settings)}
    assert not {
        name
        for name in names
        if any(word in name for word in ("token", "password", "secret", "key"))
        and not name.endswith("_file")
    }


@every_sink
def test_defaults_alone_say_what_is_missing(sink: Sink, tmp_path: Path) -> None:
    bare = Place(
        "far", tmp_path, tmp_path / "sync", lambda: BOX, lambda n: read_secret(n, tmp_path)
    )
    with pytest.raises((SyncError, SecretError)) as told:
        sink.open(sink.settings(), bare)
    assert len(str(told.value)) > 20


@every_sink
def test_to_open_it_reaches_for_nothing(
    sink: Sink, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a network connection at the start")

    monkeypatch.setattr("socket.socket.connect", never)
    monkeypatch.setattr("socket.getaddrinfo", never)
    threads, began_s = threading.active_count(), time.monotonic()
    one = opened(sink, place)
    assert time.monotonic() - began_s < 1.0
    assert threading.active_count() == threads
    assert one.window >= 1
    assert one.host
    asyncio.run(one.close())


@every_sink
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(sizes=st.lists(st.integers(0, 6000), min_size=1, max_size=64), kind=st.booleans())
def test_a_parcel_is_the_first_of_them_in_order_and_as_large_as_the_ledger_takes(
    sink: Sink, place: Place, sizes: list[int], kind: bool
) -> None:
    what = Content.ALERT if kind else Content.SUMMARY
    entries = [
        Item(one.handed, what, (far_off.observation(one.handed.seq, filler="x" * size),))
        for one, size in zip(items(len(sizes)), sizes, strict=True)
    ]
    box = opened(sink, place)
    parcels: list[Parcel] = []
    left = entries
    while left:
        parcel = box.pack(what, left)
        assert 1 <= len(parcel.items) <= len(left)
        assert len(parcel.body) <= MAX_PARCEL_BYTES
        again = box.pack(what, left)
        assert again.items == parcel.items
        assert timeless(again.body) == timeless(parcel.body)
        assert parcel.kind is what
        assert set(parcel.shown) <= set(parcel.headers)
        left = left[len(parcel.items) :]
        parcels.append(parcel)
    assert [item for parcel in parcels for item in parcel.items] == entries


@every_sink
def test_a_parcel_is_filled(sink: Sink, place: Place) -> None:
    """Each message costs a line of the ledger and a journey."""
    parcel = opened(sink, place).pack(Content.ALERT, items(64))
    alone = sum(len(item.content) for item in items(64))
    assert len(parcel.items) >= min(64, 64 * MAX_PARCEL_BYTES // alone // 3)


@every_sink
def test_a_request_to_delete_is_packed_whole(sink: Sink, place: Place) -> None:
    gone = [erasure(n, [uuid_of(100 + n)]) for n in (7, 8)]
    parcel = opened(sink, place).pack(Content.ERASE, gone)
    assert parcel.kind is Content.ERASE
    most = erasure(9, [uuid_of(100 + n) for n in range(MAX_ERASED)])
    assert len(opened(sink, place).pack(Content.ERASE, [most]).body) <= MAX_PARCEL_BYTES
    assert list(parcel.items) == gone[: len(parcel.items)]
    if sink.takes & RECORDS:
        assert uuid_of(107).encode() in parcel.body


@every_sink
def test_what_says_how_things_are_is_what_it_takes(sink: Sink, place: Place) -> None:
    box = opened(sink, place)
    for what, word, kind in (
        (heartbeat(), "heartbeats", Content.HEARTBEAT),
        ([numbers()], "numbers", Content.NUMBERS),
    ):
        parcel = box.state_message(what)
        assert (parcel is not None) == (word in sink.takes), word
        if parcel is not None:
            assert parcel.kind is kind
            assert parcel.items == ()
            assert 0 < len(parcel.body) <= MAX_PARCEL_BYTES
            again = box.state_message(what)
            assert again is not None
            assert timeless(again.body) == timeless(parcel.body)


@every_sink
@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whatever_the_other_end_does_it_is_left_in_time_and_nothing_is_settled(
    sink: Sink, place: Place, kind: str, scheme: str
) -> None:
    with badly(kind) as port:
        box = opened(sink, place, port, scheme)

        async def twice() -> list[SinkError | None]:
            try:
                return [await attempt(box), await attempt(box)]
            finally:
                await box.close()

        began_s = time.monotonic()
        faults = asyncio.run(twice())
        assert time.monotonic() - began_s < min(30.0, SEND_S)
    for fault in faults:
        assert fault is not None
        assert not fault.refused, "what is refused is set aside: no fault of a network is that"
        told = f"{fault}{fault!r}{fault.__cause__}"
        for secret in (SECRET, HIDDEN, str(Path.home())):
            assert secret not in told or secret in str(place.data_dir)
        assert str(fault).isprintable()
        assert len(str(fault)) < 300
    assert box.receipts.empty()


def test_the_bound_of_each_attempt_is_below_what_is_promised() -> None:
    assert posting.WHOLE_S < SEND_S
    assert posting.BODY_S < posting.WHOLE_S
    assert mqtt.CONNECT_S + mqtt.TAKEN_S < SEND_S
    assert publisher.CONNECT_S + publisher.ACKNOWLEDGED_S < SEND_S


@every_sink
def test_receipts_are_bounded_and_where_nobody_takes_them_nothing_more_is_sent(
    sink: Sink, place: Place
) -> None:
    with badly("silent") as port:
        box = opened(sink, place, port)
        assert 0 < box.receipts.maxsize <= 1024
        if not sink.takes & RECORDS:
            return
        while not box.receipts.full():
            box.receipts.put_nowait(Receipt())

        async def send() -> None:
            with pytest.raises(SinkError) as told:
                async with asyncio.timeout(SEND_S):
                    await box.send(box.pack(Content.ALERT, items(1)))
            assert not told.value.refused
            await box.close()

        asyncio.run(send())


@every_sink
def test_to_close_it_twice_is_once(sink: Sink, place: Place) -> None:
    async def twice() -> None:
        box = opened(sink, place)
        await box.close()
        await attempt(box)
        await box.close()
        await box.close()

    threads = threading.active_count()
    asyncio.run(twice())
    for _ in range(100):
        if threading.active_count() <= threads:
            break
        time.sleep(0.05)
    assert threading.active_count() <= threads


@every_sink
@pytest.mark.usefixtures("_impatient")
def test_whoever_waits_can_be_told_to_stop(sink: Sink, place: Place) -> None:
    """A sender that is stopped does not wait for a server that hangs."""

    async def stopped() -> float:
        with badly("silent") as port:
            box = opened(sink, place, port)
            task = asyncio.create_task(attempt(box))
            await asyncio.sleep(0.2)
            began_s = time.monotonic()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await box.close()
            return time.monotonic() - began_s

    assert asyncio.run(stopped()) < 4.0


@every_sink
def test_the_certificate_of_the_box_is_told_where_it_is_shown(sink: Sink, place: Place) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(sink.settings)}
    box = opened(sink, place, scheme="https")
    if "certificate" not in fields:
        return
    assert box.certificate_s() is None
    made = SETTINGS[sink.name](1, place.data_dir, "https") | {"certificate": True}
    own = sink.open(sink.settings(**made), place)
    end_s = own.certificate_s()
    assert end_s is not None
    assert 0 < end_s - time.time_ns() / 1e9 < 30 * 86400


@every_sink
def test_nothing_of_what_it_keeps_is_open_to_others(sink: Sink, place: Place) -> None:
    box = opened(sink, place)
    with contextlib.suppress(SinkError):
        box.pack(Content.ALERT, items(1))
    for file in place.sync_dir.iterdir():
        if file.name not in {"ca.crt", "receiver.pub"}:
            assert file.stat().st_mode & 0o077 == 0, file.name
    assert os.listdir(place.sync_dir)  # noqa: PTH208  # the loop above was one
