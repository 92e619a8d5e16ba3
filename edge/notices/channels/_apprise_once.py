"""Send one notice through Apprise, say how it went, and end: run by `apprise`, as a file.

It knows nothing of Homeward: what it is to send comes on standard input, as JSON, so that the
address is on no command line. It may not grow beyond `MAX_BYTES`.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from typing import Any

MAX_BYTES = 192 * 1024 * 1024


def send(order: dict[str, str]) -> dict[str, Any]:
    """Send it; return whether it was sent, and what the library said otherwise."""
    import apprise  # noqa: PLC0415  # after the limit was set

    targets = apprise.Apprise()
    if not targets.add(order["url"]):
        return {"sent": False, "arrived": False, "error": "Apprise knows no such address"}
    if not all(target.verify_certificate for target in targets):
        return {
            "sent": False,
            "arrived": False,
            "error": "the address turns certificate checks off: take verify=no out of it",
        }
    captured: Any = apprise.LogCapture
    with captured(level=logging.WARNING, fmt="%(message)s") as said:
        sent = targets.notify(body=order["body"], title=order["title"], notify_type=order["type"])
        lines = said.getvalue().strip().splitlines()
    return {"sent": bool(sent), "error": "" if sent else " ".join(lines[:2])[:1000]}


def main() -> None:
    """Read the order, follow it, and print what became of it."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    order = json.loads(sys.stdin.buffer.read())
    try:
        told = send(order)
    except Exception as error:  # noqa: BLE001  # whatever a service's code raises is told, not lost
        told = {"sent": False, "error": type(error).__name__}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
