import math

import pytest

from edge.decoders import NotMineError
from edge.decoders.battery import DECODER
from edge.records import Packet


def read(payload: bytes) -> float:
    (found,) = DECODER.open()(Packet("strap", DECODER.streams[0], 5.0, payload))
    assert (found.signal, found.spot) == ("battery_pct", False)
    return float(found.values[0])


@pytest.mark.parametrize("level", range(101))
def test_every_level_is_a_value(level):
    assert read(bytes([level])) == level


@pytest.mark.parametrize("level", range(101, 256))
def test_more_than_full_is_no_value(level):
    assert math.isnan(read(bytes([level])))


def test_nothing_is_not_a_level():
    with pytest.raises(NotMineError, match="empty"):
        read(b"")


def test_it_has_no_profile_because_every_device_is_asked_for_its_battery():
    assert DECODER.profiles == ()
