"""What leaves for records far away, as the running monitor says it goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from edge.doctor.findings import Finding, Health

WARN_DAYS: Final = 30.0


def check_sync(report: dict[str, Any]) -> Iterator[Finding]:
    """Return how each destination is; nothing where nothing is to leave."""
    sync = report["sync"]
    if sync is None:
        return
    if sync["trouble"]:
        why = "alerts and summaries are kept here; no record far away learns of them"
        cure = "homeward sync  (or: systemctl start homeward-sync)"
        yield Finding("sync", Health.WARN, sync["trouble"], why, cure)
    for sink in sync["sinks"]:
        yield from _check_sink(sink, report["monitor"]["now_utc"])
    for name, n in sync["impossible"].items():
        why = "it may still hold what was forgotten here"
        cure = f"ask whoever runs {name}, or name it in [[sinks]] again"
        found = f"{n} requests to delete cannot be made"
        yield Finding(f"record {name}", Health.WARN, found, why, cure)


def _check_sink(sink: dict[str, Any], now_utc: str | None) -> Iterator[Finding]:
    name = f"record {sink['name']}"
    if sink["works"] is False:
        why = "what leaves waits here and is sent later, in order"
        cure = "homeward sync --check  (says where to, and what is missing)"
        yield Finding(name, Health.WARN, sink["trouble"], why, cure)
    elif sink["works"]:
        yield Finding(name, Health.OK, sink["quiet"] or "works")
    if sink["n_rejected"]:
        found = f"{sink['n_rejected']} records were refused: {sink['rejected']}"
        why = "these are kept here, and the other end will never have them"
        yield Finding(name, Health.WARN, found, why, "ask whoever runs it; see its own log")
    if sink["n_forged"]:
        found = f"{sink['n_forged']} receipts were forged or wrong"
        why = "somebody between here and there may be meddling, or receiver.pub is another's"
        yield Finding(name, Health.WARN, found, why, "compare receiver.pub with its owner")
    if sink["certificate_s"] is None or now_utc is None:
        return
    days = (sink["certificate_s"] - datetime.fromisoformat(now_utc).timestamp()) / 86_400.0
    if days < WARN_DAYS:
        found = "the certificate has ended" if days <= 0.0 else f"certificate: {days:.0f} days left"
        why = "nothing leaves for it without one"
        yield Finding(name, Health.WARN, found, why, "homeward enrol --renew")
