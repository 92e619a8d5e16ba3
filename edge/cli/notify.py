"""``homeward notify``: tell people who are not at the box, and a watcher far away."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

import edge.notices.channels
from edge.cli import DONE, FAILED, FOUND
from edge.cli._names import know_names
from edge.cli._place import take_place
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    channel_defaults,
    find_config,
    load_config,
    print_json,
)
from edge.clock import BootClock
from edge.config import Config, Notice, load
from edge.config.consent import ConsentFileError, read_switches
from edge.control.board import NOTICES_SOCKET
from edge.discover import discover
from edge.egress.consent import off, switches_of
from edge.journal import NAMES, open_journal
from edge.notices.channels import Channel
from edge.notices.deadman import NAME, ping
from edge.notices.follower import AwayError, Monitor
from edge.notices.notifier import Notifier
from edge.notices.proof import prove
from edge.notices.ways import Open, open_ways
from edge.notices.witness import Witness
from edge.records import Priority
from edge.secret import SecretError, read_secret

_T = TypeVar("_T")

LOCK = "notices.lock"
TABLES = ("box", "notices", "deadman", "escalation", "consent")
"""What of the settings the notifier goes by."""


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    test: Annotated[
        bool, typer.Option("--test", help="Send one test notice to each, and say what is proven.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say who would be told what when; send nothing.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Tell carers of alarms nobody at the box answers, until SIGTERM or Ctrl-C.

    A process of its own beside `homeward run`: it may use the network and knows nothing raw. Who is
    told stands in [[notices]], a watcher that calls when this box falls silent in [deadman]. What
    became of each notice is in `homeward status` and with the alerts. It goes by those, [box] and
    [escalation] alone: where another setting keeps the monitor from starting, people are told that
    it is gone. `homeward notify --check` and `homeward config` look at all of them.

    With --test it ends with exit code 1 where a notice could not be sent.
    """
    os.umask(0o077)
    settings = load_config(config, data_dir) if check else _own_settings(config, data_dir)
    channels = discover(edge.notices.channels, "CHANNEL", Channel)
    ways = open_ways(settings, channels)
    if not ways and settings.deadman.url_file is None:
        raise CommandError(
            "there is nobody to tell: add [[notices]] or [deadman] to the configuration; the "
            "README shows how"
        )
    if check:
        return _check(settings, ways, as_json=json)
    if test:
        return _test(settings, ways, as_json=json)
    open_journal(sys.stderr)
    know_names(settings)
    NAMES.also += [one.secret.scrub for one in ways if one.secret is not None]
    lock = take_place(settings.box.data_dir, LOCK, "a notifier")
    try:
        asyncio.run(Notifier(settings, ways, BootClock()).run())
    finally:
        os.close(lock)
    return DONE


def _own_settings(config: Path | None, data_dir: Path | None) -> Config:
    """Return the settings that concern it, without a look at rules and readers.

    Those would have to be imported to check what is set of them: 16 MiB, for as long as it runs.
    """
    overrides = {"box.data_dir": str(data_dir)} if data_dir is not None else {}
    return load(find_config(config), channel_defaults(), overrides=overrides, only=TABLES)


def _test(config: Config, ways: Sequence[Open], *, as_json: bool) -> int:
    witness = _witness(config)
    proofs = asyncio.run(_handed_back(prove(ways, config.box.name, witness), witness))
    rows = [(proof.name, proof.channel, proof.sent, proof.received, proof.text) for proof in proofs]
    if config.deadman.url_file is not None:
        trouble = _ping_once(config, witness)
        told = trouble or "the watcher took a ping"
        rows.append((NAME, "ping", not trouble, not trouble, told))
    n_sent = sum(row[2] for row in rows)
    if as_json:
        for name, channel, sent, received, text in rows:
            print_json(
                {
                    "record": "notice_test",
                    "name": name,
                    "channel": channel,
                    "sent": sent,
                    "received": received,
                    "proven": text,
                }
            )
        print_json({"record": "notify_test", "n_sent": n_sent, "n_failed": len(rows) - n_sent})
    else:
        for name, _, sent, _, text in rows:
            typer.echo(f"{'sent' if sent else 'FAILED':6}  {name}: {text}")
    return DONE if n_sent == len(rows) else FAILED


def _witness(config: Config) -> Witness:
    """Return who is told of what a person sends from here; without a monitor it is told later."""
    clock, home = BootClock(), config.box.data_dir
    monitor = Monitor(config.box.socket.with_name(NOTICES_SOCKET))
    witness = Witness(monitor, home, clock.now_s, clock.boot_id, "notify --test", alone=True)
    with suppress(ConsentFileError):
        witness.withheld = off(switches_of(config.consent, read_switches(home)))
    return witness


async def _handed_back(work: Coroutine[Any, Any, _T], witness: Witness) -> _T:
    """Return what comes of it, when the monitor was told that too."""
    try:
        return await work
    finally:
        with suppress(AwayError):
            await witness.hand_back()
        witness.hang_up()


def _ping_once(config: Config, witness: Witness) -> str:
    try:
        secret = read_secret(config.deadman.url_file or "", config.box.data_dir)
    except SecretError as error:
        return str(error)
    return asyncio.run(_handed_back(ping(secret, "ping", witness), witness))


def _check(config: Config, ways: Sequence[Open], *, as_json: bool) -> int:
    troubles = [f"{one.way.name}: {one.trouble}" for one in ways if one.trouble]
    troubles += _gaps(config)
    plan = [
        (one.way, priority, _when(config, one.way, priority)) for one in ways for priority in _RUNG
    ]
    if as_json:
        for way, priority, when in plan:
            told = {"name": way.name, "who": way.who, "priority": priority, "told": when}
            print_json({"record": "notice_plan", **told})
        print_json({"record": "notify_check", "n_ways": len(ways), "troubles": troubles})
    else:
        from edge.cli._tables import console, table

        rows = [(way.name, ", ".join(way.who), p.value, when) for way, p, when in plan]
        console().print(table("Who is told", ("name", "who", "priority", "told"), rows))
        for trouble in troubles:
            typer.echo(f"! {trouble}")
    return FOUND if troubles else DONE


_RUNG = (Priority.HIGH, Priority.MEDIUM, Priority.LOW)


def _when(config: Config, way: Notice, priority: Priority) -> str:
    """Return in words when a destination is told of an alert of that priority."""
    if priority.rank < Priority(way.from_priority).rank:
        return "never"
    quiet = ""
    if way.quiet_from and way.quiet_to and priority.rank < Priority(way.quiet_floor).rank:
        quiet = f", not from {way.quiet_from} to {way.quiet_to}"
    if way.on == "raise":
        return f"at once{quiet}"
    _, first_s, second_s = config.escalation.times_of(priority.value)
    times = {"first_carer": first_s, "second_carer": second_s}
    due = sorted(times[who] for who in way.who if who in times)
    named = [who for who in way.who if who not in times]
    parts = [f"after {due[0]:g} s without an answer"] if due else []
    parts += [f"after {first_s:g} s while {' or '.join(named)} has the watch"] if named else []
    return ", ".join(parts) + quiet


def _gaps(config: Config) -> Iterable[str]:
    """Return what leaves somebody untold, a sentence each."""
    reach = {who for way in config.notices for who in way.who}
    anyone = any(way.on == "raise" for way in config.notices)
    if config.notices and not anyone and "first_carer" not in reach:
        yield 'nobody is told as the first carer: add who = ["first_carer"] to one of [[notices]]'
    if config.notices and not any(way.technical for way in config.notices):
        yield "nobody is told of faults of the equipment: set technical = true somewhere"
    if config.deadman.url_file is None:
        yield "nobody far away notices when this box loses power: set up [deadman]"
