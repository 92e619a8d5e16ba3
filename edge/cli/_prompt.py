"""Questions on a terminal, asked while the rest goes on: an answer can come too late."""

from __future__ import annotations

import asyncio
import os
import sys

from edge.cli._shared import CommandError


def on_terminal() -> bool:
    """Return whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def say(text: str) -> None:
    """Tell the person something; facts go to standard output instead."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


async def ask(question: str) -> str:
    """Return the line a person types; cancelling it takes the question back.

    Raises
    ------
    CommandError
        Nobody is there any more.
    """
    sys.stderr.write(question + " ")
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    handle = sys.stdin.fileno()
    answer: asyncio.Future[bytes] = loop.create_future()

    def take() -> None:
        # A terminal gives a line at a time, and its end as nothing.
        if not answer.done():
            answer.set_result(os.read(handle, 4096))

    loop.add_reader(handle, take)
    try:
        line = await answer
    except asyncio.CancelledError:
        sys.stderr.write("\n")
        raise
    finally:
        loop.remove_reader(handle)
    if not line:
        raise CommandError("the input has ended before the question was answered; start again")
    return line.decode("utf-8", "replace").strip()


async def agree(question: str) -> bool:
    """Return whether a person says yes; anything but a clear yes is a no."""
    return (await ask(f"{question} [y/N]")).casefold() in {"y", "yes"}
