"""``homeward forget``: erase records for good, and the raw packets of the same span."""

from __future__ import annotations

import math
import os
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._limits import monitor_runs
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    homeward_version,
    load_config,
    parse_span,
    print_json,
)
from edge.cli._unlocking import keys_of
from edge.cli._vault import has_vault, ring_of, vault_folder
from edge.clock import BootClock
from edge.control import Forget
from edge.control.client import ControlClient
from edge.store import DATABASE, Forgotten, Run, Store, Wanted
from edge.store.erasing import WITH_RECORDS

if TYPE_CHECKING:
    from edge.config import Config

_CHUNK = 1024 * 1024
WAIT_S = 600.0
"""How long a monitor may take to forget; it goes on with its alarms meanwhile."""


def command(  # noqa: PLR0913  # each is an option of the command
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who wants it; is recorded.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    span: Annotated[
        str | None,
        typer.Option(
            metavar="START..END",
            help="From when to when, as 2026-11-21T22:00..2026-11-22T06:00, or ago: 8h..2h.",
        ),
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="WHEN", help="All before: a date, or ago as 30d.")
    ] = None,
    patient: Annotated[
        str, typer.Option("--patient", metavar="ID", help="Only of this one, and no raw packets.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Everything, raw packets and damaged files too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be forgotten.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: AsJson = False,
) -> int:
    """Erase records: alerts, answers, summaries, scores, measurements, what was told to whom.

    With them go the raw packets of the same span (not with --patient: packets hold no names), and
    what waited to be sent. An alert that stands now stays. That something was forgotten, by whom,
    when and how much, is recorded, so `homeward alerts verify` knows it from tampering. Works
    while the monitor runs.

    Ends with exit code 3 where something meant is still there.
    """
    from_s, to_s = _times(span, before, patient, everything=everything)
    settings = load_config(config, data_dir)
    what = _words(span, before, patient)
    if not dry_run and not yes:
        _make_sure(what)
    runs = monitor_runs(settings)
    request = Forget(by, from_s, to_s, patient, dry_run)
    told = _through_monitor(settings, request) if runs else _here(settings, request)
    raw = None if patient or dry_run else _raw(settings.box.data_dir, from_s, to_s)
    aside = _aside(settings.box.data_dir, remove=everything and not dry_run)
    if json:
        print_json(told)
        if raw is not None:
            print_json(raw)
        print_json({"record": "forgot", "dry_run": dry_run, "left_aside": aside})
    else:
        _print(told, raw, dry_run=dry_run)
    return DONE if dry_run or _is_all(told, aside) else FOUND


def _times(
    span: str | None, before: str | None, patient: str, *, everything: bool
) -> tuple[float | None, float | None]:
    """Return the wall times that are meant.

    Raises
    ------
    typer.BadParameter
        It is not clear what is meant.
    """
    chosen = [one for one in (span, before, everything or None) if one is not None]
    if len(chosen) > 1 or not (chosen or patient):
        raise typer.BadParameter(
            "say what: --span START..END, --before WHEN, --patient ID or --all",
            param_hint="forget",
        )
    now = datetime.now().astimezone()
    if before is not None:
        return None, _moment(before, now)
    if span is None:
        return None, None
    first, dots, last = span.partition("..")
    if not dots:
        raise typer.BadParameter(f"{span!r} is no span START..END", param_hint="--span")
    from_s = _moment(first, now) if first.strip() else -math.inf
    to_s = _moment(last, now) if last.strip() else now.timestamp() + 1.0
    if not from_s < to_s:
        raise typer.BadParameter(f"{span!r} ends before it begins", param_hint="--span")
    return (None if from_s == -math.inf else from_s), to_s


def _moment(text: str, now: datetime) -> float:
    """Return a wall time; without a zone it is that of this box."""
    try:
        return now.timestamp() - parse_span(text)
    except typer.BadParameter:
        pass
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a date and time (2026-11-21T22:00) nor a span ago (30d)"
        ) from None


def _words(span: str | None, before: str | None, patient: str) -> str:
    whose = f"all records of {patient}" if patient else "all records and raw packets"
    if span is not None:
        return f"{whose} of {span}"
    return f"{whose} from before {before}" if before is not None else whose


def _make_sure(what: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError(f"this erases {what}, for good: give --yes where nobody can answer")
    typer.confirm(f"Erase {what}, for good?", abort=True, err=True)


def _through_monitor(settings: Config, request: Forget) -> Forgotten:
    with ControlClient(settings.box.socket, WAIT_S) as client:
        return msgspec.convert(client.ask(request), Forgotten)


def _here(settings: Config, request: Forget) -> Forgotten:
    """Forget where no monitor runs.

    Raises
    ------
    edge.store.StoreError
        Not all was forgotten.
    """
    path = settings.box.data_dir / DATABASE
    if not path.exists():
        return Forgotten(bytes_gone=True)
    clock = BootClock()
    run = Run(str(uuid.uuid4()), clock.boot_id, clock.now_s(), f"{homeward_version()} (forget)", "")
    wanted = Wanted(
        -math.inf if request.from_s is None else request.from_s,
        math.inf if request.to_s is None else request.to_s,
        request.patient,
    )
    with Store.begin(path, run, keys=keys_of(settings.box.data_dir)) as store:
        while store.recover(clock.now_s()) is not None:
            pass  # what came out of a damaged file later would not be forgotten
        standing = _standing(store)
        store.backlog.add_clock(clock.read())
        store.flush(clock.now_s())
        wall_s = clock.read().wall_s
        asked = store.forgetting(
            wanted, request.by, clock.now_s(), wall_s=wall_s, standing=standing
        )
        if request.dry_run:
            return asked.planned()
        sent = store.sent_of(wanted)
        while asked.step():
            pass
        store.erase_sent(sent, request.by, WITH_RECORDS, clock.now_s())
        return asked.finish()


def _standing(store: Store) -> frozenset[str]:
    """Return the alerts that the next start goes on with."""
    from edge.alerts import AlertEngine
    from edge.pipeline.kept import unpack

    kept = store.kept_alerts()
    if kept is None:
        return frozenset()
    engine = AlertEngine(store.run.run_id, {})
    try:
        engine.restore(unpack(kept.state).alerts)
    except ValueError:
        return frozenset()  # no start can go on with it either
    return frozenset(alert.id for alert in engine.standing())


def _raw(data_dir: Path, from_s: float | None, to_s: float | None) -> Any:  # noqa: ANN401
    """Destroy the raw packets of the span; None: there are none."""
    if not has_vault(data_dir):
        return None
    from edge.vault.forgetting import forget_span
    from edge.vault.spans import WallSpan

    begin_s = -math.inf if from_s is None else from_s
    end_s = datetime.now().astimezone().timestamp() + 1.0 if to_s is None else to_s
    return forget_span(vault_folder(data_dir), ring_of(data_dir), WallSpan(begin_s, end_s))


def _aside(data_dir: Path, *, remove: bool) -> list[str]:
    """Return the damaged databases that were put aside and hold records still."""
    found = sorted(data_dir.glob(f"{DATABASE}.damaged-*"))
    if remove:
        for path in found:
            _destroy(path)
        return []
    return [path.name for path in found]


def _destroy(path: Path) -> None:
    """Overwrite a file, which may be large, and remove it."""
    try:
        with path.open("r+b") as file:
            for start in range(0, path.stat().st_size, _CHUNK):
                file.write(bytes(min(_CHUNK, path.stat().st_size - start)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except OSError as error:
        raise CommandError(f"{path} cannot be destroyed ({error}): mend that, ask again") from error


def _is_all(told: Forgotten, aside: list[str]) -> bool:
    return not (told.n_standing or told.n_undated or aside) and told.bytes_gone


def _print(told: Forgotten, raw: Any, *, dry_run: bool) -> None:  # noqa: ANN401
    counts = ", ".join(f"{n} {table.replace('_', ' ')}" for table, n in sorted(told.n.items()))
    typer.echo(f"{'would be forgotten' if dry_run else 'forgotten'}: {counts or 'nothing'}")
    if told.n_withdrawn:
        typer.echo(f"{told.n_withdrawn} messages that waited to be sent are withdrawn")
    if told.n_sent:
        asked = f"{told.n_asked} requests to delete wait" if told.n_asked else "nobody is asked yet"
        typer.echo(f"{told.n_sent} messages had been received elsewhere: {asked} to delete them")
    if told.n_standing:
        typer.echo(f"{told.n_standing} alerts stand now and stay: acknowledge them, then ask again")
    if told.n_undated:
        typer.echo(f"{told.n_undated} runs have no date and were left alone: see --all")
    if raw is not None:
        typer.echo(f"{raw.n_packets} raw packets are gone")
        for name in raw.unsure:
            typer.echo(f"the date of segment {name} is lost, it was left alone: see --all")
    if not dry_run and not told.bytes_gone:
        typer.echo("the log of the database is read just now, and is emptied when that ends")
