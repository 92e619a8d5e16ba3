"""The control point by itself: every request it knows, and many that nobody should send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.gatt import RECORD_ACCESS, Records, uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual._record_access import CAPACITY, RecordAccess
from tests.edge.virtual.port import Bench

ON = uuid(0x2A18)
CONTEXT = uuid(0x2A34)
PAUSE_S = 0.02


class Meter:
    """A device that does nothing but answer its control point."""

    def __init__(self, numbers: range, *, numbered: bool = True) -> None:
        self.records = RecordAccess(numbered=numbered, pause_s=PAUSE_S)
        for number in numbers:
            self.records.keep(number, (ON, b"\x00" + number.to_bytes(2, "little")))

    async def run(self, port: Port) -> None:
        pass

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        assert uuid == RECORD_ACCESS
        await self.records.answer(port, payload)

    def value(self, uuid: str, now_s: float) -> None:
        pass


def bench(numbers: range = range(10, 20), *, numbered: bool = True, air_s: float = 0.0) -> Bench:
    characteristics = (
        Characteristic(ON, ("notify",)),
        Characteristic(CONTEXT, ("notify",)),
        Characteristic(RECORD_ACCESS, ("write", "indicate")),
    )
    wearable = Wearable(
        "meter",
        "",
        "",
        (Service(uuid(0x1808), characteristics),),
        lambda _: Meter(numbers, numbered=numbered),
    )
    found = Bench(wearable, air_s=air_s)
    found.subscribe_all()
    return found


def ask(meter: Bench, request: bytes) -> tuple[list[int], list[bytes]]:
    """Return the numbers of the records that came, and what the control point said."""
    meter.write(RECORD_ACCESS, request)
    sent = meter.run(60.0)
    numbers = [int.from_bytes(s.payload[1:3], "little") for s in sent if s.uuid == ON]
    return numbers, [s.payload for s in sent if s.uuid == RECORD_ACCESS]


def filtered(operator: int, *numbers: int, kind: int = 1) -> bytes:
    tail = b"".join(number.to_bytes(2, "little") for number in numbers)
    return bytes([operator, kind]) + tail


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (bytes([1]), range(10, 20)),
        (filtered(2, 12), range(10, 13)),
        (filtered(3, 17), range(17, 20)),
        (filtered(4, 12, 14), range(12, 15)),
        (filtered(4, 12, 12), range(12, 13)),
        (bytes([5]), range(10, 11)),
        (bytes([6]), range(19, 20)),
    ],
)
def test_it_reports_counts_and_deletes_what_a_request_selects(selection, numbers):
    meter = bench()
    n_wanted = len(numbers).to_bytes(2, "little")
    assert ask(meter, b"\x04" + selection) == ([], [b"\x05\x00" + n_wanted])
    assert ask(meter, b"\x01" + selection) == (list(numbers), [b"\x06\x00\x01\x01"])
    assert ask(meter, b"\x02" + selection) == ([], [b"\x06\x00\x02\x01"])
    left = [number for number in range(10, 20) if number not in numbers]
    assert [record.number for record in meter.peripheral.records.records] == left


@pytest.mark.parametrize("op_code", [1, 2])
def test_nothing_selected_is_no_records(op_code):
    request = bytes([op_code]) + filtered(3, 100)
    assert ask(bench(), request) == ([], [bytes([6, 0, op_code, 6])])
    assert ask(bench(range(0)), bytes([op_code, 1])) == ([], [bytes([6, 0, op_code, 6])])


@pytest.mark.parametrize(
    ("request_hex", "ended"),
    [
        ("", 2),
        ("00", 2),
        ("07 01", 2),
        ("FF", 2),
        ("01", 3),
        ("01 00", 3),
        ("01 07", 3),
        ("01 01 01", 5),
        ("01 03", 5),
        ("01 03 01 05", 5),
        ("01 04 01 05 00", 5),
        ("01 04 01 06 00 05 00", 5),
        ("01 03 02 05 00", 9),
        ("03 01", 3),
    ],
)
def test_a_wrong_request_is_told_why(request_hex, ended):
    request = bytes.fromhex(request_hex)
    op_code = request[0] if request else 0
    assert ask(bench(), request) == ([], [bytes([6, 0, op_code, ended])])


@given(st.binary(max_size=12))
def test_any_request_is_answered_once(request):
    assert len(ask(bench(range(2)), request)[1]) == 1


@pytest.mark.parametrize("operator", [2, 3, 4, 5, 6])
def test_records_without_numbers_can_only_be_asked_for_together(operator):
    meter = bench(numbered=False)
    assert ask(meter, bytes([1, operator, 1, 5, 0])) == ([], [b"\x06\x00\x01\x04"])
    assert ask(meter, b"\x01\x01")[0] == list(range(10, 20))


def test_what_the_reader_asks_for_is_understood():
    records = Records(on=ON, sequence_at=1)
    assert ask(bench(), records.request(None))[0] == list(range(10, 20))
    assert ask(bench(), records.request(16))[0] == [16, 17, 18, 19]


def test_an_abort_stops_the_records_and_is_the_only_answer():
    meter = bench(range(100))
    meter.write(RECORD_ACCESS, b"\x01\x01")
    meter.run(10.5 * PAUSE_S)
    numbers, said = ask(meter, b"\x03\x00")
    assert numbers == []
    assert said == [b"\x06\x00\x03\x01"]
    assert ask(meter, b"\x04\x01")[1] == [b"\x05\x00\x64\x00"]


def test_an_abort_with_nothing_to_abort_is_well_and_does_not_stop_the_next_report():
    meter = bench()
    assert ask(meter, b"\x03\x00") == ([], [b"\x06\x00\x03\x01"])
    assert len(ask(meter, b"\x01\x01")[0]) == 10


def test_a_second_request_at_once_is_not_completed_and_the_first_goes_on():
    meter = bench()
    meter.write(RECORD_ACCESS, b"\x01\x01")
    meter.run(1.5 * PAUSE_S)
    numbers, said = ask(meter, b"\x04\x01")
    assert said == [b"\x06\x00\x04\x08", b"\x06\x00\x01\x01"]
    assert len(numbers) == 8


def test_a_link_that_breaks_ends_the_report_and_the_next_one_is_whole():
    meter = bench(air_s=0.01)
    meter.write(RECORD_ACCESS, b"\x01\x01")
    meter.run(0.1)
    listens, meter.listens = meter.listens, set()
    assert meter.run(10.0) == []
    meter.listens = listens
    assert len(ask(meter, b"\x01\x01")[0]) == 10


def test_a_record_may_be_sent_in_parts_on_several_characteristics():
    meter = bench(range(0))
    meter.peripheral.records.keep(3, (ON, b"\x10\x03\x00"), (CONTEXT, b"\x00\x03\x00"))
    meter.write(RECORD_ACCESS, b"\x01\x01")
    assert [one.uuid for one in meter.run(1.0)] == [ON, CONTEXT, RECORD_ACCESS]


def test_a_full_device_forgets_the_oldest():
    records = bench(range(CAPACITY + 5)).peripheral.records.records
    assert (len(records), records[0].number) == (CAPACITY, 5)
