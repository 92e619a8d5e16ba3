"""Telling people who are not at the box, from a process of its own: ``homeward notify``.

It may open network connections, and so it must not be able to see raw data: all it knows of the
monitor is what `edge.control.board` allows, asked for on a local socket. Whatever happens to the
network, the monitor goes on; whatever happens to the monitor, this process says so.

    content     what a notice says, and how it is known again
    telling     who is due to be told what: from the board and what was told before
    waiting     what one destination has yet to be sent: rate, summaries, backoff
    memory      what was told, kept over a restart so that nobody is told twice
    follower    the monitor's board, followed; reports handed back
    journal     what was sent while the monitor could not be told
    witness     tells the monitor of every message before it is sent
    sender      one destination, served until the end
    ways        the destinations as configured, opened
    proof       a test notice by every way, when asked, and what it showed
    deadman     the ping that stops when the monitor does
    notifier    all of it, running
    channels/   one file a way to send
"""

from __future__ import annotations

from edge.secret import SecretError


class NoticesError(SecretError):
    """The notices cannot be sent as configured; the text says why and what to do."""
