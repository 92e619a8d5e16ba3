"""``homeward alerts verify``: whether the record of the alarms is whole."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.text import Text

from edge.cli import DONE, FAILED
from edge.cli._shared import CommandError, print_json
from edge.cli._tables import console, table
from edge.cli._unlocking import keys_of
from edge.store.head import MIN_DIGITS, Head, parse_head
from edge.store.keeping import HeadState
from edge.store.verdict import Verdict
from edge.store.verification import verify


def check(database: Path, expect: str, *, json: bool) -> int:
    """Verify the record and print what was found; the exit code says whether it is whole.

    Raises
    ------
    CommandError
        What was expected is no head.
    edge.store.StoreError
        There is nothing to verify.
    """
    wanted: Head | None = None
    if expect:
        try:
            wanted = parse_head(expect)
        except ValueError as error:
            raise CommandError(str(error)) from error
    verdict = verify(database, wanted, keys_of(database.parent))
    if json:
        for flaw in verdict.flaws:
            print_json(flaw)
        facts = msgspec.to_builtins(verdict)
        del facts["flaws"]
        print_json(facts)
    else:
        _print(verdict)
    return DONE if verdict.whole else FAILED


def _print(verdict: Verdict) -> None:
    out = console()
    n_alerts = verdict.n_vouched.get("alerts", 0)
    if verdict.whole:
        text = f"whole: {verdict.n_rows} rows, {n_alerts} of them states of alerts"
        out.print(Text(text, style="bold green"))
    else:
        first = "" if verdict.first_broken is None else f", from row {verdict.first_broken}"
        text = f"BROKEN{first}: {verdict.n_flaws} things are not as they were written"
        out.print(Text(text, style="bold red"))
        rows = [["" if f.n is None else str(f.n), f.table, f.what, f.text] for f in verdict.flaws]
        out.print(table("", ("row", "table", "what", ""), rows))
        if verdict.n_flaws > len(verdict.flaws):
            out.print(f"and {verdict.n_flaws - len(verdict.flaws)} more")
    if verdict.expected == "found":
        out.print("the head that was written down is in it")
    if verdict.taken_over is not None:
        told = verdict.taken_over
        out.print(
            f"rows 1 to {told['n_rows']} are from before the chain, taken over at {told['at_utc']} "
            f"and vouched for from then on"
        )
    if verdict.head_file is HeadState.BEHIND:
        out.print(
            f"its head is behind by {verdict.behind_by}: a crash, or a monitor writes just now"
        )
    for note in verdict.notes:
        out.print(Text(note, style="yellow"))
    n, _, digits = verdict.head.partition(":")
    out.print(f"head {verdict.head}")
    out.print(
        f"write down {n}:{digits[:MIN_DIGITS]} and keep it elsewhere: `homeward alerts verify "
        f"--expect` proves later that nothing up to here has changed"
    )
