"""mosquitto, as anybody installs it: started, killed and started again on the same port."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from tests.rigs.net.programs import HERE, Program, free_port, missing

PROGRAM: Final = shutil.which("mosquitto") or "/usr/sbin/mosquitto"

Keeps: Final[Mapping[str, str]] = {
    "nothing": "persistence false",
    # As Debian ships it: written every half hour, and when it ends well.
    "default": "persistence true\npersistence_location {folder}/",
    "every change": "persistence true\npersistence_location {folder}/\n"
    "autosave_on_changes true\nautosave_interval 1",
}
Keeping = Literal["nothing", "default", "every change"]


def why_not() -> str:
    """Return why there is no mosquitto here; empty: there is."""
    return "" if Path(PROGRAM).exists() else missing("mosquitto")


class Broker(Program):
    """One mosquitto.

    Parameters
    ----------
    folder : Path
        Where it keeps what it keeps.
    keeping : Keeping
        What survives its death.
    tls : Mapping[str, Path] | None
        ``cafile``, ``certfile``, ``keyfile``: clients have to show a certificate of the same
        authority, and their common name is their user name.
    acl : str
        Text of its ``acl_file``; empty: everybody may everything.
    more : str
        Further lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keeping: Keeping = "default",
        tls: Mapping[str, Path] | None = None,
        acl: str = "",
        more: str = "",
        port: int = 0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = port or free_port()
        lines = [f"listener {port} {HERE}", "user root", "max_queued_messages 0"]
        lines.append(Keeps[keeping].format(folder=folder))
        if tls is None:
            lines.append("allow_anonymous true")
        else:
            lines += ["allow_anonymous false", "require_certificate true"]
            lines += ["use_identity_as_username true", "tls_version tlsv1.2"]
            lines += [f"{name} {path}" for name, path in tls.items()]
        if acl:
            (folder / "acl").write_text(acl)
            (folder / "acl").chmod(0o600)
            lines.append(f"acl_file {folder / 'acl'}")
        configuration = folder / "mosquitto.conf"
        configuration.write_text("\n".join([*lines, more, ""]))
        super().__init__([PROGRAM, "-c", str(configuration)], port, folder, "mosquitto")


@contextmanager
def broker(folder: Path, **how: object) -> Iterator[Broker]:
    """Run one; it is gone afterwards."""
    one = Broker(folder, **how)  # type: ignore[arg-type]
    one.start()
    try:
        yield one
    finally:
        one.stop()
