"""What a store does to forget; see `edge.store.forgetting`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite3

from edge.store import egress
from edge.store.database import Database, StoreError, store_error
from edge.store.forgetting import Asked, Forgetting, Forgotten, OnSent, nobody_to_ask
from edge.store.forgotten import KEEPING
from edge.store.head import Head
from edge.store.keeping import HeadKeeper
from edge.store.retention import standing_in, trusted_wall_s
from edge.store.salvage import Salvage
from edge.store.wanted import Wanted


class Erasure:
    """The part of `edge.store.Store` that forgets records.

    Attributes
    ----------
    on_sent : OnSent
        Takes what left and is forgotten, and puts in line that who may hold it deletes it too;
        nobody is asked where records were only kept long enough here. None: as it should be.
    """

    path: Path
    _database: Database
    _head: HeadKeeper
    _run_n: int
    salvage: Salvage | None
    on_sent: OnSent | None = None

    def forgetting(
        self,
        wanted: Wanted,
        by: str,
        at_s: float,
        *,
        wall_s: float | None = None,
        standing: Collection[str] | None = None,
    ) -> Forgetting:
        """Return a request to forget, not yet begun.

        Parameters
        ----------
        wall_s : float | None
            Wall time, seconds since 1970; None: nobody knows.
        standing : Collection[str] | None
            Ids of alerts that have not ended; None: as the store has it.

        Raises
        ------
        edge.store.StoreError
            What is meant cannot be read, or a damaged file is still being recovered: what was
            forgotten now would come back out of it.
        """
        if self.salvage is not None:
            raise StoreError(
                f"records of before the damage are being recovered of {self.salvage.era.aside}: "
                f"ask again when `homeward status` says that they were"
            )
        at_utc = "" if wall_s is None else f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%dT%H:%MZ}"
        try:
            kept = standing_in(self._database) if standing is None else standing
        except sqlite3.Error as error:
            raise store_error(error, "read", self.path) from error
        found = Forgetting(
            self._database, self.path, self._run_n, wanted, Asked(by, at_s, at_utc), kept
        )
        found.on_sent = self.on_sent or (
            nobody_to_ask if by == KEEPING else self._ask_for(by, at_s)
        )
        found.on_head = self._keep
        return found

    def forget(
        self,
        wanted: Wanted,
        by: str,
        at_s: float,
        *,
        wall_s: float | None = None,
        standing: Collection[str] | None = None,
    ) -> Forgotten:
        """Forget all that is meant, now.

        Raises
        ------
        edge.store.StoreError
            Not all of it was forgotten; ask again.
        """
        request = self.forgetting(wanted, by, at_s, wall_s=wall_s, standing=standing)
        while request.step():
            pass
        return request.finish()

    def trusted_wall_s(self, boot_id: str, now_s: float) -> float | None:
        """Return the wall time, where the clock has been right for a while; None: nobody knows.

        Raises
        ------
        edge.store.StoreError
            The clock log cannot be read.
        """
        try:
            return trusted_wall_s(self._database, boot_id, now_s)
        except sqlite3.Error as error:
            raise store_error(error, "read", self.path) from error

    def _ask_for(self, by: str, at_s: float) -> OnSent:
        def ask(database: Database, uuids: Sequence[str]) -> int:
            by_name: dict[str, list[str]] = {}
            for uuid in uuids:
                rows = database.execute(
                    "SELECT sink FROM deliveries JOIN outbox ON outbox.n = outbox"
                    " WHERE uuid = ? AND rejected IS NULL",
                    (uuid,),
                )
                for (sink,) in rows:
                    by_name.setdefault(sink, []).append(uuid)
            return egress.ask_to_delete(database, self._run_n, by_name, by, at_s)

        return ask

    def _keep(self, head: Head) -> None:
        self._head.keep(head)
