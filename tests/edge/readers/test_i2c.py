"""The parts of the reader of I2C sensors, each on its own; with smbus2: ``tests/rigs/i2c``."""

import asyncio
import errno
import os
import sys
import time

import msgspec
import pytest

from edge.bits import crc8
from edge.decoders import max30102 as pulse
from edge.decoders import mlx90614 as infrared
from edge.decoders import tmp117 as probe
from edge.readers import ReadError, Rim
from edge.readers._i2c_chip import ChipError, WrongChipError
from edge.readers._i2c_faults import words
from edge.readers._i2c_max30102 import Max30102
from edge.readers._i2c_mlx90614 import Mlx90614
from edge.readers._i2c_tmp117 import Tmp117
from edge.readers.i2c import READER, Settings
from edge.records import Packet


class Pulse:
    """A MAX30102's registers, as full as a test wants them."""

    address = 0x57

    def __init__(self):
        self.regs = {0xFF: 0x15, 0x09: 0}
        self.n = self.lost = self.read_ptr = self.next = 0
        self.keeps = True

    def fill(self, n, lost=0):
        self.n, self.lost = self.n + n, lost

    def read(self, register, n_bytes):
        if register == 0x04:
            assert n_bytes == 3
            return bytes([(self.read_ptr + self.n) % 32, self.lost, self.read_ptr])
        if register == 0x07:
            n = n_bytes // 6
            assert n_bytes == n * 6
            assert n <= self.n
            first, self.next = self.next, self.next + n
            self.n, self.lost, self.read_ptr = self.n - n, 0, (self.read_ptr + n) % 32
            return b"".join(bytes([0, 0, i & 0xFF] * 2) for i in range(first, first + n))
        return bytes(self.regs.get(register + i, 0) for i in range(n_bytes))

    def write(self, register, payload):
        if register == 0x09 and payload[0] & 0x40:
            self.regs[0x09] = 0
            return
        for i, byte in enumerate(payload):
            if self.keeps:
                self.regs[register + i] = byte


class Clock:
    def __init__(self):
        self.at_s = 100.0

    def __call__(self):
        return self.at_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def chip(clock):
    made = Max30102(100, 7.0)
    made.registers = Pulse()
    made.begin(made.registers, clock)
    return made


def head_of(taken):
    return pulse.HEAD.unpack_from(taken.payload)


def test_a_pulse_sensor_is_set_up_as_the_data_sheet_says(chip):
    regs = chip.registers.regs
    assert (regs[0x08], regs[0x09], regs[0x0A]) == (0x00, 0x03, 0x27)
    assert regs[0x0C] == regs[0x0D] == 35  # of 0.2 mA
    assert [regs[i] for i in (4, 5, 6)] == [0, 0, 0]


@pytest.mark.parametrize("rate_hz", [50, 100, 200, 400])
def test_it_is_polled_five_times_while_its_fifo_would_fill(rate_hz):
    assert Max30102(rate_hz, 7.0).poll_s * 5 * rate_hz == pytest.approx(32)


def test_its_counter_counts_what_was_read_and_what_was_lost(chip, clock):
    found = []
    for n, lost in ((6, 0), (7, 0), (32, 5), (0, 0), (3, 0)):
        chip.registers.fill(n, lost)
        clock.at_s += 0.06
        if taken := chip.poll(chip.registers, clock):
            found.append(head_of(taken)[:3])
            assert taken.at_s == clock.at_s
    assert found == [(0, 0, 6), (6, 0, 7), (13, 5, 32), (50, 0, 3)]


def test_when_it_can_count_no_further_counting_begins_anew(chip, clock):
    for n, lost in ((6, 0), (32, 31), (6, 0)):
        chip.registers.fill(n, lost)
        taken = chip.poll(chip.registers, clock)
    assert head_of(taken)[0] == 0


def test_its_packets_are_what_its_decoder_reads(chip, clock):
    chip.registers.fill(6)
    taken = chip.poll(chip.registers, clock)
    packet = Packet("i2c-1-57", chip.stream, taken.at_s, taken.payload)
    light = pulse.DECODER.open()(packet)[0]
    assert light.values.tolist() == list(range(6))
    assert light.fs_hz == 100.0


def test_a_fifo_that_stays_empty_for_as_long_as_it_takes_to_fill_is_a_fault(chip, clock):
    clock.at_s += 0.31
    assert chip.poll(chip.registers, clock) is None
    clock.at_s += 0.02
    with pytest.raises(ChipError, match="samples no more"):
        chip.poll(chip.registers, clock)


def test_a_chip_that_does_not_keep_its_settings_is_not_read(clock):
    registers = Pulse()
    registers.keeps = False
    with pytest.raises(ChipError, match="kept 00 00 00"):
        Max30102(100, 7.0).begin(registers, clock)


def test_its_older_sister_is_known_by_name(clock):
    registers = Pulse()
    registers.regs[0xFF] = 0x11
    with pytest.raises(WrongChipError, match="MAX30100"):
        Max30102(100, 7.0).begin(registers, clock)


def test_its_light_goes_out_at_the_end(chip):
    chip.end(chip.registers)
    assert chip.registers.regs[0x09] == 0x80


class Words:
    """A chip whose registers hold whole words."""

    def __init__(self, address, words):
        self.address, self.words, self.written = address, words, []

    def read(self, register, n_bytes):
        word = self.words[register]
        assert len(word) == n_bytes
        return word

    def write(self, register, payload):
        self.written.append((register, payload))


def smbus_word(address, command, word):
    raw = bytes([word & 0xFF, word >> 8])
    return raw + bytes([crc8(bytes([address << 1, command, address << 1 | 1]) + raw)])


@pytest.mark.parametrize("address", [0x5A, 0x10])
def test_an_infrared_thermometers_packets_are_what_its_decoder_reads(clock, address):
    object_, ambient = smbus_word(address, 7, 15358), smbus_word(address, 6, 14845)
    registers = Words(address, {7: object_, 6: ambient})
    chip = Mlx90614(10.0)
    chip.begin(registers, clock)
    taken = chip.poll(registers, clock)
    found = infrared.DECODER.open()(Packet("x", chip.stream, taken.at_s, taken.payload))
    assert [round(float(run.values[0]), 2) for run in found] == [34.01, 23.75]
    assert not registers.written, "its EEPROM wears out"


def test_a_thermometers_packets_are_what_its_decoder_reads(clock):
    registers = Words(0x48, {0x0F: b"\x31\x17", 1: b"\x22\x20", 0: b"\x12\x4d"})
    chip = Tmp117(10.0, "Armpit")
    chip.begin(registers, clock)  # of a later revision
    taken = chip.poll(registers, clock)
    (found,) = probe.DECODER.open()(Packet("x", chip.stream, taken.at_s, taken.payload))
    assert (found.signal, found.lead) == ("temp_degc", "Armpit")
    assert registers.written == [(1, b"\x02\x20")], "nothing else, and no EEPROM"


def test_a_thermometer_that_stops_converting_is_a_fault(clock):
    registers = Words(0x48, {0x0F: b"\x01\x17", 1: b"\x02\x20", 0: b"\x12\x4d"})
    chip = Tmp117(1.0, "")
    chip.begin(registers, clock)
    clock.at_s += 4.9
    assert chip.poll(registers, clock) is not None
    clock.at_s += 0.2
    with pytest.raises(ChipError, match="measures no more"):
        chip.poll(registers, clock)


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (errno.EREMOTEIO, "`i2cdetect -y 3` should show 57"),
        (errno.ENXIO, "nothing answers at 0x57 on /dev/i2c-3"),
        (errno.ETIMEDOUT, "/dev/i2c-3 hangs"),
        (errno.EIO, "disturbed"),
        (errno.EBUSY, "dtoverlay"),
        (errno.ENOENT, "dtparam=i2c_arm=on"),
        (errno.EACCES, "usermod -aG i2c"),
        (errno.ENOSPC, "No space"),
    ],
)
def test_every_error_says_what_to_do(number, wanted):
    assert wanted in words(OSError(number, os.strerror(number)), 3, 0x57)


def test_patience_that_ends_is_a_bus_that_hangs():
    assert "hangs" in words(TimeoutError(), 3, 0x57)


def test_without_smbus2_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(ReadError, match=r"pip install 'homeward\[pi\]'"):
        asyncio.run(READER.run(Settings(chip="tmp117"), Rim(lambda _: None, time.monotonic)))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"chip": "max30100"},
        {"chip": "max30102", "rate_hz": 800},
        {"chip": "tmp117", "address": 0x80},
        {"chip": "tmp117", "interval_s": 0.5},
        {"chip": "max30102", "led_ma": 60},
        {"chip": "tmp117", "wheels": 4},
    ],
)
def test_settings_that_no_chip_bears_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Settings)
