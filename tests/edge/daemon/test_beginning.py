"""What a run's packets begin with."""

from __future__ import annotations

from edge.daemon.beginning import first_packets
from edge.events import Facts
from tests.edge.store.test_store import RUN


def test_a_log_begins_when_the_run_did_and_not_when_it_was_ready() -> None:
    """A replay cuts its periods from there on, and a start may take seconds."""
    first, *others = first_packets(RUN, None, (Facts("patient-1"),), (), RUN.started_s + 3.2)
    assert (first.stream, first.arrived_s) == ("box:start", RUN.started_s)
    assert [packet.arrived_s for packet in others] == [RUN.started_s + 3.2]
