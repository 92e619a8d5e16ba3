"""The simulation as a whole: determinism, pace, scenarios, the reader."""

import asyncio
import sys
import time

import msgspec
import pytest

from edge.readers import Reader, ReadError, Rim
from edge.readers._scenario import built_in_scenarios, read_scenario
from edge.readers.simulated import READER, Settings, packets, truth
from tests.edge.readers.simulated_rig import ALL_DEVICES, see


@pytest.fixture(scope="module")
def calm():
    return see(Settings("quiet", devices=ALL_DEVICES, duration_s=300.0))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, again, other = (
        [msgspec.msgpack.encode(p) for p in packets(Settings("demo", seed, ALL_DEVICES))]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_device_sends_the_same_whatever_else_is_worn():
    alone = list(packets(Settings("faults", devices=("clip",))))
    among = [p for p in packets(Settings("faults", devices=ALL_DEVICES)) if p.source == "sim:clip"]
    assert alone == among


def test_packets_come_in_order_of_arrival(calm):
    arrivals = [packet.arrived_s for packet in calm.packets]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 0.0
    assert arrivals[-1] < 301.0


def test_every_device_speaks_at_its_pace(calm):
    n_packets = {name: len(calm.of(name)) for name in ALL_DEVICES}
    repeats = 2 * 30
    assert n_packets == {
        "board": pytest.approx(3000 + repeats, abs=3),
        "motion": pytest.approx(1500 + repeats, abs=3),
        "pleth": pytest.approx(1500 + repeats, abs=3),
        "thermometer": pytest.approx(30 + repeats, abs=3),
        "clip": pytest.approx(299, abs=1),
        "strap": pytest.approx(299, abs=1),
    }


def test_the_truth_lists_what_was_played():
    played = truth(Settings("demo"))
    names = [episode.name for episode in played.episodes]
    assert names == ["rest", "desaturation", "pvcs", "vt_run", "electrode_off", "rest"]
    (fall,) = played.episodes_named("desaturation")
    assert (fall.start_s, fall.end_s) == (25.0, 77.0)
    assert set(played.boots) == {"sim:board", "sim:clip", "sim:motion", "sim:thermometer"}
    assert played.patient.age == 71


def test_the_demo_shows_a_desaturation_that_lasts_and_the_rest_is_calm():
    seen = see(Settings("demo"))
    arrivals, values = seen.arrivals_s("clip", "spo2_pct"), seen.values("clip", "spo2_pct")
    low = arrivals[values < 85]
    assert 36 <= low.size <= 48
    assert low[0] < 40
    assert values[(arrivals < 25) | (arrivals > 95)].min() >= 95
    assert 180 <= seen.truth.duration_s <= 200


@pytest.mark.parametrize("name", ["demo", "quiet", "night", "arrhythmia", "faults"])
def test_a_built_in_scenario_can_be_played(name):
    assert name in built_in_scenarios()
    scenario = read_scenario(name)
    assert all(event.end_s <= scenario.duration_s for event in scenario.events)
    assert sum(1 for _ in packets(Settings(name, duration_s=20.0))) > 200


def test_the_night_is_eight_hours_and_the_faults_are_all_there():
    assert read_scenario("night").duration_s == 8 * 3600
    assert read_scenario("quiet").duration_s == 3600
    kinds = {episode.name for episode in truth(Settings("faults", duration_s=10)).episodes}
    link_faults = {"bursts", "radio_loss", "clock_drift", "restart", "frozen_value"}
    assert kinds >= link_faults | {"electrode_off", "clip_off"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[events]]\nkind="af"\nat_s=1\nfor_s=1\n[[events]]\nkind="flu"\nat_s=1\nfor_s=1',
         ("event 2", "flu", "desaturation")),
        ('[[events]]\nkind="af"\nat_s=1\nfor_s=1\nbmp=3', ("event 1 (af)", "bmp", "rr_spread")),
        ('[[events]]\nkind="af"\nat_s=1', ("event 1 (af)", "for_s")),
        ('[[events]]\nkind="fall"\nat_s=1\nfor_s=1\nimpact_g=1.0', ("event 1 (fall)", "impact_g")),
        ('[[events]]\nkind="rest"\nat_s=99\nfor_s=1', ("event 1", "after the end", "duration_s")),
        ("[patient]\nheight=3", ("height", "hr_bpm")),
        ("[links.board]\nspeed=3", ("speed", "latency_s")),
        ("[links.phone]\nppm=3", ("phone", "thermometer")),
        ("colour=3", ("colour", "title")),
        ("title=3 4", ("not valid TOML", "line")),
        ("[[events]]\nat_s=1", ("event 1", "kind")),
    ],
)  # fmt: skip
def test_a_scenario_that_cannot_be_understood_says_where_and_what_is_right(tmp_path, text, words):
    path = tmp_path / "wrong.toml"
    head = "" if text.startswith("title") else 'title="t"\nduration_s=60\n'
    path.write_text(head + text)
    with pytest.raises(ReadError) as raised:
        read_scenario(str(path))
    for word in ("wrong.toml", *words):
        assert word in str(raised.value)


def test_an_unknown_scenario_names_those_there_are():
    with pytest.raises(ReadError, match=r"nowhere\.toml.*demo.*night"):
        packets(Settings("nowhere.toml"))


def test_a_patient_without_devices_is_refused():
    with pytest.raises(ReadError, match="no device"):
        packets(Settings(devices=()))


def test_a_day_starts_at_once():
    start_s = time.thread_time()
    stream = packets(Settings("quiet", devices=ALL_DEVICES, duration_s=86_400.0))
    for _ in range(50):
        next(stream)
    assert time.thread_time() - start_s < 1.0


def test_an_hour_of_everything_costs_less_than_twenty_seconds():
    start_s = time.thread_time()
    n_packets = sum(1 for _ in packets(Settings("quiet", devices=ALL_DEVICES, duration_s=600.0)))
    assert n_packets > 13_000
    assert time.thread_time() - start_s < 20.0 / 6


def test_memory_does_not_grow_with_the_night():
    stream = packets(Settings("quiet", devices=("clip",), duration_s=8 * 3600.0))
    n_blocks = []
    for hour in (3, 7):
        assert any(packet.arrived_s > hour * 3600 for packet in stream)
        n_blocks.append(sys.getallocatedblocks())
    # Remembering the 15,000 beats of these four hours would take three blocks for each.
    assert n_blocks[1] < n_blocks[0] + 20_000


def test_the_reader_delivers_when_packets_are_due_and_stamps_them_by_the_clock():
    assert isinstance(READER, Reader)
    assert READER.name == "simulated"
    settings = Settings("quiet", devices=("board", "clip"), speed=40.0, duration_s=12.0)
    wanted = list(packets(settings))
    delivered = []

    def fast_s() -> float:
        return 1000.0 + 40.0 * time.monotonic()

    start_s = fast_s()
    asyncio.run(READER.run(settings, Rim(delivered.append, fast_s)))
    assert [p.payload for p in delivered] == [p.payload for p in wanted]
    assert fast_s() - start_s >= wanted[-1].arrived_s > 11.0
    for packet, planned in zip(delivered, wanted, strict=True):
        late_s = packet.arrived_s - start_s - planned.arrived_s
        # Never early; late by what the event loop needs, forty times stretched.
        assert 0.0 <= late_s < 40.0


def test_a_reader_that_is_cancelled_stops():
    async def stop_after(some_s: float) -> int:
        delivered = []
        task = asyncio.create_task(
            READER.run(Settings("quiet"), Rim(delivered.append, time.monotonic))
        )
        await asyncio.sleep(some_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(delivered)

    assert 3 <= asyncio.run(stop_after(0.7)) < 60


def test_settings_are_checked_when_they_are_read():
    for wrong in ({"speed": 0}, {"devices": ["watch"]}, {"seed": -1}, {"scenery": "demo"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Settings)
    assert msgspec.convert({"devices": ["clip"]}, Settings).devices == ("clip",)
