"""Sockets the monitor listens on; a disk that will not have them keeps nobody from watching."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from edge.control import ControlError
from edge.control.server import ControlServer, DiskRefusesError

AGAIN_S: Final = 5.0
"""How long after the disk refused a socket it is asked again."""

_log = structlog.get_logger("monitor")


async def listen(server: ControlServer, *, alone: bool) -> Coroutine[Any, Any, None]:
    """Listen, and return what has yet to be done for that, to be run beside all else.

    Parameters
    ----------
    alone : bool
        Whether nothing may go on where another monitor has this place, or the folder is wrong.

    Raises
    ------
    ControlError
        Only where `alone`.
    """
    try:
        await server.start()
    except DiskRefusesError as error:
        _log.error("nobody can ask this monitor; it watches all the same", error=str(error))
        return _listen_later(server)
    except ControlError as error:
        if alone:
            raise
        _log.error("nobody can ask here", socket=str(server.path), error=str(error))
    return _nothing()


async def _listen_later(server: ControlServer) -> None:
    while True:
        await asyncio.sleep(AGAIN_S)
        try:
            await server.start()
        except DiskRefusesError:
            continue
        except ControlError as error:
            _log.error("nobody can ask this monitor", error=str(error))
        else:
            _log.info("listening", socket=str(server.path))
        return


async def _nothing() -> None:
    return
