"""What Python makes of a line of ``hardware/common/vectors.txt``, as ``core_says.c`` does in C.

Frames are written and read by `edge.frame` and `edge.bits`; only the inbox of a board is written
here once more, because nothing in Python takes commands.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge import bits, frame

VECTORS = Path(__file__).parents[2] / "hardware" / "common" / "vectors.txt"
TYPES = {"i16": 0, "i32": 2, "f32": 3}
MAX_LINE, MAX_COMMAND = 1_024, 32
TOO_LONG, REFUSED, NOTHING = "too long", "refused", "nothing"


def cases() -> list[tuple[str, str]]:
    """Return question and answer of every line of the vectors."""
    found = []
    for line in VECTORS.read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            question, equals, answer = line.rpartition(" = ")
            assert equals, f"no vector: {line}"
            found.append((question, answer))
    return found


def words(line: str) -> list[str]:
    """Return the words of a line; quotes hold one together."""
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', line)]


def octets(said: list[str]) -> bytes:
    """Return the bytes of words such as ``0A``, ``11x254``, ``01..FE``."""
    out = b""
    for word in said:
        if "x" in word:
            byte, times = word.split("x")
            out += bytes.fromhex(byte) * int(times)
        elif ".." in word:
            first, last = word.split("..")
            out += bytes(range(int(first, 16), int(last, 16) + 1))
        else:
            out += bytes.fromhex(word)
    return out


def in_full(answer: str) -> str:
    """Return an answer with its repeated bytes written out."""
    return in_hex(octets(answer.split())) if re.search(r"x|\.\.", answer) else answer


def in_hex(raw: bytes) -> str:
    return raw.hex(" ").upper()


def on_line(kind: int, sequence: str, clock_us: str, body: bytes, room: int = MAX_LINE) -> str:
    packed = frame.pack(kind, int(sequence), int(clock_us), body) + b"\0"
    return in_hex(packed) if len(packed) <= min(room, MAX_LINE) else TOO_LONG


def single(text: str) -> float:
    """Return a number as a float of four bytes holds it: a board has no other."""
    return float(np.float32(float(text)))


def description(said: list[str]) -> frame.Description:
    rate_mhz, device, firmware, *rest = said
    channels = [
        frame.Channel(signal, lead, TYPES[kind], single(gain), single(baseline))
        for kind, gain, baseline, signal, lead in zip(*[iter(rest)] * 5, strict=True)
    ]
    return frame.Description(int(rate_mhz) / 1000, tuple(channels), device, firmware)


def samples(types: str, values: list[str]) -> bytes:
    kinds = [TYPES[name] for name in types.split(",")]
    formats = [frame.NUMBER_TYPES[kind] for kind in kinds]
    out = b""
    for at, value in enumerate(value for value in values if value != "/"):
        form = formats[at % len(formats)]
        if form.kind == "f":
            out += np.array(np.nan if value == "none" else float(value), form).tobytes()
        else:
            out += np.array(np.iinfo(form).min if value == "none" else int(value), form).tobytes()
    return out


def _written(said: list[str], room: int) -> str:
    what, *rest = said
    if what == "frame":
        return on_line(int(rest[0]), rest[1], rest[2], octets(rest[3:]), room)
    sequence, clock_us, *rest = rest
    if what == "description":
        kind, body = frame.DESCRIPTION, frame.pack_description(description(rest))
    elif what == "samples":
        kind, body = frame.SAMPLES, samples(rest[0], rest[1:])
    elif what == "status":
        battery_pct = None if rest[1] == "255" else int(rest[1])
        kind, body = frame.STATUS, frame.pack_status(frame.Status(int(rest[0]), battery_pct))
    else:
        # Python only reads answers; what it reads is checked in test_vectors.py.
        kind, body = frame.ANSWER, struct.pack("<BHBI", *map(int, rest))
    return on_line(kind, sequence, clock_us, body, room)


def _unstuffed(said: list[str]) -> str:
    try:
        return in_hex(bits.cobs_decode(octets(said))) or REFUSED
    except ValueError:
        return REFUSED


def _read(said: list[str]) -> str:
    try:
        whole = frame.unpack(octets(said))
    except frame.FrameError:
        return REFUSED
    return f"{whole.kind} {whole.sequence} {whole.clock_us} {in_hex(whole.body)}".strip()


def _taken(said: list[str]) -> str:
    *pieces, _ = octets(said).split(b"\0")
    found = []
    for piece in pieces:
        if len(piece) >= MAX_COMMAND:
            continue
        try:
            whole = frame.unpack(piece)
        except frame.FrameError:
            continue
        if whole.kind != frame.COMMAND or not whole.body:
            continue
        code, rate = whole.body[0], whole.body[1:5]
        has_rate = code == frame.Code.RATE and len(rate) == 4
        rate_mhz = int.from_bytes(rate, "little") if has_rate else 0
        found.append(f"{code} {whole.sequence} {rate_mhz}")
    return " / ".join(found) or NOTHING


def _float(said: list[str]) -> str:
    return in_hex(struct.pack("<fd", single(said[0]), single(said[0])))


_ASKED: dict[str, Callable[[list[str]], str]] = {
    "crc": lambda said: f"{bits.crc16(octets(said)):04X}",
    "float": _float,
    "unstuff": _unstuffed,
    "read": _read,
    "take": _taken,
}


def says(question: str) -> str:
    """Return the answer to a line, as ``core_says`` gives it."""
    said = words(question)
    if said[0] in _ASKED:
        return _ASKED[said[0]](said[1:])
    if said[0] == "room":
        return _written(said[2:], int(said[1]))
    return _written(said, MAX_LINE)
