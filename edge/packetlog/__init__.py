"""Packets in a file: append-only, in blocks that stand alone, readable when damaged.

Layout, little endian. The file begins with a head of 16 bytes::

    89 48 57 4C 0D 0A 1A 0A   magic; any tool that mends line ends breaks it visibly
    VV VV 00 00               version, reserved
    CC CC CC CC               CRC-32 of the 12 bytes before

and goes on with blocks::

    C5 48 57 42 4C 4B A7 00   marker
    NN NN NN NN               packets in the block
    LL LL LL LL               length of the body in bytes
    BB BB BB BB               CRC-32 of the body
    HH HH HH HH               CRC-32 of the 20 bytes before
    body

Body: number of names (u16), each name as length (u16) and UTF-8; then for all packets the
arrivals (f64), the sources and streams (u16 each, index of the name), the lengths (u32) and the
payloads. Names begin anew in every block, so a damaged block spoils no other. Within the body
the marker's first seven bytes are followed by an extra ``FF``, so no payload can look like
the start of a block, and a reader that lost its place finds it again at the next marker.
"""

from edge.packetlog.layout import RECAP, LogError, LogReport
from edge.packetlog.scan import is_packet_log, read
from edge.packetlog.writer import PacketLogWriter

__all__ = [
    "RECAP",
    "LogError",
    "LogReport",
    "PacketLogWriter",
    "is_packet_log",
    "read",
]
