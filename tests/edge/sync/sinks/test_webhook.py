"""A webhook far away: signed going out, and settled by a signed receipt alone."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge.egress.allowed import Content
from edge.sync import SyncError, wire
from edge.sync.parcel import Receipt
from edge.sync.sinks import Place, SinkError
from edge.sync.sinks.webhook import SIGNATURE, SINK, Settings
from tests.edge.sync.sinks.far_off import (
    AT,
    BOX,
    SECRET,
    Answer,
    heartbeat,
    items,
    numbers,
    obeying,
    place,
    secret_file,
    uuid_of,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def standing(tmp_path: Path, key: Ed25519PrivateKey | None = KEY) -> Place:
    at = place(tmp_path)
    if key is not None:
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (at.sync_dir / "receiver.pub").write_bytes(pem)
    return at


def receiving(
    key: Ed25519PrivateKey = KEY, box: str = BOX, digest: Callable[[str], str] = str
) -> Callable[..., Answer]:
    """Store what comes, and say so."""

    def answer(_path: str, _headers: dict[str, str], body: bytes) -> Answer:
        held = {entry.uuid: digest(entry.digest) for entry in wire.opened(body, BOX).entries}
        return 200, {}, wire.sign(box, Receipt(held), AT, key)

    return answer


def sent(tmp_path: Path, answer: Callable[..., Answer], at: Place, **more: Any) -> Any:
    with obeying(answer) as server:
        named = secret_file(tmp_path, "hook", f"{server.url}/v1/{{box}}", SECRET)
        opened = SINK.open(Settings(url_file=named, **more), at)
        parcel = opened.pack(Content.ALERT, items(3))

        async def once() -> Receipt:
            await opened.send(parcel)
            return opened.receipts.get_nowait()

        return asyncio.run(once()), parcel, server


def test_a_signed_receipt_settles_what_it_vouches_for(tmp_path: Path) -> None:
    receipt, parcel, _ = sent(tmp_path, receiving(), standing(tmp_path))
    assert dict(receipt.stored) == {item.uuid: item.digest for item in parcel.items}
    assert len(parcel.items) == 3


def test_every_message_says_who_it_is_from(tmp_path: Path) -> None:
    _, parcel, server = sent(tmp_path, receiving(), standing(tmp_path))
    ((path, headers, body),) = server.asked
    assert path == f"/v1/{BOX}"
    at, _, told = headers[SIGNATURE.lower()].partition(",")
    assert abs(int(at.removeprefix("t=")) - time.time_ns() / 1e9) < 60.0
    stamp = at.removeprefix("t=").encode()
    wanted = hmac.new(SECRET.encode(), stamp + b"." + body, hashlib.sha256).hexdigest()
    assert told == f"sha256={wanted}"
    assert body == parcel.body
    assert SECRET not in f"{parcel}"


@pytest.mark.parametrize(
    "answer",
    [
        receiving(Ed25519PrivateKey.from_private_bytes(b"e" * 32)),
        receiving(box="box-other"),
        lambda *_: (200, {}, b""),
        lambda *_: (200, {}, b'{"ok":true}'),
        lambda *_: (200, {}, b"x" * 200_000),
        lambda *_: (204, {}, b""),
    ],
    ids=["another key", "another box", "nothing", "a word", "too much", "204"],
)
def test_nothing_else_settles(tmp_path: Path, answer: Callable[..., Answer]) -> None:
    with pytest.raises(SinkError, match="nothing counts") as told:
        sent(tmp_path, answer, standing(tmp_path))
    assert told.value.arrived
    assert not told.value.refused


def test_without_a_key_the_status_counts_only_where_that_is_wished(tmp_path: Path) -> None:
    at = standing(tmp_path, None)
    with pytest.raises(SyncError, match="trust_status"):
        sent(tmp_path, lambda *_: (200, {}, b"ok"), at)
    receipt, *_ = sent(tmp_path, lambda *_: (200, {}, b"ok"), at, trust_status=True)
    assert set(receipt.stored) == {uuid_of(1), uuid_of(2), uuid_of(3)}
    for status in (199, 302, 400, 401, 404, 500):
        with pytest.raises(SinkError):
            sent(tmp_path, lambda *_, s=status: (s, {}, b"ok"), at, trust_status=True)


def test_a_forged_receipt_is_no_status_to_trust(tmp_path: Path) -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"e" * 32)
    with pytest.raises(SinkError):
        sent(tmp_path, receiving(other), standing(tmp_path), trust_status=True)


def test_a_heartbeat_is_told_and_numbers_are_not(tmp_path: Path) -> None:
    asked: list[Any] = []

    def answer(*one: Any) -> Answer:
        asked.append(one)
        return 200, {}, b""

    with obeying(answer) as server:
        named = secret_file(tmp_path, "hook", server.url)
        opened = SINK.open(Settings(url_file=named), standing(tmp_path))
        parcel = opened.state_message(heartbeat())
        assert parcel is not None
        asyncio.run(opened.send_state(parcel))
        assert opened.state_message([numbers()]) is None
    ((_, headers, body),) = asked
    assert json.loads(body)["heartbeat"]["box"] == BOX
    assert SIGNATURE.lower() not in headers
    assert opened.receipts.empty()


def test_a_box_that_has_no_name_yet_sends_nothing(tmp_path: Path) -> None:
    asked: list[Any] = []
    with obeying(lambda *one: asked.append(one) or (200, {}, b"")) as server:  # type: ignore[func-returns-value]
        named = secret_file(tmp_path, "hook", server.url)
        opened = SINK.open(Settings(url_file=named, trust_status=True), place(tmp_path, box=""))
        with pytest.raises(SinkError, match="called"):
            asyncio.run(opened.send(opened.pack(Content.ALERT, items(1))))
    assert asked == []


@pytest.mark.parametrize("text", [b"", b"junk", b"-----BEGIN PUBLIC KEY-----\nAA\n"])
def test_a_key_that_is_none_is_told_at_the_start(tmp_path: Path, text: bytes) -> None:
    at = standing(tmp_path)
    (at.sync_dir / "receiver.pub").write_bytes(text)
    named = secret_file(tmp_path, "hook", "https://clinic.example/x")
    with pytest.raises(SyncError, match=r"receiver\.pub"):
        SINK.open(Settings(url_file=named), at)


def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    named = secret_file(tmp_path, "hook", "https://clinic.example/x", "password")
    with pytest.raises(SyncError, match="guessed") as told:
        SINK.open(Settings(url_file=named), standing(tmp_path))
    assert "password" not in str(told.value)


def test_nobody_sees_the_address(tmp_path: Path) -> None:
    named = secret_file(tmp_path, "hook", "https://localhost:1/aTopicNobodyGuesses", SECRET)
    opened = SINK.open(Settings(url_file=named), standing(tmp_path))
    with pytest.raises(SinkError) as told:
        asyncio.run(opened.send(opened.pack(Content.ALERT, items(1))))
    assert "aTopic" not in f"{told.value}{told.value!r}{opened.host}"
