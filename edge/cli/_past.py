"""The patient's own past, as commands find it, and recall it once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edge.assemble import facts_of, open_scorer, settings_of
from edge.cli._shared import CommandError
from edge.cli._unlocking import keys_of
from edge.cli._vault import has_vault, vault_folder, vault_nights
from edge.clock import WallLog
from edge.config import Config
from edge.events import FACTS, tell
from edge.store import StoreError, open_history
from edge.whatif.axis import Axis
from edge.whatif.nights import Night, from_logs, from_recording, from_scenario
from edge.whatif.recalling import Recalled, recall
from edge.whatif.study import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Callable


def the_patient(config: Config, named: str | None) -> str:
    """Return whose past is meant.

    Raises
    ------
    CommandError
        There is no such patient, or more than one to choose from.
    """
    known = [patient.id for patient in config.patients]
    if named is None and len(known) == 1:
        return known[0]
    if named not in known:
        said = "which patient is meant?" if named is None else f"there is no patient {named!r}."
        raise CommandError(f"{said} Give --patient one of: {', '.join(known)}")
    return named


def nights_of(
    config: Config,
    logs: Sequence[Path],
    recording: Path | None,
    scenario: str | None,
    span_s: float | None,
) -> Iterator[Night]:
    """Return the past that was asked for.

    Raises
    ------
    CommandError
        There is none.
    """
    if sum((bool(logs), recording is not None, scenario is not None)) > 1:
        raise CommandError("give one of --log, --recording and --simulate")
    if recording is not None or scenario is not None:
        night = (
            next(from_recording(recording))
            if recording is not None
            else next(from_scenario(scenario or ""))
        )
        year = datetime.now().astimezone().year
        facts = [tell(FACTS, known, 0.0) for known in facts_of(config, year)]
        yield Night(night.run_id, chain(facts, night.packets), night.begin_s, night.end_s)
        return
    if logs:
        yield from from_logs(logs, span_s)
        return
    if not has_vault(config.box.data_dir):
        raise CommandError(
            f"there is no past to ask: the vault {vault_folder(config.box.data_dir)} is empty. The "
            f"running monitor fills it ([vault] enabled); or name a packet log with --log "
            f"(`homeward run --log FILE` writes it), or a recording with --recording"
        )
    yield from vault_nights(config.box.data_dir, span_s)


def recalled(config: Config, nights: Iterator[Night], *, quiet: bool) -> list[Recalled]:
    """Return what the rules saw, with a bar on the terminal while it takes time.

    Raises
    ------
    CommandError
        Nothing was watched.
    """
    scorer = open_scorer(config.model.bundle) if config.model.enabled else None
    settings = settings_of(config)
    found = []
    with contextlib.ExitStack() as stack:
        bar = _bar(stack, quiet=quiet)
        for night in nights:
            one = recall(night, RUN_ID, settings, scorer, bar(night))
            if one is not None and one.length_s > 0.0:
                found.append(one)
    if not found:
        raise CommandError("nothing was watched in this span; choose a longer one with --span")
    return found


def axis_of(config: Config, nights: Sequence[Recalled]) -> Axis:
    """Return the axis of these nights, by the clock on the wall where the store knows it."""
    began: list[datetime | None] = [None] * len(nights)
    with contextlib.suppress(StoreError, LookupError):
        with open_history(config.box.data_dir, keys_of(config.box.data_dir)) as history:
            wall = WallLog(history.clock_log())
            boots = {run.run_id: run.boot_id for run in history.runs()}
        for number, night in enumerate(nights):
            if night.run_id in boots:
                utc, _ = wall.utc_of(night.begin_s, boots[night.run_id])
                began[number] = utc.astimezone()
    return Axis(nights, began)


def _bar(
    stack: contextlib.ExitStack, *, quiet: bool
) -> Callable[[Night], Callable[[float], None] | None]:
    if quiet or not sys.stderr.isatty():
        return lambda _night: None
    from rich.console import Console
    from rich.progress import Progress

    bar = stack.enter_context(Progress(console=Console(stderr=True), transient=True))

    def of(night: Night) -> Callable[[float], None]:
        length_s = night.end_s - night.begin_s
        task = bar.add_task("remembering", total=length_s if length_s < float("inf") else None)
        return lambda done_s: bar.update(task, completed=done_s)

    return of


def say_note(text: str) -> None:
    """Say something beside the facts."""
    typer.echo(f"homeward: {text}", err=True)
