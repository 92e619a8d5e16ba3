"""The receiver at work: listens, stores, answers, and says which boxes have fallen silent."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from edge.clock import BootClock
from edge.receive import ReceiveError
from edge.receive.arrivals import Arrived
from edge.receive.desk import Desk
from edge.receive.ingress import Ingress
from edge.receive.signing import public_text, signing_key
from edge.receive.silence import SilenceWatch
from edge.receive.store import Database, Kept, Store, StoreError
from edge.receive.subscription import Subscription
from edge.receive.tables import FACTS
from edge.receive.telling import Teller
from edge.secret import Secret
from edge.sync import wire
from edge.sync.bounded import Broker
from edge.sync.fhir.reading import columns

LOOK_S: Final = 5.0
MAX_SECRET_BYTES: Final = 1024
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Say = Callable[[Mapping[str, Any]], None]
"""Takes what is printed: a record as `homeward receive --json` shows it."""

_log = structlog.get_logger("receive")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver is to do.

    Attributes
    ----------
    store : str
        A path, or ``postgresql://...``.
    key : Path
        Signs the receipts; made at the first start.
    broker : Broker | None
        What to listen to; None: nothing.
    group : str
        Receivers that share what comes; empty: this one alone.
    listen : tuple[str, int] | None
        Where to answer HTTP; None: nowhere.
    secrets : Path | None
        Folder with a file ``BOX.secret`` for each box that signs its requests.
    silence_s : float
        A box that says nothing for so long is missing.
    notify : Secret | None
        Who is told of that.
    """

    store: str
    key: Path
    broker: Broker | None = None
    group: str = ""
    listen: tuple[str, int] | None = None
    context: ssl.SSLContext | None = None
    secrets: Path | None = None
    silence_s: float = 900.0
    notify: Secret | None = None


class Receiver:
    """Does what a plan says, until it is stopped.

    Parameters
    ----------
    say : Callable
        Is shown what comes; from the desk's thread, and from the event loop.

    Raises
    ------
    ReceiveError
        It cannot.
    """

    def __init__(self, plan: Plan, say: Say, *, with_content: bool = False) -> None:
        if plan.broker is None and plan.listen is None:
            raise ReceiveError("there is nothing to listen to: name a --broker or --listen")
        if plan.listen is not None and plan.context is None and plan.listen[0] not in _LOCAL:
            raise ReceiveError(
                f"{plan.listen[0]} can be reached by others, who would read everything: give "
                f"--cert and --key-file, or listen on 127.0.0.1"
            )
        self._plan, self._say, self._with_content = plan, say, with_content
        self._clock = BootClock()
        self._key = signing_key(plan.key)
        self._watched = open_store(plan.store)
        self._desk = Desk(
            open_store(plan.store),
            self._key,
            _wall_s,
            facts=columns,
            told=self._tell,
            troubled=self._tell_trouble,
        )
        self._silence = SilenceWatch(plan.silence_s)
        self._teller = None if plan.notify is None else Teller(plan.notify)
        self._since_s = self._clock.now_s()
        self.port: int | None = None
        """Where it listens, once it does."""

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until `stopped`.

        Raises
        ------
        ReceiveError
            The address to listen on is taken.
        """
        plan, subscription = self._plan, self._subscription()
        alone = plan.listen is not None and plan.listen[0] in _LOCAL
        secret = partial(_secret, plan.secrets)
        ingress = Ingress(self._desk, secret, trusts_local=alone)
        self._desk.start()
        telling = None if self._teller is None else asyncio.create_task(self._teller.run())
        try:
            if plan.listen is not None:
                self.port = await _listen(ingress, plan)
            if subscription is not None:
                subscription.start()
            self._say(self._start())
            while not stopped.is_set():
                await self._look(subscription)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(LOOK_S, plan.silence_s / 3)):
                        await stopped.wait()
        finally:
            if telling is not None:
                telling.cancel()
            await ingress.end()
            if subscription is not None:
                await asyncio.to_thread(subscription.end)
            await asyncio.to_thread(self._desk.end)
            self._watched.close()

    def _subscription(self) -> Subscription | None:
        broker, clock = self._plan.broker, self._clock
        if broker is None:
            return None
        chance = random.Random().random  # noqa: S311  # spreads reconnections, no secret

        def told(why: str) -> None:
            record = {"record": "broker_away", "why": why} if why else {"record": "listening"}
            self._say({**record, "broker": broker.host})

        return Subscription(broker, self._plan.group, self._desk, clock.now_s, chance, told)

    def _start(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "record": "receiver",
            "store": self._watched.name,
            "broker": None if plan.broker is None else f"{plan.broker.host}:{plan.broker.port}",
            "topic": wire.UP_OF_ALL if plan.broker is not None else None,
            "listen": None if plan.listen is None else f"{plan.listen[0]}:{self.port}",
            "receipt_key": public_text(self._key),
            "receipt_key_file": str(plan.key.with_name("receiver.pub")),
        }

    async def _look(self, subscription: Subscription | None) -> None:
        since_s = self._since_s
        if subscription is not None:
            if subscription.since_s is None:
                self._silence.look(self._clock.now_s(), {}, None)
                return
            since_s = subscription.since_s
        try:
            heard = await asyncio.to_thread(self._watched.heard)
            silent = self._silence.look(self._clock.now_s(), heard, since_s)
            for said in await asyncio.to_thread(self._note, heard, set(silent)):
                self._say(said)
                if self._teller is not None:
                    self._teller.tell(said)
        except StoreError as error:
            _log.warning("nobody knows which boxes are silent", why=str(error))

    def _note(self, heard: Mapping[str, float], silent: set[str]) -> list[dict[str, Any]]:
        """Note who is silent and who speaks again; return what nobody has said yet."""
        new: list[dict[str, Any]] = [
            {"record": "silence", "box": box, "since_utc": utc(heard[box])}
            for box in sorted(silent)
            if self._watched.note_silence(box, heard[box], _wall_s())
        ]
        for box, *_ in self._watched.silences():
            if box in heard and box not in silent and self._watched.end_silence(box, heard[box]):
                new.append({"record": "speaks_again", "box": box, "at_utc": utc(heard[box])})
        return new

    def _tell(self, what: Arrived, kept: Kept) -> None:
        if what.heartbeat is not None:
            self._say({"record": "heartbeat", "box": what.box, "at_utc": utc(what.at_s)})
        new = set(kept.new)
        for entry in what.entries:
            said = {
                "record": "received",
                "box": what.box,
                "kind": what.kind,
                "uuid": entry.uuid,
                "seq": entry.seq,
                "early": entry.early,
                "new": entry.uuid in new,
                **{name: fact for name, fact in zip(FACTS, entry.facts, strict=True) if fact},
            }
            if self._with_content:
                said["content"] = msgspec.Raw(entry.content.encode())
            self._say(said)
        for uuid, why in what.refused.items():
            self._say({"record": "refused", "box": what.box, "uuid": uuid, "why": why})

    def _tell_trouble(self, why: str) -> None:
        if why:
            _log.error("nothing can be stored, and nothing is answered until it can", why=why)
        else:
            _log.info("what comes is stored again")


def open_store(where: str) -> Store:
    """Return a store.

    Raises
    ------
    ReceiveError
        It cannot be opened.
    """
    try:
        return Store(_database(where))
    except StoreError as error:
        raise ReceiveError(str(error)) from error


def _database(where: str) -> Database:
    if where.startswith(("postgresql://", "postgres://")):
        try:
            from edge.receive.postgresql import Postgresql  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise ReceiveError(
                "PostgreSQL needs a package: pip install 'homeward[postgres]'"
            ) from error
        return Postgresql(where)
    from edge.receive.sqlite import Sqlite  # noqa: PLC0415  # as above

    return Sqlite(Path(where).expanduser())


async def _listen(ingress: Ingress, plan: Plan) -> int:
    host, port = plan.listen or ("127.0.0.1", 0)
    try:
        return await ingress.start(host, port, plan.context)
    except OSError as error:
        raise ReceiveError(f"{host}:{port} cannot be listened on ({error.strerror})") from error


def _secret(folder: Path | None, box: str) -> bytes | None:
    """Return what a box signs its requests with; its name was checked before."""
    if folder is None:
        return None
    try:
        content = (folder / f"{box}.secret").read_bytes()[:MAX_SECRET_BYTES].strip()
    except FileNotFoundError:
        return None
    return content or None


def utc(wall_s: float) -> str:
    """Return a moment as text."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")


def _wall_s() -> float:
    return datetime.now(UTC).timestamp()
