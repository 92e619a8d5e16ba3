"""``homeward doctor --alarm-path``: the running monitor tests itself, and each row is shown."""

from __future__ import annotations

import getpass
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rich.text import Text

from edge.cli import DONE, FAILED
from edge.cli._shared import print_json
from edge.cli._tables import console
from edge.config import Config
from edge.control import AnswerSelfTest, BeginSelfTest, FollowSelfTest
from edge.control.client import ControlClient

_SHORT: Final = {
    "passed": ("passed", "green"),
    "failed": ("FAILED", "bold red"),
    "not there": ("not there", "dim"),
    "cannot be known from here": ("unknown", "yellow"),
}
"""Verdict -> what stands at the beginning of the line, and how."""


def prove_alarm_path(config: Config, *, listen: bool, by: str | None, json: bool) -> int:
    """Have the running monitor test its alarm path; show each row as it comes.

    Returns
    -------
    int
        0 when the alarm path is proven, 1 when something failed.

    Raises
    ------
    edge.control.ControlError
        No monitor is running, or it does not answer.
    """
    name = by or getpass.getuser()
    counts: Counter[str] = Counter()
    out = console()
    with ControlClient(config.box.socket) as client:
        if not json:
            out.print("This is a test of the alarm path: a tone may sound.\n")
        begun = client.ask(BeginSelfTest(name, listen))
        for line in _lines(client, begun["id"]):
            if json:
                print_json(line)
            if line["record"] == "self_test_row":
                counts[line["verdict"]] += 1
                if not json:
                    _print_row(out, line)
            elif line["record"] == "self_test_question" and listen:
                _put(client, begun["id"], line, name)
            elif line["record"] == "alarm_path" and not json:
                _print_end(out, line, counts)
    return DONE if line["proven"] else FAILED


def _lines(client: ControlClient, test_id: str) -> Iterator[dict[str, Any]]:
    """Return what the test tells, as it comes; last what it proved."""
    after, done = 0, False
    ended: dict[str, Any] = {}
    while not done:
        told = client.ask(FollowSelfTest(test_id, after))
        after, done = after + len(told["lines"]), told["done"]
        for line in told["lines"]:
            if line["record"] == "self_test":
                ended = line
            else:
                yield line
    failed = any(row["verdict"] == "failed" for row in ended["rows"])
    took_s = round(ended["ended_s"] - ended["began_s"], 3)
    proven = bool(ended["rows"]) and not failed
    facts = {"id": test_id, "asked_by": ended["asked_by"], "took_s": took_s}
    facts["stored"] = told["stored"]
    yield {"record": "alarm_path", "proven": proven, "words": told["words"], **facts}


def _put(client: ControlClient, test_id: str, question: dict[str, Any], name: str) -> None:
    """Ask the person at the terminal, and hand on what they say; questions go to stderr."""
    sys.stderr.write(f"  {question['text']}{' [y/n] ' if question['answer'] else chr(10)}")
    sys.stderr.flush()
    if question["answer"]:
        said = sys.stdin.readline().strip().lower()
        if said:  # the end of the input answers nothing
            client.ask(AnswerSelfTest(test_id, question["n"], said in {"y", "yes"}, name))


def _print_row(out: Any, row: dict[str, Any]) -> None:  # noqa: ANN401  # rich's console
    shown, style = _SHORT[row["verdict"]]
    label = f"{row['subject']} {row['part']}".lstrip()
    line = Text.assemble((f"{shown:<10}", style), f"{label}: {row['found']}")
    took = f" ({row['took_s']:.1f} s)" if row["took_s"] >= 0.1 else ""
    out.print(line.append(took, style="dim"))
    if row["why"]:
        out.print(Text(f"          why:  {row['why']}", style="dim"))
    if row["cure"]:
        out.print(Text(f"          mend: {row['cure']}"))


def _print_end(out: Any, line: dict[str, Any], counts: Counter[str]) -> None:  # noqa: ANN401
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _SHORT if counts[verdict])
    style = "green" if line["proven"] else "bold red"
    out.print(Text(f"\n{line['words']} ({line['took_s']:.1f} s: {told})", style=style))
    if not line["stored"]:
        out.print(Text("not stored yet: the disk does not take it (homeward doctor)", "yellow"))
