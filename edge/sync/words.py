"""What goes wrong with a connection, in words for whoever has to mend it."""

from __future__ import annotations

import socket
import ssl

from edge.tls import tls_words


def words(error: BaseException) -> str:
    """Return what went wrong with a connection, in words for whoever has to mend it."""
    if isinstance(error, socket.gaierror):
        return "its name is not known: is there a network?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"it is not who it should be: {tls_words(error)}"
    if isinstance(error, ssl.SSLError):
        return tls_words(error)
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there: does the broker run?"
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)[:120]
