"""A child process that plays what is written to it: ``aplay`` of alsa-utils, fed without an end.

The player never stops between alarms: it is given silence. The pace at which it takes that is the
pace of the sound card's own clock, so a card that stalls, one that was pulled out and a driver
that only pretends are all known within seconds, while nothing alarms. ALSA opened for each
alarm would tell of its fault when the alarm comes.

Why a child and not a binding: a driver that hangs keeps every call into it for as long as it likes.
A child can be left, killed and started again; the monitor can not. Nothing here waits but
`Player.close`, which waits `LEAVE_S` at the most.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from typing import Final

from edge.annunciators._melody import FS_HZ

PIPE_BYTES: Final = 4096
"""The least a pipe can hold: 43 ms of sound that can not be taken back."""
PERIOD_MS: Final = 20
"""What aplay reads and writes at a time."""
SAMPLE_BYTES: Final = 2
LEAVE_S: Final = 0.5
MOST_COMPLAINT: Final = 300
"""Characters kept of what aplay says."""


class PlayerError(Exception):
    """The player does not play; the text says what happened and what to do."""


class Player:
    """One run of aplay.

    Parameters
    ----------
    device : str
        Of ALSA: ``default``, ``plughw:CARD=Headphones``; `aplay -L` lists them.
    buffer_ms : int
        What ALSA holds.
    program : str
        aplay itself.

    Raises
    ------
    PlayerError
        It can not be started.
    """

    def __init__(self, device: str, buffer_ms: int, program: str = "aplay") -> None:
        command = [program, "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-c", "1"]
        command += ["-r", str(FS_HZ), "-F", str(PERIOD_MS * 1000), "-B", str(buffer_ms * 1000), "-"]
        try:
            self._child = subprocess.Popen(  # noqa: S603  # a fixed command, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, "LC_ALL": "C"},
                # A Ctrl-C at the terminal is the monitor's to answer: it closes this one itself.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise PlayerError(
                f"{program} is not there: install it with `apt install alsa-utils`"
            ) from None
        except OSError as error:
            raise PlayerError(f"{program} can not be started: {error.strerror}") from error
        self.device = device
        self._said = ""
        self.n_underruns = 0
        for stream in (self._stdin, self._stderr):
            os.set_blocking(stream, False)
        fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    @property
    def gone(self) -> bool:
        """Whether the child has ended; one that a driver holds does not until that lets it go."""
        return self._child.poll() is not None

    def fileno(self) -> int:
        """Return the pipe, to be waited on until it can be written to."""
        return self._stdin

    def write(self, samples: memoryview) -> int:
        """Hand over bytes; return how many were taken, 0 where there is no room now.

        Raises
        ------
        PlayerError
            The player has ended; the text has what it said.
        """
        self._listen()
        try:
            return os.write(self._stdin, samples)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self._ended() from None

    def close(self) -> None:
        """End it, without playing what it still holds, and wait `LEAVE_S` for that at the most."""
        self._child.kill()
        for stream in (self._child.stdin, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        # One that a driver holds can not be killed; it goes when the driver lets it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(LEAVE_S)

    @property
    def _stdin(self) -> int:
        assert self._child.stdin is not None  # noqa: S101  # asked for above
        return self._child.stdin.fileno()

    @property
    def _stderr(self) -> int:
        assert self._child.stderr is not None  # noqa: S101
        return self._child.stderr.fileno()

    def _listen(self) -> None:
        """Read what it says, so that it never waits for us, and keep the end of it."""
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self._stderr, 4096).decode(errors="replace"):
                self.n_underruns += said.count("underrun")
                self._said = (self._said + said)[-MOST_COMPLAINT:]

    def _ended(self) -> PlayerError:
        # Its end of the pipe is closed a moment before it can be waited for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(0.1)
        self._listen()
        code = self._child.returncode
        how = "closed its input" if code is None else _how(code)
        # ALSA complains in many lines; aplay's own, the last, says what came of it.
        lines = [line.strip() for line in self._said.splitlines() if line.strip()]
        words = lines[-1] if lines else "it said nothing"
        return PlayerError(
            f"aplay on ALSA device {self.device!r} {how} ({words}): see that the loudspeaker's "
            f"card is there (`aplay -l`) and that no other program holds it"
        )


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
