"""What only the thermometer does; the rest is in `test_spot_wearables`."""

from edge.decoders.thermometer import DECODER
from edge.virtual.thermometer import FIRST_S, PLACE, WARM_UP_S, WEARABLE
from tests.edge.virtual.listening import decode, values_of
from tests.edge.virtual.port import Bench


def listened_to() -> Bench:
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def test_the_probe_warms_up_to_the_measurement():
    found = decode(DECODER, listened_to().run(FIRST_S))
    probe, measured = values_of(found, "probe_degc"), values_of(found, "temp_degc")
    assert len(probe) == WARM_UP_S
    assert probe == sorted(probe)
    assert 0.0 <= measured[-1] - probe[-1] < 1.0
    assert {s.lead for _, s in found} == {"ear"}


def test_the_place_can_be_read():
    assert listened_to().read(PLACE) == b"\x03"
