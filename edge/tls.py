"""TLS as it is used everywhere here, and words for every way in which it fails.

TLS 1.2 or later, the chain and the name always checked, and by the same strict rules on every
Python (3.13 made them the default: a CA certificate without key usage is refused). Where a CA file
is given it alone is believed, not the hundred authorities of the system. There is no way to ask
for less.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

STRICT: Final = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
"""Certificates as RFC 5280 wants them; a clinic's intermediate authority may be its anchor."""


class TlsError(Exception):
    """A certificate or key cannot be used; the text says which, why, and what to do."""


def client_context(
    ca_file: Path | None = None, chain: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return what checks a server's certificate and name, and shows ours.

    Parameters
    ----------
    ca_file : Path | None
        Who may vouch for the server, and nobody else; None: the system's authorities.
    chain, key : Path | None
        Our certificate, and its key, which nobody else may read; None: we have none to show.

    Raises
    ------
    TlsError
        A file is missing, open to others, damaged, or does not fit another.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if ca_file is None:
        context.load_default_certs()
    else:
        _trust(context, ca_file)
    if chain is not None and key is not None:
        _show(context, chain, key)
    return context


def server_context(
    chain: Path,
    key: Path,
    clients_ca: Path | None = None,
    crl: Path | None = None,
    *,
    demanded: bool = True,
) -> ssl.SSLContext:
    """Return what a server shows, and checks of those who connect.

    Parameters
    ----------
    clients_ca : Path | None
        Who connects has to show a certificate of this authority; None: nobody is asked for one.
    demanded : bool
        False: who shows none is let in all the same, and has to prove otherwise who it is.
    crl : Path | None
        Certificates that this authority took back.

    Raises
    ------
    TlsError
        As for `client_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.options |= ssl.OP_NO_RENEGOTIATION
    _show(context, chain, key)
    if clients_ca is not None:
        _trust(context, clients_ca)
        context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
    if crl is not None:
        _trust(context, crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= STRICT
    context.options |= ssl.OP_NO_COMPRESSION


def _trust(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except FileNotFoundError as error:
        raise TlsError(f"{file} is not there: it holds who may vouch for the other end") from error
    except ssl.SSLError as error:
        raise TlsError(f"{file} holds no certificate that can be read (PEM)") from error
    except OSError as error:
        raise TlsError(f"{file} cannot be read ({error.strerror})") from error


def _show(context: ssl.SSLContext, chain: Path, key: Path) -> None:
    try:
        mode = key.stat().st_mode & 0o777
    except OSError as error:
        raise TlsError(f"{key} cannot be read ({error.strerror})") from error
    if mode & 0o077:
        raise TlsError(f"{key} is open to other users (mode {mode:03o}): run `chmod 600 {key}`")
    try:
        # Without a password of ours OpenSSL would stop and ask for one at the terminal.
        context.load_cert_chain(chain, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{chain} does not belong to {key}: another key was made since") from (
                error
            )
        raise TlsError(
            f"{chain} or {key} cannot be used ({_reason(error)}): PEM, and no passphrase"
        ) from error
    except OSError as error:
        raise TlsError(f"{chain} or {key} cannot be read ({error.strerror})") from error


_CHAIN_WORDS: Final = {
    9: "its certificate is not valid yet: is the clock of this box right?",
    10: "its certificate has expired: whoever runs it has to renew it (or the clock here is wrong)",
    13: "the clock fields of its certificate cannot be read",
    18: "its certificate vouches for itself: it is not from the CA this box trusts",
    19: "its certificate comes from another CA than the one this box trusts",
    20: "its certificate comes from another CA than the one this box trusts",
    21: "its certificate comes from another CA than the one this box trusts",
    7: "its certificate is forged: the signature is not that of the CA this box trusts",
    23: "its certificate was revoked",
    24: "whoever signed its certificate is no CA",
    26: "its certificate is not made for a server (extended key usage)",
    62: "its certificate is for another name: either it is not who it should be, or the address in "
    "the settings is not the name in the certificate",
    64: "its certificate is for another address: either it is not who it should be, or the name "
    "is to be used instead",
    66: "the key of its certificate is too weak",
    67: "the key of its CA is too weak",
    68: "its certificate is signed with a weak digest",
}
"""X509_V_ERR_* of OpenSSL (x509_vfy.h) -> what is the matter."""

_ALERT_WORDS: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of this box, and there is none: "
    "`homeward enrol`",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the CA of this box's certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that this box's certificate has expired: "
    "`homeward enrol --renew`",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it says that this box's certificate was revoked: "
    "`homeward enrol --renew`",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take this box's certificate (damaged, or not valid "
    "yet: is its clock right?)",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not take this box's certificate: not made for "
    "a client (extended key usage)",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not take this box's certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "it does not let this box in",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no TLS 1.2 or later",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS 1.2 or later",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refuses: it wants a certificate of this box (`homeward "
    "enrol`), or shares no cipher with it",
    "WRONG_VERSION_NUMBER": "what answers there speaks no TLS: wrong port?",
    "WRONG_SSL_VERSION": "it speaks no TLS 1.2 or later",
    "HTTP_REQUEST": "what answers there speaks no TLS: wrong port?",
    "RECORD_LAYER_FAILURE": "what answers there speaks no TLS: wrong port?",
    "DH_KEY_TOO_SMALL": "its key exchange is too weak",
    "NO_SHARED_CIPHER": "it shares no cipher with us",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "UNEXPECTED_EOF_WHILE_READING": "it hung up in the middle: does it want a certificate of this "
    "box (`homeward enrol`)?",
}
"""Reasons as OpenSSL names them -> what is the matter."""


def tls_words(error: BaseException) -> str:
    """Return why a handshake failed, for people: half a sentence about the other end.

    >>> tls_words(TimeoutError())
    'it did not answer in time'
    """
    if isinstance(error, ssl.SSLError):
        return _ssl_words(error)
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError):
        return _ALERT_WORDS["UNEXPECTED_EOF_WHILE_READING"]
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return (getattr(error, "strerror", None) or str(error))[:200] or type(error).__name__


def _ssl_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        # 79..92 are what VERIFY_X509_STRICT adds; OpenSSL's own words say which extension it is.
        return _CHAIN_WORDS.get(
            error.verify_code, f"its certificate is not as it has to be ({error.verify_message})"
        )
    reason = _reason(error)
    return _ALERT_WORDS.get(reason, f"TLS failed ({reason.lower().replace('_', ' ')})")


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's name for it; some builds give it in the text alone."""
    if error.reason:
        return str(error.reason)
    text = str(error)
    known = (name for name in _ALERT_WORDS if name.replace("_", " ").lower() in text.lower())
    fallback = "UNEXPECTED_EOF_WHILE_READING" if "EOF" in text else text[:80]
    return next(known, fallback)
