"""Apprise: any service that library knows (mail, SMS, Telegram, Signal, Matrix, Pushover ...).

The file of the address holds an Apprise URL, e.g. ``mailtos://...`` or ``tgram://TOKEN/CHAT``. It
needs the extra: ``pip install 'homeward[notify]'``.

The library waits for servers for as long as they like to send a byte now and then, and keeps all
they send. So each notice is sent by a process of its own (`_apprise_once`), which is ended after
`WHOLE_S` and may not grow beyond its limit; it costs some 0.4 s of processor time a notice, and
nothing stays in memory in between. Apprise knows no ids and no receipts: that it was sent is all
that can be said, and what may have arrived when the network broke is sent again.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from edge.notices import NoticesError
from edge.notices.channels import Asking, Channel, Letter, Notice, SendError, Sent, nobody_told
from edge.records import Priority
from edge.secret import Secret

WHOLE_S: Final = 30.0
MAX_SAID_BYTES: Final = 4096
_ONCE: Final = Path(__file__).with_name("_apprise_once.py")
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")
_KINDS: Final = {
    Priority.HIGH: "failure",
    Priority.MEDIUM: "warning",
    Priority.LOW: "warning",
    Priority.INFORMATION: "info",
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any service that Apprise knows."""

    ca_file: Annotated[
        Path | None, Meta(description="Certificate of one's own authority, for one's own server.")
    ] = None


class Apprise:
    """One address of Apprise.

    Raises
    ------
    NoticesError
        The library is not installed.
    """

    def __init__(self, settings: Settings, secret: Secret) -> None:
        if importlib.util.find_spec("apprise") is None:
            raise NoticesError("Apprise is not installed: `pip install 'homeward[notify]'`")
        self._settings, self._secret = settings, secret
        self.host = _service(secret.url)
        self.asking: Asking = nobody_told

    def letter(self, notice: Notice) -> Letter:
        """Return what the library is handed; how it puts that on the wire is the service's."""
        told = {"title": notice.title, "body": notice.text, "type": _KINDS[notice.priority]}
        return Letter(notice, {}, {}, msgspec.json.encode(told))

    async def send(self, letter: Letter) -> Sent:
        """Hand it to the library, in a process of its own."""
        told = msgspec.json.decode(letter.body, type=dict[str, str])
        said = await self._run({"url": self._secret.url, **told})
        if said.get("sent") is True:
            return Sent()
        why = self._secret.scrub(str(said.get("error", "")))[:200] or "Apprise does not say why"
        raise SendError(why, arrived=bool(said.get("arrived", True)))

    async def holds(self, notice: Notice) -> bool | None:
        """Return None: no service behind Apprise can be asked."""
        del notice
        return None

    async def replies(self) -> tuple[str, ...] | None:
        """Return None: there is no way back."""
        return None

    async def _run(self, order: dict[str, str]) -> dict[str, Any]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        if self._settings.ca_file is not None:
            kept["REQUESTS_CA_BUNDLE"] = str(self._settings.ca_file)
        try:
            # -P: the folder of that file is not searched, where a namesake of the library lies.
            once = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                str(_ONCE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=kept,
            )
        except OSError as error:
            raise SendError(f"Apprise cannot be started ({error})") from error
        try:
            async with asyncio.timeout(WHOLE_S):
                said, _ = await once.communicate(msgspec.json.encode(order))
        except TimeoutError as error:
            raise SendError(f"Apprise did not end within {WHOLE_S:.0f} s", arrived=True) from error
        finally:
            if once.returncode is None:
                with suppress(ProcessLookupError):
                    once.kill()
                await once.wait()
        try:
            content: dict[str, Any] = msgspec.json.decode(said[:MAX_SAID_BYTES], type=dict)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SendError(
                f"Apprise ended without a word (exit code {once.returncode})", arrived=True
            ) from error
        return content


def _service(url: str) -> str:
    """Return which service; of its address the host may be a secret too (``tgram://TOKEN/``).

    >>> _service("tgram://TOKEN/CHAT"), _service("no address")
    ('apprise: tgram', 'apprise')
    """
    scheme, separator, _ = url.partition("://")
    known = separator and scheme.isascii() and scheme.isalnum() and len(scheme) <= 16
    return f"apprise: {scheme}" if known else "apprise"


CHANNEL = Channel("apprise", Settings, Apprise)
