"""``homeward sync``: hand alerts and summaries to records far away, when a network is there."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import edge.sync.sinks
from edge.cli import DONE, FAILED, FOUND
from edge.cli._names import know_names
from edge.cli._place import take_place
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    find_config,
    load_config,
    print_json,
    sink_defaults,
)
from edge.clock import BootClock
from edge.config import Config, load
from edge.config.consent import ConsentFileError, read_switches
from edge.control.asking import AwayError
from edge.control.syncing import SYNC_SOCKET
from edge.discover import discover
from edge.egress.consent import off, switches_of
from edge.journal import NAMES, open_journal
from edge.sync.fhir import resources_of
from edge.sync.network import read_routes
from edge.sync.opening import SYNC_DIR, Destination, destinations
from edge.sync.runner import Runner
from edge.sync.sinks import Sink

LOCK: Final = "sync.lock"
TABLES: Final = ("box", "sync", "sinks", "consent")
"""What of the settings the sender goes by."""
MANY: Final = 50
"""So many that wait are worth a bar on the terminal."""
STACK_BYTES: Final = 512 * 1024
"""Of its few threads, which look up names and write small files."""


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Send what waits now, then end; exit 1: some is left.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would go where; send nothing, open nothing.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Send alerts and summaries to [[sinks]] whenever a network is there, until SIGTERM or Ctrl-C.

    A process of its own beside `homeward run`: it may use the network and knows nothing raw. The
    monitor hands it what may leave, keeps word for word what did (`homeward ledger`), and lets go
    of an entry only when the other end says that it has stored it. It goes by [sync], [[sinks]],
    [box] and [consent] alone.
    """
    os.umask(0o077)
    settings = load_config(config, data_dir) if check else _own_settings(config, data_dir)
    known = discover(edge.sync.sinks, "SINK", Sink)
    to = destinations(settings.sinks, known, settings.box.data_dir)
    if not to:
        raise CommandError(
            "there is nowhere to send to: add [[sinks]] to the configuration; the README shows how"
        )
    if check:
        return _check(settings, to, as_json=json)
    open_journal(sys.stderr)
    know_names(settings)
    NAMES.also += [one.scrub for one in to]
    threading.stack_size(STACK_BYTES)
    lock = take_place(settings.box.data_dir / SYNC_DIR, LOCK, "a sender")
    try:
        return _run(settings, to, once=once, as_json=json)
    finally:
        os.close(lock)


def _own_settings(config: Path | None, data_dir: Path | None) -> Config:
    """Return the settings that concern it, without a look at rules and readers."""
    overrides = {"box.data_dir": str(data_dir)} if data_dir is not None else {}
    return load(find_config(config), sink_defaults(), overrides=overrides, only=TABLES)


def _run(config: Config, to: tuple[Destination, ...], *, once: bool, as_json: bool) -> int:
    place = (config.box.socket.with_name(SYNC_SOCKET), config.box.data_dir)
    with _told(once=once, as_json=as_json) as (tell, follow):
        runner = Runner(config.sync, to, place, BootClock(), resources_of, tell=tell, once=once)
        follow.append(runner)
        try:
            asyncio.run(runner.run())
        except AwayError as error:
            raise CommandError(
                f"{error}: is `homeward run` running, with [[sinks]] in its settings?"
            ) from error
    return _result(runner, as_json=as_json) if once else DONE


def _result(runner: Runner, *, as_json: bool) -> int:
    """Say what came of it, destination by destination."""
    n_left = 0
    for sender in runner.senders:
        post = sender.post
        waiting = None if post.queue is None else post.queue.n
        n_left += 1 if waiting is None else waiting
        row = {
            "record": "sink",
            "sink": post.to.name,
            "n_sent": post.n_sent,
            "n_stored": post.n_settled,
            "n_rejected": post.n_rejected,
            "n_forged": post.under_way.n_forged,
            "n_waiting": waiting,
            "trouble": post.trouble,
            "quiet": post.quiet,
        }
        if as_json:
            print_json(row)
        else:
            typer.echo(_sentence(row))
    if as_json:
        n_stored = sum(sender.post.n_settled for sender in runner.senders)
        told = {"n_sinks": len(runner.senders), "n_stored": n_stored, "n_waiting": n_left}
        print_json({"record": "sync", **told})
    return FAILED if n_left else DONE


def _sentence(row: Mapping[str, Any]) -> str:
    """Return in words what became of what waited for one destination."""
    why = row["trouble"] or row["quiet"]
    waiting = "an unknown number" if row["n_waiting"] is None else row["n_waiting"]
    text = f"{row['sink']}: {row['n_stored']} stored there, {waiting} waiting"
    if row["n_rejected"]:
        text += f", {row['n_rejected']} set aside because it will never take them"
    return f"{text} ({why})" if why else text


@contextmanager
def _told(
    *, once: bool, as_json: bool
) -> Iterator[tuple[Callable[[Mapping[str, Any]], None], list[Runner]]]:
    """Give who is told of each event, and where the runner goes that a bar is to follow."""
    follow: list[Runner] = []
    if as_json:
        yield _line, follow
        return
    if not (once and sys.stderr.isatty()):
        yield lambda _: None, follow
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=None, visible=False)

        def show(_: Mapping[str, Any]) -> None:
            posts = [sender.post for sender in follow[0].senders] if follow else []
            n_done = sum(post.n_settled + post.n_rejected for post in posts)
            left = sum(post.queue.n for post in posts if post.queue is not None)
            if left + n_done >= MANY:
                bar.update(task, completed=n_done, total=n_done + left, visible=True)

        yield show, follow


def _line(event: Mapping[str, Any]) -> None:
    """Print one event; whoever reads them may be a program that waits for each."""
    print_json(event)
    sys.stdout.flush()


def _check(config: Config, to: tuple[Destination, ...], *, as_json: bool) -> int:
    """Say what would go where; nothing is reached for."""
    withheld: tuple[str, ...] = ()
    with suppress(ConsentFileError):
        kept = read_switches(config.box.data_dir)
        withheld = off(switches_of(config.consent, kept))
    routes = read_routes()
    rows = [_plan(one, withheld, routes.metered, config.sync.metered) for one in to]
    troubles = [f"{row['sink']}: {row['trouble']}" for row in rows if row["trouble"]]
    if as_json:
        for row in rows:
            print_json(row)
        print_json({"record": "sync_check", "n_sinks": len(rows), "troubles": troubles})
    else:
        from edge.cli._tables import console, table

        columns = ("sink", "by", "host", "goes there", "kept back", "link")
        cells = [
            (
                row["sink"],
                row["by"],
                row["host"] or "-",
                ", ".join(row["goes"]) or "nothing",
                ", ".join(row["withheld"]) or "-",
                "costs money" if row["metered"] else "",
            )
            for row in rows
        ]
        console().print(table("What would go where", columns, cells))
        for trouble in troubles:
            typer.echo(f"! {trouble}")
    return FOUND if troubles else DONE


def _plan(
    one: Destination,
    withheld: tuple[str, ...],
    metered: Callable[[str, tuple[str, ...]], bool],
    globs: tuple[str, ...],
) -> dict[str, Any]:
    one.open()
    host = one.opened.host if one.opened is not None else ""
    return {
        "record": "sink_plan",
        "sink": one.name,
        "by": one.sink,
        "host": host,
        "tls": one.opened is not None and one.opened.uses_tls,
        "goes": sorted(one.content.difference(withheld)),
        "withheld": sorted(one.content.intersection(withheld)),
        "metered": bool(host) and metered(host, globs),
        "certificate_s": one.opened.certificate_s() if one.opened is not None else None,
        "trouble": one.trouble,
    }
