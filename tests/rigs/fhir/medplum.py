"""A FHIR R4 server in memory: Medplum's router on node, installed beside the tree.

npm fetches three packages of one pinned version (104 MB on disk, 3 s to 20 s once) into the user's
cache folder; later runs start from there in about two seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

VERSION = "4.5.2"
PACKAGES = ("core", "definitions", "fhir-router")
SERVER = Path(__file__).with_name("server.mjs")
INSTALL_S = 240


def installed() -> Path:
    """Return the folder with the packages, fetching them once; skip where that cannot be."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            package = {"node": "nodejs"}.get(command, command)
            pytest.skip(f"{command} is missing: apt install {package}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "homeward-tests" / f"medplum-{VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two lanes of tests may want it at once
        if not (folder / "node_modules").is_dir():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    (part / "package.json").write_text('{"private": true}')
    wanted = [f"@medplum/{name}@{VERSION}" for name in PACKAGES]
    options = [
        "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts",
        "--fetch-timeout=20000", "--fetch-retries=2",
    ]  # fmt: skip
    command = ["npm", "install", *options, *wanted]
    try:
        subprocess.run(command, cwd=part, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        told = (error.stderr or b"").decode(errors="replace").strip().splitlines()[:1]
        shutil.rmtree(part, ignore_errors=True)
        pytest.skip(f"npm cannot fetch {wanted[0]}: {told or type(error).__name__}")
    part.rename(folder)


class Server:
    """One server; its memory ends with it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, dict[str, Any]]:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/fhir+json"}
        request = urllib.request.Request(  # noqa: S310  # of this machine
            f"{self.url}{path}", body, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def held(self, kind: str) -> list[dict[str, Any]]:
        """Return every resource of a kind."""
        status, found = self.ask("GET", f"/{kind}?_count=1000")
        assert status == 200, found
        return [entry["resource"] for entry in found.get("entry", [])]


@contextlib.contextmanager
def medplum() -> Iterator[Server]:
    """Run a server; it ends with its standard input, so also where the tests are killed."""
    command = ["node", str(SERVER), str(installed())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.kill()
