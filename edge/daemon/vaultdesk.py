"""What people ask of the vault in the running monitor: its passphrase, and to make way for a while.

A command that destroys a span, or changes the key, does so itself. The monitor only stands aside:
it writes what it has, closes the vault, and lets packets wait in memory until the command gives it
back, goes away, or has been silent for `LEASE_S`. Who asked, for what, and what came of it is in
the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from edge.control import ControlError, Unlock, VaultAside, VaultBack, VaultStay
from edge.daemon.keyring import Keyring
from edge.daemon.vaulting import Vaulting
from edge.store import LedgerEntry, LedgerKind
from edge.vault import KeysError

LEASE_S: Final = 60.0
"""A command says that it is still there more often than this."""
ASIDE_WAIT_S: Final = 6.0
"""A client waits 10 s for its answer."""
OPENED_S: Final = 4.0

_log = structlog.get_logger("vault")


class VaultDesk:
    """Answers these requests; one at a time.

    Parameters
    ----------
    keyring : Keyring
        Is unlocked.
    vault : Vaulting | None
        Stands aside; None: this monitor keeps no raw packets.
    vouch : Callable
        Takes what goes into the ledger.
    now_s : Callable
        The boot clock.
    """

    def __init__(
        self,
        keyring: Keyring,
        vault: Vaulting | None,
        vouch: Callable[[LedgerEntry], None],
        now_s: Callable[[], float],
    ) -> None:
        self._keyring, self._vault = keyring, vault
        self._vouch, self._now_s = vouch, now_s
        self._lease = 0
        self._asked: VaultAside | None = None
        self._one_by_one = asyncio.Lock()

    async def answer(self, request: Unlock | VaultAside | VaultStay | VaultBack) -> dict[str, Any]:
        """Do what was asked.

        Raises
        ------
        ControlError
            It cannot be done; the text says why and what to do.
        """
        async with self._one_by_one:
            match request:
                case Unlock():
                    return await self._unlock(request)
                case VaultAside():
                    return await self._stand_aside(request)
                case VaultStay():
                    self._of(request.lease).stay_aside(LEASE_S)
                    return {"lease": request.lease}
                case VaultBack():
                    return self._come_back(request)

    async def _unlock(self, request: Unlock) -> dict[str, Any]:
        try:
            protection = await asyncio.to_thread(self._keyring.unlock, request.passphrase)
        except KeysError as error:
            raise ControlError(str(error)) from error
        _log.info("the keys are open")
        self._note(request.by, "unlocked", {})
        kept = self._vault is not None and await self._opened(self._vault)
        return {"protection": protection.value, "kept": kept}

    async def _opened(self, vault: Vaulting) -> bool:
        """Wait a moment until raw packets are kept."""
        vault.nudge()
        end_s = self._now_s() + OPENED_S
        while (state := vault.report()).failing_s is not None or state.protection is None:
            if self._now_s() > end_s or state.aside:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _stand_aside(self, request: VaultAside) -> dict[str, Any]:
        vault = self._vault
        if vault is None:
            return {"lease": 0}  # nobody writes it
        if vault.report().aside:
            raise ControlError("another command works on the vault: try again when it is done")
        if not await asyncio.to_thread(vault.stand_aside, LEASE_S, ASIDE_WAIT_S):
            raise ControlError(
                f"the monitor could not close the vault within {ASIDE_WAIT_S:.0f} s: look with "
                f"`homeward status` what its disk says; or stop the monitor, and do this again"
            )
        self._lease += 1
        self._asked = request
        self._note(request.by, f"{request.act}_begun", {"span": request.span})
        return {"lease": self._lease}

    def _come_back(self, request: VaultBack) -> dict[str, Any]:
        vault, asked = self._of(request.lease), self._asked
        if asked is not None:
            stage = "done" if request.done else "failed"
            told = {"span": asked.span, "told": dict(request.told)}
            self._note(asked.by, f"{asked.act}_{stage}", told)
        self._asked = None
        vault.come_back()
        return {"lease": request.lease}

    def _of(self, lease: int) -> Vaulting:
        if self._vault is None or self._asked is None or lease != self._lease:
            raise ControlError("the monitor has taken the vault back: it was left alone too long")
        if not self._vault.report().aside:
            self._note(self._asked.by, f"{self._asked.act}_left", {"span": self._asked.span})
            self._asked = None
            raise ControlError("the monitor has taken the vault back: it was left alone too long")
        return self._vault

    def _note(self, by: str, stage: str, body: dict[str, Any]) -> None:
        self._vouch(LedgerEntry(LedgerKind.VAULT, "vault", stage, by, self._now_s(), body))
