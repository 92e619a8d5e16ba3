"""What every command shares: quick help, exit codes, quiet ends, spans of time."""

from __future__ import annotations

import errno
import importlib
import inspect
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from edge import cli
from edge.__main__ import main
from edge.cli import COMMANDS, FOUND, INTERRUPTED, KNOWN_ERRORS, UNREAD
from edge.cli._shared import CommandError, parse_span
from edge.config import ConfigError

ROOT = Path(__file__).parents[3]
HEAVY = {"numpy", "scipy", "onnxruntime", "msgspec", "rich", "sqlite3", "asyncio", "structlog"}
HEAVY |= {"wfdb", "edfio", "pandas", "edge.records", "edge.config"}


@pytest.fixture
def command(monkeypatch):
    """Put a function in the place of ``homeward doctor``."""

    def put(function):
        module = type(sys)("edge.cli.doctor")
        module.command = function
        monkeypatch.setitem(sys.modules, "edge.cli.doctor", module)

    return put


def _python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_and_the_exit_codes(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", printed, re.MULTILINE), name
    assert "3 done with alarms" in " ".join(printed.split())
    assert "not a medical device" in " ".join(printed.split())


def test_help_imports_nothing_heavy():
    ended = _python("-X", "importtime", "-m", "edge", "--help")
    assert ended.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "edge.cli" in imported
    assert imported & HEAVY == set()
    assert not any(name.startswith("edge.cli.") for name in imported)


def test_help_is_quick():
    def best_s(*arguments):
        spent = []
        for _ in range(5):
            began = time.perf_counter()
            assert _python(*arguments).returncode == 0
            spent.append(time.perf_counter() - began)
        return min(spent)

    assert best_s("-m", "edge", "--help") < 3 * best_s("-c", "pass") + 0.3


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_keeps_the_convention(name):
    function = importlib.import_module(f"edge.cli.{name}").command
    parameters = inspect.signature(function).parameters
    assert {"config", "data_dir"} <= parameters.keys()
    assert inspect.getdoc(function)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    assert main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "--config" in printed
    assert "--data-dir" in printed


def test_every_command_module_is_listed():
    written = {path.stem for path in (ROOT / "edge/cli").glob("[a-z]*.py")}
    assert written <= COMMANDS.keys()


@pytest.mark.parametrize("name", KNOWN_ERRORS)
def test_every_known_error_exists(name):
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), kind), Exception)
    assert getattr(importlib.import_module(module), kind).__module__ == module


@pytest.mark.parametrize("arguments", [[], ["dcotor"], ["doctor", "--nope"], ["--nope"]])
def test_wrong_use_ends_with_2_and_a_hint(arguments, capsys, command):
    command(lambda: None)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert "homeward" in printed.out + printed.err


def test_a_mistyped_command_is_guessed(capsys):
    assert main(["dcotor"]) == 2
    assert "doctor" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("homeward")


@pytest.mark.parametrize("code", [0, 1, 2, FOUND])
def test_a_command_s_answer_is_the_exit_code(code, command):
    command(lambda: code)
    assert main(["doctor"]) == code


def test_a_command_that_answers_nothing_is_done(command):
    command(lambda: None)
    assert main(["doctor"]) == 0


def _raise(error):
    def raising() -> None:
        raise error

    return raising


@pytest.mark.parametrize(("error", "code"), [(CommandError("no"), 1), (ConfigError("no"), 2)])
def test_a_known_error_is_one_message_without_traceback(error, code, command, capsys):
    command(_raise(error))
    assert main(["doctor"]) == code
    assert capsys.readouterr().err == "homeward: no\n"


def test_a_fault_of_ours_keeps_its_traceback(command):
    command(_raise(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_a_broken_pipe_that_is_not_the_output_s_is_no_quiet_end(command, capfd):
    command(_raise(BrokenPipeError(errno.EPIPE, "the daemon went away")))
    assert main(["doctor"]) == 1
    assert "the daemon went away" in capfd.readouterr().err


def test_options_are_read_through_the_guard(command):
    taken = []

    def with_options(*, for_s: Annotated[float, typer.Option("--for", parser=parse_span)]) -> None:
        taken.append(for_s)

    command(with_options)
    assert main(["doctor", "--for", "20s"]) == 0
    assert taken == [20.0]
    assert main(["doctor", "--for", "soon"]) == 2


def test_ctrl_c_ends_quietly(command, capsys):
    command(_raise(KeyboardInterrupt()))
    assert main(["doctor"]) == INTERRUPTED
    assert capsys.readouterr() == ("", "")


_ENDLESS = """
import sys, types
from edge.__main__ import main
def command() -> None:
    while True:
        sys.stdout.write("line\\n" * 100)
        sys.stdout.flush()
module = types.ModuleType("edge.cli.doctor")
module.command = command
sys.modules["edge.cli.doctor"] = module
sys.exit(main(["doctor"]))
"""


@pytest.mark.parametrize(("way", "code"), [("head", UNREAD), ("ctrl-c", INTERRUPTED)])
def test_an_endless_command_ends_quietly(way, code):
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE
    ) as running:
        os.close(writer)
        assert os.read(reader, 5) == b"line\n"
        if way == "head":
            os.close(reader)
        else:
            running.send_signal(signal.SIGINT)
            # A pipe nobody empties would hold the command inside its write.
            while os.read(reader, 65536):
                pass
            os.close(reader)
        _, said = running.communicate(timeout=20)
    assert said == b""
    assert running.returncode == code


@pytest.mark.parametrize(
    ("text", "span_s"),
    [("20s", 20), ("8h", 28800), ("7d", 604800), ("90", 90), ("5m", 300), ("5min", 300),
     ("1.5h", 5400), (" 2 s ", 2), ("0.25s", 0.25)],
)  # fmt: skip
def test_a_span_is_read(text, span_s):
    assert parse_span(text) == span_s


@pytest.mark.parametrize(
    "text",
    ["", "s", "h8", "-5s", "+5s", "0", "0s", "1e3", "nan", "inf", "5x", "5 s s", "20S", "1,5h",
     "٣s", "1h30m", "9999999999d", "1" * 400],
)  # fmt: skip
def test_nonsense_is_no_span(text):
    with pytest.raises(typer.BadParameter):
        parse_span(text)


@given(st.floats(0.001, 1e6), st.sampled_from(["", "s", "m", "h", "d"]))
def test_a_span_scales_with_its_unit(number, unit):
    number = round(number, 3)
    factor = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    if number * factor <= 3000 * 86400:
        assert parse_span(f"{number:.3f}{unit}") == pytest.approx(number * factor)


@given(st.text())
def test_any_text_is_a_span_or_refused(text):
    try:
        assert parse_span(text) > 0
    except typer.BadParameter as refused:
        assert repr(text) in refused.message  # noqa: PT017  # both ways are right


def test_nothing_is_listed_that_has_no_help():
    assert all(line.endswith(".") and len(line) < 70 for line in cli.COMMANDS.values())
