"""The command line: one file a command, imported only when that command is called.

A command is a module ``edge/cli/<name>.py`` with one public function named ``command``:

    def command(
        config: ConfigFile = None,
        data_dir: DataDir = None,
        *,
        json: AsJson = False,
    ) -> int | None:
        '''What `homeward <name> --help` says, in full.'''

and one row in `COMMANDS`. The parameters are typer's; those every command shares are in
`edge.cli._shared`, with `parse_span` for spans and `load_config` for the configuration.

- It returns its exit code: `DONE` (the same as None), `FAILED`, `WRONG_USE` or `FOUND`.
- It raises what it cannot mend. Errors listed in `KNOWN_ERRORS` are told in one message without
  a traceback; any other exception is a fault of ours and keeps its traceback.
- Facts go to standard output (with ``--json`` as JSON lines, a summary object last), everything
  else to standard error. Ctrl-C and a reader of the output that has gone (``| head``) end a
  command quietly; neither needs handling in it, except to clean up in ``finally``.
- Its module may import what it needs at the top; nothing else imports it.

This module and `edge.__main__` import typer and nothing heavier, so that ``--help`` is quick.
"""

from __future__ import annotations

import functools
import importlib
import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import typer

Command: TypeAlias = Callable[..., int | None]

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
FOUND: Final = 3
"""Done, and alarms or warnings were found."""
INTERRUPTED: Final = 130
"""Ctrl-C: 128 + SIGINT, as shells count it."""
UNREAD: Final = 141
"""Nobody reads the output any more: 128 + SIGPIPE."""

COMMANDS: Final[Mapping[str, str]] = {
    "demo": "No hardware: a simulated patient, live view and alarms.",
    "simulate": "Virtual Bluetooth sensors, to try it all without hardware.",
    "run": "The daemon: read sensors, watch, store, alarm.",
    "replay": "Run the monitor over a recording and print its records.",
    "scan": "What sensors are in the air, or at the serial ports.",
    "pair": "Pair with a sensor: only then can it be told from others.",
    "devices": "The sensors of this box: list, name, assign, remove.",
    "status": "What is happening now.",
    "alerts": "Alerts of the last hours, or those open now.",
    "ack": "Acknowledge an alert.",
    "pause": "Pause the sound of the alarms, for two minutes at most.",
    "notify": "Tell people who are not at the box, and a watcher far away.",
    "enrol": "Key and certificate of this box, for those who receive from it.",
    "sync": "Send alerts and summaries to records far away.",
    "handover": "Hand the watch to another carer.",
    "enter": "Enter what no sensor sees, or what you measured.",
    "limits": "The alarm limits in force for each patient, and changing them.",
    "export": "Raw signals as EDF+, WFDB, CSV or FHIR, for you alone.",
    "report": "One alert on a printable page: strip, vital signs, who answered.",
    "whatif": "The patient's own past under other limits.",
    "unlock": "Give the running monitor the passphrase of its key.",
    "receive": "The other end: store what boxes send, and answer it.",
    "ledger": "What left the box, word for word; forgetting what it said.",
    "consent": "What may leave the box, and switching it.",
    "vault": "The raw packets kept here: list, verify, forget, change the key.",
    "forget": "Erase records and raw packets of a span, a patient, or all.",
    "config": "Every setting in force, and where it was set.",
    "doctor": "Check the box end to end and say how to mend what is wrong.",
}
"""Command -> its line in ``homeward --help``; the module is ``edge.cli.<command>``."""

GROUPS: Final[Mapping[tuple[str, str], str]] = {("receive", "ca"): "edge.cli._receive_ca"}
"""Commands of a command: each a function of the typer application ``APP`` of that module."""

KNOWN_ERRORS: Final[Mapping[str, int]] = {
    "edge.bundle.BundleError": FAILED,
    "edge.cli._shared.CommandError": FAILED,
    "edge.config.settings.ConfigError": WRONG_USE,
    "edge.control.ControlError": FAILED,
    "edge.devices.DevicesError": FAILED,
    "edge.enrol.EnrolError": FAILED,
    "edge.export.spool.ExportError": FAILED,
    "edge.keys.device.KeysError": FAILED,
    "edge.limits.LimitsError": FAILED,
    "edge.packetlog.layout.LogError": FAILED,
    "edge.pairing.errors.PairingError": FAILED,
    "edge.readers.ReadError": FAILED,
    "edge.records.signals.ScorerError": FAILED,
    "edge.store.database.StoreError": FAILED,
    "edge.tls.TlsError": FAILED,
    "edge.sync.SyncError": FAILED,
    "edge.vault.layout.VaultError": FAILED,
}
"""Errors that are no fault of ours, by full name (so that none is imported) -> exit code.

Their text is all a user sees: it says what happened, to what, and what to do.
"""

_EPILOG: Final = (
    "Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with alarms or warnings found. "
    "Homeward is not a medical device."
)


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the application, with the one command that `arguments` name imported.

    All others are there by name and line of help only.
    """
    app = typer.Typer(
        name="homeward",
        help="A bedside monitor for the home: alarms with no network, data that stays here.",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    words = [word for word in arguments if not word.startswith("-")]
    wanted = words[0] if words else None
    group = GROUPS.get((words[0], words[1])) if len(words) > 1 else None
    if group is not None:
        within = typer.Typer(rich_markup_mode=None)
        within.add_typer(importlib.import_module(group).APP, name=words[1])
        app.add_typer(within, name=wanted)
        return app
    for name, line in COMMANDS.items():
        if name == wanted:
            command = importlib.import_module(f"edge.cli.{name}").command
            app.command(name, short_help=line)(guarded(command))
        else:
            app.command(name, help=line)(_not_called)
    return app


def call(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    app = build(arguments)
    try:
        app(args=list(arguments), prog_name="homeward")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    return DONE


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from edge.cli._shared import homeward_version

        typer.echo(f"homeward {homeward_version()}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(  # noqa: FBT001  # typer's way to declare an option
        False,  # noqa: FBT003
        "--version",
        help="Print the version and end.",
        is_eager=True,
        callback=lambda value: _show_version(wanted=value),
    ),
) -> None:
    """Take the options before the command; they act on their own."""
    del version


def _not_called() -> None:
    """Stand for a command that was not named: typer needs something to list."""
    raise AssertionError("only the command that was named is ever run")


def guarded(command: Command) -> Callable[..., None]:
    """Return the command, ending as the command line promises."""

    @functools.wraps(command)
    def ended(*values: object, **named: object) -> None:
        try:
            code = command(*values, **named)
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
        raise typer.Exit(code or DONE)

    return ended


def _exit_code(error: Exception) -> int | None:
    """Tell a known error; return its exit code, or None for one nobody foresaw."""
    if isinstance(error, BrokenPipeError):
        return _broken_pipe(error)
    for kind in type(error).__mro__:
        code = KNOWN_ERRORS.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            typer.echo(f"homeward: {_printable(error)}", err=True)
            return code
    return None


def _printable(error: Exception) -> str:
    """Return the text of an error; where it goes to the journal, without anything personal."""
    if "JOURNAL_STREAM" not in os.environ or sys.stderr.isatty():
        return str(error)
    from edge.journal.lines import printable_error

    return printable_error(error, to_journal=True)


def _broken_pipe(error: BrokenPipeError) -> int:
    """End quietly when nobody reads the output; tell any other broken pipe.

    typer would end both without a word.
    """
    if _nobody_reads():
        # What is still buffered would fail again, with noise, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    typer.echo(
        f"homeward: a connection broke off ({error}); try again, and if it stays so see "
        f"`homeward doctor`",
        err=True,
    )
    return FAILED


def _nobody_reads() -> bool:
    """Return whether the far end of standard output is closed.

    A broken pipe may also be the control socket's; that one is not to be passed over.
    """
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
