"""What goes wrong with a connection, in words for whoever has to mend it."""

from __future__ import annotations

import socket
import ssl


def words(error: BaseException) -> str:
    """Return what went wrong with a connection, in words for whoever has to mend it."""
    if isinstance(error, socket.gaierror):
        return "its name is not known: is there a network?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"it is not who it should be: {_distrusted(error)}"
    if isinstance(error, ssl.SSLError):
        return _unsecured(error)
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there: does the broker run?"
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)[:120]


def _distrusted(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if "expired" in said:
        return "its certificate has expired; renew it there, and check the clock here"
    if "not yet valid" in said:
        return "its certificate is not valid yet: is the clock here right?"
    if "mismatch" in said or "match" in said:
        return "its certificate is for another name"
    if "self-signed" in said or "self signed" in said or "issuer" in said:
        return "its certificate is from an authority that is not trusted here"
    return f"its certificate is not accepted ({said[:80]})"


def _unsecured(error: ssl.SSLError) -> str:
    reason = (error.reason or "").lower().replace("_", " ")
    if "certificate required" in reason or "handshake failure" in reason:
        return "it wants a certificate of this box: run `homeward enrol`"
    if "expired" in reason:
        return "it says that the certificate of this box has expired: `homeward enrol --renew`"
    if "unknown ca" in reason or "bad certificate" in reason or "certificate unknown" in reason:
        return "it does not accept the certificate of this box"
    if "protocol version" in reason or "unsupported protocol" in reason:
        return "it only speaks a TLS older than 1.2, and that is not safe"
    if "wrong version number" in reason or "record layer" in reason:
        return "it does not speak TLS at this port"
    return f"no secure connection ({reason[:80] or type(error).__name__})"
