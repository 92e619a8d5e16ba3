"""What may leave the box: one struct a kind of content, and nothing is in it that is not listed.

Everything that another machine is ever sent, and everything that a process with a network is ever
handed, is one of these structs. They are made from records by functions that copy the listed fields
and no other; a text is cut to its bound, a number out of its range is left out, and no struct can
hold a run of samples (`schema.faults` walks them all). `homeward ledger --schema` prints the list
for people, and ``tests/edge/egress/schema.txt`` holds it under review: a field that was added
without being listed there fails.

    bounds      the types of the fields: how long a text, how large a number
    board       what the process that sends notices is told of the monitor
    alert       one state of one alert, for a receiver's record
    summary     what one period looked like
    messages    notices, test notices, pings, questions, heartbeats, requests to delete
    allowed     the list: every kind, its struct, its version, and which consent it needs
    schema      the list as a table, and what no struct in it may have
    departure   one message on its way out, as the ledger keeps it
    outbox      what the sender is handed: what waits, and entry by entry
    numbers     how a patient is now, for a display in the home
    private     blurred summaries: differential privacy, and what of the budget is spent
    noise       how these are blurred, exactly
    consent     which kinds people let leave

Pure: no clock, no disk, no network.
"""

from __future__ import annotations


class EgressError(ValueError):
    """A message is not what the list allows; the text says what, and nothing of its content."""
