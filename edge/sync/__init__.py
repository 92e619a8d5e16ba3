"""Outbox -> records far away, from a process of its own: ``homeward sync``.

It may open network connections, and so it must not be able to see raw data: all it knows of the
monitor is what the monitor hands out on a local socket (`edge.control.syncing`). Whatever happens
to the network, the monitor goes on, and nothing is settled but by a receipt.

    parcel      an entry and a message on their way, and what came back
    follower    the monitor's board, and what it hands out
    witness     tells the monitor of every message before it is sent
    policy      what leaves next, and when
    backoff     when to try again, and whose turn it is after an outage
    gates       whether a destination may be tried now: a network, a clock, its turn
    network     the routes, and that they have changed
    budget      the bytes of the day
    underway    what was sent and has no receipt yet
    opening     the destinations as configured
    post        one destination and all that is known of it
    outgoing    entries -> one message -> its transport
    incoming    receipts -> marks
    states      heartbeats and numbers
    sender      one destination, served until the end
    runner      all of it, running
    wire        envelopes and receipts as they go over the wire
    fhir/       entries as FHIR R4
    sinks/      one file a destination
"""

from __future__ import annotations


class SyncError(Exception):
    """The sender cannot work as configured; the text says why and what to do."""
