"""What the status says of the vault."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from edge.cli._shared import print_json
from edge.cli._tables import span_text

_GB: Final = 1e9


def print_kept(report: dict[str, Any]) -> None:
    """Print how records and raw data are kept, as JSON lines."""
    for kind in ("store", "vault"):
        if report[kind] is not None:
            print_json({"record": kind, **report[kind]})


def vault_troubles(vault: dict[str, Any] | None) -> list[str]:
    """Return what is wrong with the vault, a sentence each."""
    if vault is None:
        return []
    found = []
    if vault["trouble"]:
        waiting = f"{vault['n_waiting']} packets wait"
        found.append(f"raw data are not kept: {vault['trouble']} ({waiting})")
    if vault["n_dropped"]:
        found.append(
            f"{vault['n_dropped']} raw packets were given up while the vault could not be written"
        )
    return found


def vault_lines(vault: dict[str, Any] | None, now_s: float) -> list[str]:
    """Return what is kept, and what protects it."""
    if vault is None:
        return ["raw data are not kept: [vault] enabled = false"]
    there = vault["measured"]
    parts = []
    if there["n_bytes"] is not None and there["bound_bytes"]:
        share = there["n_bytes"] / there["bound_bytes"]
        parts.append(f"{_size(there['n_bytes'])} ({share:.0%} of {_size(there['bound_bytes'])})")
    if there["oldest_wall_s"] is not None:
        oldest = datetime.fromtimestamp(there["oldest_wall_s"], UTC).astimezone()
        parts.append(f"since {oldest:%Y-%m-%d %H:%M}")
    if vault["synced_s"] is not None:
        parts.append(f"on the disk {span_text(now_s - vault['synced_s'])} ago")
    if vault["aside"]:
        parts.append(f"a command works on it, {vault['n_waiting']} packets wait")
    lines = [f"vault {vault['folder']}: {', '.join(parts) or 'nothing kept yet'}"]
    if vault["sentence"]:
        lines.append(vault["sentence"])
    return lines


def _size(n_bytes: float) -> str:
    """Return a size as people say it.

    >>> _size(31_400_000), _size(8e9)
    ('31.4 MB', '8.00 GB')
    """
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < _GB else f"{n_bytes / _GB:.2f} GB"
