"""The last packets of a box in a folder, within a bound: the past that can be asked.

Files are numbered; a new one begins with each run and when one has reached an eighth of the bound,
and the oldest are removed. The first packet of a file that goes on with a run is a ``box:recap``:
what stood when it began (whose the sources are, what is known of the patients, the limits people
have set since the start), so that it can be read when the files before it are gone. Nothing
in it is encrypted.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.events import BEGUN_LIMITS, LIMIT, BegunLimits, Limits
from edge.packetlog.layout import LogError
from edge.packetlog.writer import PacketLogWriter
from edge.records import Packet

RECAP: Final = "box:recap"
PARTS: Final = 8
LEAST_BYTES: Final = 1 << 20
"""A part is at least so large, whatever the bound."""
MAX_FILES: Final = 500
"""A box that is started every minute leaves many small files; the oldest go."""
MAX_STANDING: Final = 512
"""Packets of a recap."""
_START: Final = "box:start"
_BOX: Final = "box"


class RollingLog:
    """Appends packets to the newest file of a folder; used like `PacketLogWriter`.

    Parameters
    ----------
    folder : Path
        Is made if absent.
    bound_bytes : int
        All files together stay within it, but for the newest part.

    Raises
    ------
    LogError
        The folder cannot be written.
    """

    def __init__(self, folder: Path, bound_bytes: int) -> None:
        self._folder, self._bound = folder, bound_bytes
        self._part = max(LEAST_BYTES, bound_bytes // PARTS)
        self._standing: dict[tuple[str, str], Packet] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._n = max((int(f.stem) for f in self._files()), default=0)
        except OSError as error:
            raise LogError(f"cannot write in {folder} ({error.strerror}): check it") from error
        self._log = self._open()

    def append(self, packet: Packet) -> None:
        """Take one packet.

        Raises
        ------
        LogError
            As for `PacketLogWriter.append`.
        """
        self._note(packet)
        self._log.append(packet)
        if self._log.n_bytes >= self._part:
            self._log.close()
            self._log = self._open()
            said = msgspec.msgpack.encode(list(self._standing.values()))
            self._log.append(Packet(_BOX, RECAP, packet.arrived_s, said))

    def close(self) -> None:
        """Write what waits, durably."""
        self._log.close()

    def _open(self) -> PacketLogWriter:
        self._n += 1
        log = PacketLogWriter(self._folder / f"{self._n:08d}.hwl")
        files = self._files()
        sizes = {file: file.stat().st_size for file in files}
        while len(files) > 1 and (sum(sizes.values()) > self._bound or len(files) > MAX_FILES):
            oldest = files.pop(0)
            del sizes[oldest]
            with suppress(OSError):  # it counts again at the next file
                oldest.unlink()
        return log

    def _files(self) -> list[Path]:
        return sorted(f for f in self._folder.glob("*.hwl") if f.stem.isdigit())

    def _note(self, packet: Packet) -> None:
        """Remember what stands from this packet on."""
        if packet.stream == LIMIT:
            self._limit(packet)
        if packet.source != _BOX:
            return
        try:
            said: dict[str, Any] = msgspec.json.decode(packet.payload, type=dict[str, Any])
        except msgspec.DecodeError:
            return
        if packet.stream == _START:
            self._standing.clear()  # another run
            said.pop("alerts", None)  # what stood then stands no more
            packet = msgspec.structs.replace(packet, payload=msgspec.json.encode(said))
        whose = said.get("source") or said.get("link") or said.get("patient") or ""
        if len(self._standing) < MAX_STANDING or (packet.stream, whose) in self._standing:
            self._standing[packet.stream, str(whose)] = packet

    def _limit(self, packet: Packet) -> None:
        """Let what a person set be what the run began with: that is what is in force."""
        try:
            told = msgspec.json.decode(packet.payload, type=Limits)
            begun = self._standing[BEGUN_LIMITS, told.patient]
            rules = msgspec.json.decode(begun.payload, type=BegunLimits).rules
        except (KeyError, msgspec.DecodeError):
            return
        said = BegunLimits(told.patient, {**rules, **told.rules})
        self._standing[BEGUN_LIMITS, told.patient] = msgspec.structs.replace(
            begun, payload=msgspec.json.encode(said)
        )
