"""``homeward vault``: what is kept of the raw packets, whether it is whole, and destroying it."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from edge.cli import DONE, FAILED
from edge.cli._aside import Aside, aside
from edge.cli._forgetting import forget_everything, keys_before
from edge.cli._rotating import chosen_passphrase, protected
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    load_config,
    parse_span,
    print_json,
)
from edge.cli._tables import console, table
from edge.cli._vault import has_vault, ring_of, vault_folder
from edge.keys import KeysError
from edge.keys.ring import SENTENCES, find_keys
from edge.vault import Forgotten, VaultReport, WallSpan, forget_span, rotate, verify
from edge.vault.reading import Row, rows

OnDone: TypeAlias = Callable[[int, int], None]
Ours: TypeAlias = Callable[..., contextlib.AbstractContextManager[Aside]]
MB: Final = 1e6


class Action(StrEnum):
    """What is done with the vault."""

    LIST = "list"
    VERIFY = "verify"
    FORGET = "forget"
    ROTATE_KEY = "rotate-key"


def command(  # noqa: PLR0913  # each is an option of the command
    config: ConfigFile = None,
    data_dir: DataDir = None,
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    *,
    span: Annotated[
        str | None,
        typer.Option(
            "--span",
            metavar="SPAN|FROM/TO",
            help="forget: the last of it, as 2h; or 2026-11-21T22:00/2026-11-22T06:00 by the "
            "clock on the wall; TO may be a span.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="forget: all of it, and its key.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    protect: Annotated[
        bool, typer.Option("--passphrase", help="rotate-key: protect the new key by a passphrase.")
    ] = False,
    stick: Annotated[
        Path | None,
        typer.Option("--stick", metavar="DIR", help="rotate-key: half of the new key goes there."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="NAME", help="forget, rotate-key: who does it."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Show what raw packets are kept, check them, or destroy them.

    `list` needs no key. `verify` reads every block. `forget --span` destroys what arrived in a
    span and keeps the rest; `forget --all` destroys everything with its key. `rotate-key` makes
    another device key. None of this needs a monitor; one that runs makes way for these three, loses
    nothing meanwhile, and writes in its ledger who did it. Ends with exit code 1 when `verify`
    finds damage.
    """
    settings = load_config(config, data_dir)
    home = settings.box.data_dir
    if action is not Action.FORGET and (span is not None or everything):
        raise typer.BadParameter("only forget takes it", param_hint="--span or --all")
    if action is not Action.ROTATE_KEY and (protect or stick is not None):
        raise typer.BadParameter("only rotate-key takes it", param_hint="--passphrase or --stick")
    with _progress(quiet=json) as on_done:
        if action is Action.LIST:
            return _list(home, json=json)
        if action is Action.VERIFY:
            return _verify(home, on_done, json=json)
        ours = partial(aside, settings.box.socket, by=by or getpass.getuser())
        if action is Action.FORGET:
            return _forget(home, span, on_done, ours, everything=everything, yes=yes, json=json)
        return _rotate(home, on_done, ours, protect=protect, stick=stick, json=json)


def _list(home: Path, *, json: bool) -> int:
    found = list(rows(vault_folder(home)))
    protection = next((one.protection for one in find_keys(home)), None)
    total = {
        "record": "vault",
        "segments": len(found),
        "packets": sum(row.n_packets for row in found),
        "bytes": sum(row.n_bytes for row in found),
        "protection": protection,
    }
    if json:
        for row in found:
            print_json({"record": "segment", **msgspec.structs.asdict(row)})
        print_json(total)
        return DONE
    out = console()
    heads = ("segment", "from", "to", "packets", "MB", "")
    out.print(table("The vault", heads, [_cells(row) for row in found]))
    out.print(f"{total['segments']} segments, {total['packets']} packets, {_mb(total['bytes'])} MB")
    if protection is not None:
        out.print(SENTENCES[protection])
    return DONE


def _mb(n_bytes: object) -> str:
    return f"{float(str(n_bytes)) / MB:.1f}"


def _cells(row: Row) -> tuple[str, ...]:
    marks = []
    if not row.has_key:
        marks.append("no key")
    if not row.synchronised:
        marks.append("clock not set")
    if not row.closed:
        marks.append("open")
    begin = "" if row.from_s is None else _local(row, row.from_s)
    end = "" if row.to_s is None else _local(row, row.to_s)
    return row.segment, begin, end, str(row.n_packets), _mb(row.n_bytes), ", ".join(marks)


def _local(row: Row, at_s: float) -> str:
    try:
        at = datetime.fromtimestamp(row.wall_s + at_s - row.boot_s, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _verify(home: Path, on_done: OnDone, *, json: bool) -> int:
    folder = vault_folder(home)
    without_key = ""
    try:
        # Where nothing was ever kept there may be no key yet.
        report = verify(folder, ring_of(home), on_done) if has_vault(home) else VaultReport()
    except KeysError as error:
        without_key = str(error)
        report = verify(folder, None, on_done)
    whole = report.whole and not without_key
    if json:
        for message in report.messages:
            print_json({"record": "flaw", "text": message})
        told = msgspec.structs.asdict(report)
        del told["messages"]
        print_json({"record": "verified", "whole": whole, "without_key": without_key, **told})
    else:
        _print_verdict(report, without_key, whole=whole)
    return DONE if whole else FAILED


def _print_verdict(report: VaultReport, without_key: str, *, whole: bool) -> None:
    out = console()
    for message in report.messages:
        out.print(message)
    counts = (
        f"{report.n_segments} segments, {report.n_blocks} blocks, {report.n_packets} packets, "
        f"{_mb(report.n_bytes)} MB"
    )
    if whole:
        out.print(f"The vault is whole: {counts}.")
        return
    out.print(
        f"The vault is not whole: {report.n_damaged} damaged places, {report.n_missing} blocks "
        f"missing, {report.n_changed} changed, {report.n_unreadable} segments unreadable; whole "
        f"are {counts}."
    )
    if without_key:
        out.print(f"Only damage was looked for, the key is not there: {without_key}")


def _forget(
    home: Path,
    span: str | None,
    on_done: OnDone,
    ours: Ours,
    *,
    everything: bool,
    yes: bool,
    json: bool,
) -> int:
    folder = vault_folder(home)
    if (span is None) == (not everything):
        raise typer.BadParameter("say what: --span SPAN, or --all", param_hint="forget")
    wanted = None if span is None else _wall_span(span, datetime.now().astimezone())
    what = "all raw packets and their key" if wanted is None else f"the raw packets of {span}"
    if not yes:
        if not sys.stdin.isatty():
            raise CommandError(
                f"this destroys {what}, for good: give --yes where nobody can answer"
            )
        typer.confirm(f"Destroy {what}, for good?", abort=True, err=True)
    # These may ask a person; so before the monitor makes way.
    ring = None if wanted is None else ring_of(home)
    before = keys_before(home) if wanted is None else None
    with ours(act="forget_all" if wanted is None else "forget", span=span or "") as alone:
        if before is not None:
            told = forget_everything(home, folder, before, alone.staying(on_done))
        elif wanted is not None and ring is not None:
            told = forget_span(folder, ring, wanted, alone.staying(on_done))
        alone.told = {
            "n_packets": told.n_packets,
            "n_destroyed": told.n_destroyed,
            "n_rewritten": told.n_rewritten,
        }
    _tell_forgotten(told, json=json)
    return DONE


def _tell_forgotten(told: Forgotten, *, json: bool) -> None:
    if json:
        print_json(told)
        return
    typer.echo(
        f"{told.n_packets} packets are gone; {told.n_destroyed} segments destroyed, "
        f"{told.n_rewritten} written anew without them. Backups made before are not reached; "
        f"`homeward vault rotate-key` also makes worthless what a flash card may still hold."
    )
    for step in told.left:
        typer.echo(f"homeward: left to do: {step}", err=True)
    for name in told.unsure:
        typer.echo(f"homeward: the date of segment {name} is lost, it was left alone", err=True)


def _wall_span(text: str, now: datetime) -> WallSpan:
    """Return the span that a person means."""
    first, slash, last = text.partition("/")
    try:
        if not slash:
            return WallSpan(now.timestamp() - parse_span(first), now.timestamp() + 1.0)
        begin_s = datetime.fromisoformat(first).astimezone().timestamp()
        try:
            end_s = datetime.fromisoformat(last).astimezone().timestamp()
        except ValueError:
            end_s = begin_s + parse_span(last)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is neither a span (2h) nor FROM/TO as 2026-11-21T22:00/2h",
            param_hint="--span",
        ) from error
    if end_s <= begin_s:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--span")
    return WallSpan(begin_s, end_s)


def _rotate(
    home: Path, on_done: OnDone, ours: Ours, *, protect: bool, stick: Path | None, json: bool
) -> int:
    if protect and stick is not None:
        raise typer.BadParameter("give one of them", param_hint="--passphrase or --stick")
    # As in `_forget`, whatever is to be asked of a person is asked first.
    ring, typed = ring_of(home), chosen_passphrase() if protect else ""
    with ours(act="rotate_key") as alone:
        how = protected(stick, typed)
        told = rotate(home, vault_folder(home), ring, how, alone.staying(on_done))
        alone.told, alone.passphrase = {"n_wrapped": told.n_wrapped}, typed
    found = find_keys(home)
    if json:
        print_json(told)
        return DONE
    typer.echo(f"The key is now {told.device_key}; {told.n_wrapped} segments were wrapped anew.")
    for number, step in enumerate(told.left, 1):
        typer.echo(f"Left to do, {number}: {step}")
    typer.echo(SENTENCES[found[0].protection])
    return DONE


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[OnDone]:
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("vault", total=None)
        yield lambda done, n: bar.update(task, completed=done, total=n)
