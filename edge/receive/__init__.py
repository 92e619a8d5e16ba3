"""The other end: takes what boxes send, stores each entry once, and gives receipts."""

from __future__ import annotations


class ReceiveError(Exception):
    """The receiver cannot work as asked; the text says why and what to do."""
