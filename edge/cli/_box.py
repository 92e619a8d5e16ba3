"""What is known of the box itself, in one line."""

from __future__ import annotations

from collections.abc import Mapping


def box_text(facts: Mapping[str, float]) -> str:
    """Return what the box says of itself; empty where it says nothing that people ask for.

    >>> box_text({"disk_free_pct": 61.0, "cpu_degc": 52.0, "store_fails_s": 0.0})
    'box: 61 % of the disk free, 52 °C'
    """
    parts = [
        words.format(facts[name])
        for name, words in (
            ("disk_free_pct", "{:.0f} % of the disk free"),
            ("memory_free_pct", "{:.0f} % of the memory free"),
            ("cpu_degc", "{:.0f} °C"),
        )
        if name in facts
    ]
    if "undervoltage_flag" in facts:
        parts.append("too little voltage" if facts["undervoltage_flag"] else "enough voltage")
    return f"box: {', '.join(parts)}" if parts else ""
