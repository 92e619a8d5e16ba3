"""The first seconds of a connection: does the other end take us, and if not, why."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from edge.fetch import addresses
from edge.tls import tls_words

CONNECT_S: Final = 10.0
SETTLE_S: Final = 1.5
"""With TLS 1.3 a server says only after the handshake that it wants another certificate."""


async def refusal(host: str, port: int, context: ssl.SSLContext) -> str:
    """Shake hands with a server and hang up; return why that fails, empty: it does not.

    Nothing is sent but the handshake.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await _connect(host, port, context)
    except (OSError, EOFError, UnicodeError) as error:
        return tls_words(error)
    try:
        async with asyncio.timeout(SETTLE_S):
            said = await reader.read(1)
    except TimeoutError:
        return ""  # it waits for us to begin
    except (OSError, EOFError) as error:
        return tls_words(error)
    finally:
        writer.transport.abort()
    return "" if said else tls_words(EOFError())


async def _connect(
    host: str, port: int, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    last: OSError = OSError("it has no address")
    for address in await addresses(host, port):
        try:
            return await asyncio.open_connection(
                address[0], address[1], ssl=context, server_hostname=host
            )
        except ssl.SSLError:
            raise  # somebody is there, and is not taken
        except OSError as error:
            last = error
    raise last
