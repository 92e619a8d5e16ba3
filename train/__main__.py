"""``python -m train`` (also ``homeward-train``): offline work on annotated recordings.

Exit codes: 0 done, 1 failed (the message says what and how to mend it), 2 wrong use. Facts go to
the standard output, progress to the standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from train.fit import CrossValidated
    from train.recordings import Recording
    from train.table import Run, Table

Item = TypeVar("Item")
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of recordings [HOMEWARD_DATA or ../shared/data]"),
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Where replayed recordings are kept [~/.cache/homeward]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines, a summary object last")]
Out = Annotated[Path, typer.Option("--out", help="Model folder to write")]

MODEL_ID = "ecg_window"
MODEL_VERSION = "1"
FEWEST_PEOPLE = 6
"""Cross-validation over fewer people says nothing."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="From annotated recordings to the model the monitor carries.",
)


@app.command()
def table(
    out: Annotated[Path, typer.Option("--out", help="File to write (.npz)")] = Path("table.npz"),
    data: Data = None,
    cache: Cache = None,
    as_json: AsJson = False,  # noqa: FBT002  # typer makes a flag of it
) -> None:
    """Replay all recordings through the monitor and write the table of windows."""
    _, windows, _ = _windows(data, cache)
    windows.save(out)
    facts = {
        "table": str(out),
        "n_windows": len(windows.why),
        "n_anomalous": int(windows.anomalous.sum()),
        "n_inputs": len(windows.names),
    }
    _say(facts, as_json=as_json)


@app.command()
def fit(
    out: Out,
    data: Data = None,
    cache: Cache = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Fit the model, test it on people it has not seen, and write the model folder."""
    from edge.bundle import Source
    from train.evaluate import GAPS, model_facts
    from train.export import About, write_bundle
    from train.fit import FLOORS, NEEDS, final_threshold, fit_model
    from train.recordings import LICENCE

    recordings, windows, _ = _windows(data, cache)
    result = _cross_validated(windows)
    figures = model_facts(windows, result)
    about = About(
        id=MODEL_ID,
        version=MODEL_VERSION,
        threshold=final_threshold(result),
        sources=(
            Source(
                "MIT-BIH Arrhythmia Database, doi:10.13026/C2F305",
                LICENCE,
                tuple(r.name for r in recordings),
            ),
        ),
        figures=figures,
        known_gaps=GAPS,
        needs=NEEDS,
        floors=FLOORS,
    )
    card = write_bundle(fit_model(windows), about, windows.values, out)
    facts = {"folder": str(out), "model_id": card.model_id, "sha256": card.sha256, **figures}
    _say(facts, as_json=as_json)


@app.command()
def evaluate(
    data: Data = None,
    cache: Cache = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say how well beats and anomalous windows are found, record by record."""
    from edge.bundle import load
    from edge.scorer import Scorer
    from train.ec57 import BeatCounts
    from train.evaluate import beat_facts, count_beats, model_facts, record_facts, shipped_facts

    recordings, windows, runs = _windows(data, cache)
    counts = dict(count_beats(recordings, runs))
    summary: dict[str, Any] = {
        "records": len(recordings),
        "beats": beat_facts(sum(counts.values(), BeatCounts(0, 0, 0))),
        "shipped_model_on_strangers": shipped_facts(windows, Scorer(load())),
    }
    told: dict[str, dict[str, Any]] = {}
    if len({r.subject for r in recordings}) >= FEWEST_PEOPLE:
        result = _cross_validated(windows)
        told = record_facts(windows, result)
        summary["windows"] = model_facts(windows, result)
    else:
        sys.stderr.write(f"fewer than {FEWEST_PEOPLE} people: no model is cross-validated\n")
    records: list[dict[str, Any]] = [
        {"record": r.name, "beats": beat_facts(counts[r.name]), "windows": told.get(r.name)}
        for r in recordings
    ]
    if as_json:
        for facts in [*records, summary]:
            sys.stdout.write(json.dumps(facts) + "\n")
    else:
        _print_records(records)
        strangers = summary["shipped_model_on_strangers"]
        gross = summary["beats"] | summary.get("windows", {})
        _say(gross | {"shipped_model_on_strangers": strangers}, as_json=False)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Model folder to check and describe")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Check a model folder as a release must be: whole, allowed operators, right answers."""
    import onnx

    from edge.bundle import load
    from edge.scorer import Scorer
    from train.export import check_graph

    bundle = load(folder)
    check_graph(onnx.load_model_from_string(bundle.model))
    worst = Scorer(bundle).self_test()
    facts = {
        "model_id": bundle.card.model_id,
        "n_inputs": len(bundle.card.features),
        "n_bytes": len(bundle.model),
        "threshold": bundle.card.threshold,
        "golden_off_by": worst,
        "sha256": bundle.card.sha256,
    }
    _say(facts, as_json=as_json)


def main() -> None:
    """Run the command line; what goes wrong is one sentence on the standard error."""
    from edge.bundle import BundleError
    from edge.readers import ReadError
    from train.recordings import DataError

    try:
        app(prog_name="homeward-train")
    except (BundleError, DataError, ReadError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error


def _windows(
    data: Path | None, cache: Path | None
) -> tuple[tuple[Recording, ...], Table, dict[str, Run]]:
    from train.recordings import data_root, find_recordings
    from train.table import build_table, collect_runs, default_cache, input_names

    recordings = find_recordings(data_root(data))
    names = input_names()
    show = _progress("replaying", _name)
    runs = collect_runs(recordings, names, cache or default_cache(), show)
    return recordings, build_table(recordings, runs, names), runs


def _name(recording: Recording) -> str:
    """Return the name of a recording."""
    return recording.name


def _cross_validated(windows: Table) -> CrossValidated:
    from train.fit import cross_validate

    return cross_validate(windows, progress=_progress("testing on", str))


def _progress(
    what: str, name_of: Callable[[Item], str]
) -> Callable[[Sequence[Item]], Iterable[Item]]:
    """Return a wrapper that shows how far a loop is, on the standard error."""

    def show(items: Sequence[Item]) -> Iterable[Item]:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=len(items))
            for item in items:
                bar.update(task, description=f"{what} {name_of(item)}")
                yield item
                bar.advance(task)

    return show


def _say(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        sys.stdout.write(f"{name:<{width}}  {value}\n")


def _print_records(records: list[dict[str, Any]]) -> None:
    say = sys.stdout.write
    say("Beats from 5:00, within 150 ms; windows by a model that never saw the person\n\n")
    headings = ["record", "beats", "FN", "FP", "Se %", "+P %"]
    headings += ["normal", "anom.", "AUROC", "Se %", "false", "abst."]
    say(" ".join(f"{heading:>6}" for heading in headings) + "\n")
    for facts in records:
        b, w = facts["beats"], facts["windows"] or {}
        cells = [facts["record"], b["tp"] + b["fn"], b["fn"], b["fp"], b["se_pct"], b["ppv_pct"]]
        names = ("n_normal", "n_anomalous", "auroc", "se_pct", "n_false", "n_abstained")
        cells += [w.get(name) for name in names]
        shown = ("-" if cell is None else str(cell) for cell in cells)
        say(" ".join(f"{cell:>6}" for cell in shown) + "\n")
    say("\n")


if __name__ == "__main__":
    main()
