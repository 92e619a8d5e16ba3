"""A terminal that takes nothing any more holds up neither the monitor nor its alarms."""

import contextlib
import fcntl
import os
import signal
from pathlib import Path

from edge.alerts import Answer
from edge.cli._lines import MAX_LINES, Lines
from edge.control import Tell
from tests.edge.cli.box import Box, status_of, wait_for

PIPE_BYTES = 4096


def full_pipe():
    """Return both ends of a pipe that holds no more."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(writing, b"x" * PIPE_BYTES)
    return reading, writing


def fill(reading):
    """Write to a pipe, of which only the reading end is at hand, until it holds no more."""
    writing = os.open(f"/proc/self/fd/{reading}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.close(writing)


def test_lines_come_out_in_their_order():
    reading, writing = os.pipe()
    lines = Lines(writing)
    for i in range(100):
        lines.write(f"line {i}\n")
    lines.close()
    os.close(writing)
    with os.fdopen(reading) as out:
        assert out.read().splitlines() == [f"line {i}" for i in range(100)]


def test_what_finds_no_room_is_counted_and_nobody_waits():
    reading, writing = full_pipe()
    lines = Lines(writing)
    for i in range(2 * MAX_LINES):
        lines.write(f"line {i}\n")
    out = b""
    while b"were lost" not in out:
        out += os.read(reading, 65536)
    lines.close()
    told = out.decode().splitlines()

    assert told[1] == "line 1"
    assert int(told[-1].rpartition("=")[2]) + len(told) - 1 in range(
        2 * MAX_LINES - 2, 2 * MAX_LINES + 1
    )
    os.close(reading)
    os.close(writing)


def test_a_reader_that_went_away_stops_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    lines = Lines(writing)
    for _ in range(10):
        lines.write("nobody reads this\n")
    lines.close()
    os.close(writing)

    assert not lines._thread.is_alive()


def test_a_monitor_whose_log_nobody_reads_goes_on_and_stops_in_order(tmp_path: Path):
    box = Box(tmp_path)
    monitor = box.start("--simulate", "quiet")
    try:
        fcntl.fcntl(monitor.stderr.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        wait_for(lambda: status_of(box), 30.0, "the start")
        fill(monitor.stderr.fileno())
        for i in range(10):  # each writes a line
            box.ask(Tell(Answer("hand_off", by="Ann", to=f"carer {i}")))
        before_s = status_of(box)["live"]["now_s"]
        wait_for(lambda: status_of(box)["live"]["now_s"] >= before_s + 1.0, 10.0, "a second")
        monitor.send_signal(signal.SIGTERM)
        assert monitor.wait(15.0) == 0
    finally:
        monitor.kill()
        monitor.communicate()
