"""Who a box is to receivers: its key, made here, and the certificate a clinic gives it.

The key never leaves the box. A clinic signs a request and hands back a chain; that is tried
out before anything is replaced, and what was there before is kept until the new one has worked.
A clinic without an authority of its own has a small one here.

    naming      names of boxes and of those who receive; fingerprints to compare by phone
    folder      what is kept in DATA_DIR/sync, whether it is whole, when it ends
    request     a key and what asks for a certificate of it
    chain       whether a chain does: checked field by field, and in a rehearsed handshake
    installing  request, renewal, installation, the way back
    handshake   the first seconds of a connection, to see whether the other end takes us
    authority   the clinic's side: an authority that signs, lists, takes back
    leaves      how its certificates are made
    broker      the settings a broker needs: who may write and read which topic
"""

from __future__ import annotations


class EnrolError(Exception):
    """A key or certificate cannot be made, used or installed; the text says what to do."""
