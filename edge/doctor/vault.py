"""The vault, its key, and what lies beside it in clear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge.config import Config
from edge.doctor.findings import Finding, Health
from edge.keys.ring import NAME, SENTENCES, find_keys
from edge.vault import FOLDER, VaultReport
from edge.vault.folder import Segment, segments
from edge.vault.layout import UNREADABLE
from edge.vault.scan import blocks

N_LOOKED_AT: Final = 3
"""So many of the newest segments are read whole: what `homeward vault verify` does to all takes
minutes."""
NEARLY_FULL: Final = 0.95
CLEAR: Final = "packets"
"""Folder in which earlier versions kept the last packets, not encrypted."""


def check_vault(config: Config) -> Iterator[Finding]:
    """Return what the vault's key is worth, whether the vault is whole, and how full."""
    home = config.box.data_dir
    yield from _check_clear(home)
    if not config.vault.enabled:
        yield Finding("vault", Health.OK, "switched off in the configuration")
        return
    try:
        there = segments(home / FOLDER)
    except UNREADABLE as error:
        cure = f"give {home / FOLDER} to the user of the monitor"
        yield Finding("vault", Health.FAIL, str(error), "raw data are not kept", cure)
        return
    yield _check_key(home, there)
    yield _check_whole(there)
    if there:
        yield _check_room(config, there)


def check_kept(report: dict[str, Any]) -> Iterator[Finding]:
    """Return what the running monitor says of its vault, where it says something is wrong."""
    vault = report["vault"]
    if vault is None or not vault["trouble"]:
        return
    why = "alarms sound and are recorded, but nobody can see afterwards what was sensed"
    cure = "see the rows on vault and disk; it is tried again every few seconds"
    if vault["kind"] == "key":
        cure = "homeward unlock  (a passphrase), plug the stick in, or bring the key back"
    yield Finding("raw data", Health.FAIL, vault["trouble"], why, cure)


def _check_key(home: Path, there: list[Segment]) -> Finding:
    name = "vault key"
    try:
        found = find_keys(home)
    except UNREADABLE as error:
        why = "raw data are not kept, or others can read them"
        return Finding(
            name, Health.FAIL, str(error), why, f"chmod 600 {home / NAME}, or as it says"
        )
    if found:
        return Finding(name, Health.OK, SENTENCES[found[0].protection])
    if not there:
        return Finding(name, Health.OK, f"{home / NAME} will be made at the first start")
    # A credential of systemd is only seen inside the service.
    why = "what is in the vault cannot be read, and nothing is added, unless systemd has the key"
    cure = f"bring {home / NAME} back from a backup; `homeward vault forget --all` begins anew"
    return Finding(name, Health.WARN, f"there is no {home / NAME}", why, cure)


def _check_whole(there: list[Segment]) -> Finding:
    if not there:
        return Finding("vault", Health.OK, "nothing is kept yet")
    report = VaultReport()
    keyless = [segment.stem for segment in there if segment.key() is None]
    for segment in there[-N_LOOKED_AT:]:
        try:
            for _ in blocks(segment, report):
                pass
        except UNREADABLE as error:  # given up by the monitor while we look
            if segment.path.exists():
                report.say(str(error))
                report.n_unreadable += 1
    if keyless:
        report.say(f"{len(keyless)} segments have lost their key: {', '.join(keyless[:3])}")
    if keyless or not report.whole:
        found = "; ".join(report.messages[:3]) or "damaged"
        why = "the card has lost or changed what was written to it: it may be failing"
        cure = "homeward vault verify  (reads all of it); copy what is left to another disk"
        return Finding("vault", Health.WARN, found, why, cure)
    n = min(N_LOOKED_AT, len(there))
    return Finding("vault", Health.OK, f"{len(there)} segments, the last {n} are whole")


def _check_room(config: Config, there: list[Segment]) -> Finding:
    n_bytes = sum(segment.n_bytes() for segment in there)
    bound = config.vault.max_gb * 1e9
    found = f"{n_bytes / 1e6:.0f} MB of {bound / 1e6:.0f} MB ({n_bytes / bound:.0%})"
    if n_bytes < NEARLY_FULL * bound:
        return Finding("vault room", Health.OK, found)
    why = "the oldest raw data go before their time"
    cure = "raise vault.max_gb, or lower vault.keep_days"
    return Finding("vault room", Health.OK, f"{found}: {why}; {cure}")


def _check_clear(home: Path) -> Iterator[Finding]:
    files = sorted((home / CLEAR).glob("*.hwl"))
    if not files:
        return
    why = "raw data of a person, readable by whoever gets the card or a backup"
    cure = f"rm -r {home / CLEAR}  (the vault keeps the past now, encrypted)"
    found = f"{len(files)} packet logs of an earlier version lie in clear in {home / CLEAR}"
    yield Finding("raw data in clear", Health.WARN, found, why, cure)
