"""The other end: what boxes send, stored once, and answered with a receipt.

It is what a clinic runs, and a home may: it subscribes to a broker, or is asked over HTTP, stores
what comes (`store`), and only when that is on the medium says so, signed (`signing`). It keeps
nothing in memory that counts: kill it whenever you like, run as many as you like on one database.

    broker / ingress   bytes of a box, and who vouches that they are its
    desk               groups of them -> one transaction -> receipts
    store              what is kept: SQLite, or PostgreSQL for many
    silence            a box that says nothing any more
"""

from __future__ import annotations


class ReceiveError(Exception):
    """The receiver cannot work as asked; the text says why and what to do."""
