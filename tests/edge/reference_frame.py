"""The serial frame once more, byte by byte, from ``hardware/PACKET.md`` alone.

Written without `edge.frame` and `edge.bits`, so that two makers must agree on every byte.
"""

from __future__ import annotations

import struct


def crc16(raw: bytes) -> int:
    crc = 0xFFFF
    for byte in raw:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


def cobs(raw: bytes) -> bytes:
    out, block = bytearray(), bytearray()
    for at, byte in enumerate(raw):
        if byte:
            block.append(byte)
        if not byte or (len(block) == 254 and at + 1 < len(raw)):
            out += bytes([len(block) + 1]) + block
            block = bytearray()
            # A full block stands for no zero of its own.
            if byte == 0:
                continue
    return bytes(out + bytes([len(block) + 1]) + block)


def frame(kind: int, sequence: int, clock_us: int, body: bytes) -> bytes:
    plain = struct.pack("<BHI", kind, sequence, clock_us) + body
    return cobs(plain + struct.pack("<H", crc16(plain)))


def text(said: str) -> bytes:
    return bytes([len(said)]) + said.encode("ascii")


def description(
    fs_mhz: int,
    channels: list[tuple[int, float, float, str, str]],
    device: str = "",
    firmware: str = "",
    flags: int = 0,
) -> bytes:
    body = struct.pack("<BBIB", 1, flags, fs_mhz, len(channels)) + text(device) + text(firmware)
    for number_type, gain, baseline, signal, lead in channels:
        body += struct.pack("<Bdd", number_type, gain, baseline) + text(signal) + text(lead)
    return body


def command(code: int, sequence: int, rate_mhz: int | None = None) -> bytes:
    rate = b"" if rate_mhz is None else struct.pack("<I", rate_mhz)
    return b"\0" + frame(4, sequence, 0, struct.pack("<B", code) + rate) + b"\0"


def answer(code: int, sequence: int, result: int, rate_mhz: int) -> bytes:
    return struct.pack("<BHBI", code, sequence, result, rate_mhz)
