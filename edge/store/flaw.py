"""One thing that a verification of the alarm record has found."""

from __future__ import annotations

import msgspec


class Flaw(msgspec.Struct, frozen=True, tag="flaw", tag_field="record"):
    """One thing that is not as it was written.

    Attributes
    ----------
    row : int | None
        Of the ledger; None: no row of it vouches for this.
    table, n : str, int | None
        Where; `n` is the key there.
    what : str
        ``edited``, ``deleted``, ``inserted``, ``replaced``, ``cut off``, ``damaged``, ``break``.
    text : str
        The same for people.
    """

    row: int | None
    table: str
    n: int | None
    what: str
    text: str
