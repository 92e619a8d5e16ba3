"""``homeward unlock``: give the running monitor the passphrase of its key."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from edge.cli import DONE, FOUND
from edge.cli._aside import UNLOCK_S
from edge.cli._shared import AsJson, CommandError, ConfigFile, DataDir, load_config, print_json
from edge.cli._vault import passphrase
from edge.control import Unlock
from edge.control.client import ControlClient


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who you are. Default: login name.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Open the keys of this box in the running monitor, until it is started anew.

    The passphrase is asked for at a terminal, else read from the file that
    HOMEWARD_PASSPHRASE_FILE names, or from standard input. It is not kept. Ends with exit code 3
    when the key is open, and raw data are still not kept for another reason.
    """
    settings = load_config(config, data_dir)
    asked = passphrase()
    typed = asked() if asked is not None else sys.stdin.readline().rstrip("\n")
    if not typed:
        raise CommandError(
            "no passphrase was given: type it at a terminal, give it on standard input, or name a "
            "file that holds it in HOMEWARD_PASSPHRASE_FILE"
        )
    with ControlClient(settings.box.socket, UNLOCK_S) as client:
        answer = client.ask(Unlock(typed, by or getpass.getuser()))
    kept = bool(answer["kept"])
    if json:
        print_json({"record": "unlocked", **answer})
    else:
        typer.echo("The key is open" + (", and raw data are kept." if kept else "."))
    if not kept and settings.vault.enabled:
        typer.echo("homeward: raw data are not kept yet: see `homeward status`", err=True)
        return FOUND
    return DONE
