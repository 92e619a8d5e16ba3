"""Entry point of ``homeward`` and ``python -m edge``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments : Sequence[str] | None
        What follows ``homeward``; None: what this process was started with.
    """
    from edge.cli import INTERRUPTED, call

    try:
        return call(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        # Ctrl-C while a command was still being imported.
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
