"""ntfy: a topic on ntfy.sh or on a server of one's own, to the app on a phone.

The file of the address holds ``https://ntfy.sh/TOPIC``; whoever knows the topic reads the notices,
so it is a password: 20 letters by chance. A second line is an access token (``tk_...``).

Publishing is a POST of text to the topic, with headers for title, priority (1 to 5), tags and
buttons; the answer is the message with its id. ``GET TOPIC/json?poll=1&since=...`` returns the
messages the server holds, one JSON a line: so that it holds ours is not believed but asked.
``X-Sequence-ID`` (server 2.16, 2026) makes a second publication of the same id an update of the
first on the phone. An older server ignores it; for that, what may have arrived is looked for before
it is sent again.

A button is an ``http`` action: the phone posts a word of 128 random bits, good once, to a topic of
its own, made of a digest of the first. That says "seen on the phone", and no more; only with
``answers = true`` is there a second one that acknowledges. On a server with access control both
topics must be writable by everybody, because the token is never sent along in a notice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Meta

from edge.egress.departure import HIDDEN
from edge.fetch import Ask, FetchError, Reply, fetch
from edge.notices import NoticesError
from edge.notices.channels import Asking, Channel, Letter, Notice, SendError, Sent, nobody_told
from edge.records import Priority
from edge.secret import Secret

SINCE: Final = "12h"
"""For as long as ntfy.sh keeps a message, unless its server is told otherwise."""
JUST_NOW: Final = "10m"
MAX_POLL_BYTES: Final = 512 * 1024
MAX_TEXT_BYTES: Final = 4000
"""A longer message becomes an attachment."""

_LOUDNESS: Final = {
    Priority.HIGH: "5",
    Priority.MEDIUM: "4",
    Priority.LOW: "3",
    Priority.INFORMATION: "2",
}
_LABELS: Final = {"seen": "Seen", "coming": "I take care"}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A topic of ntfy."""

    seen_button: Annotated[
        bool, Meta(description="A button that says: seen on the phone. It answers no alarm.")
    ] = True
    answers: Annotated[
        bool,
        Meta(
            description="A second button that acknowledges the alarm, from wherever it is pressed."
        ),
    ] = False
    ca_file: Annotated[
        Path | None, Meta(description="Certificate of one's own authority, for one's own server.")
    ] = None


class _Message(msgspec.Struct, frozen=True):
    """What is used of a message of ntfy; the rest is passed over."""

    event: str = ""
    id: str = ""
    title: str = ""
    message: str = ""
    sequence_id: str = ""


class Ntfy:
    """One topic.

    Raises
    ------
    NoticesError
        The address is none of a topic.
    """

    def __init__(self, settings: Settings, secret: Secret) -> None:
        self._settings, self._secret = settings, secret
        self.asking: Asking = nobody_told
        try:
            parts = urlsplit(secret.url)
        except ValueError:
            parts = urlsplit("")
        topic = parts.path.strip("/").rpartition("/")[2]
        if parts.scheme not in {"http", "https"} or not parts.hostname or not topic:
            raise NoticesError("the address is no topic of ntfy: write https://ntfy.sh/TOPIC")
        if parts.username or parts.query:
            raise NoticesError("write the access token on a second line, not into the address")
        self._topic, self.host = secret.url.rstrip("/"), parts.hostname
        self._heard = SINCE
        self._reply_topic = f"{self._topic.rpartition('/')[0]}/{reply_topic(topic)}"

    def letter(self, notice: Notice) -> Letter:
        """Return the text and the headers of the publication."""
        headers = {
            "X-Title": _header(notice.title),
            "X-Priority": _LOUDNESS[notice.priority],
            "X-Sequence-ID": notice.id,
            "Content-Type": "text/plain; charset=utf-8",
        }
        shown = dict(headers)
        if notice.tokens:
            headers["X-Actions"] = _header(self._actions(notice, self._reply_topic))
            shown["X-Actions"] = self._actions(notice, HIDDEN, shown=True)
        return Letter(notice, headers, shown, _text(notice))

    async def send(self, letter: Letter) -> Sent:
        """Publish it, and ask whether the server holds it."""
        headers = {**letter.headers, **self._authorisation()}
        reply = await self._ask(Ask(self._topic, "POST", headers, letter.body, self._ca))
        message = next(_messages(reply.body), _Message())
        if not message.id:
            raise SendError("what answered is no ntfy, or not all of it came", arrived=True)
        try:
            held = await self._held(letter.notice, JUST_NOW)
        except SendError:  # it is out; that nobody could ask again takes nothing from that
            held = False
        return Sent(message.id, held=held)

    async def holds(self, notice: Notice) -> bool | None:
        """Look for it among what the server holds."""
        return await self._held(notice, SINCE)

    async def _held(self, notice: Notice, since: str) -> bool:
        reply = await self._poll(self._topic, since)
        own = (_text(notice).decode(), notice.title)
        return any(
            message.sequence_id == notice.id or (message.message, message.title) == own
            for message in _messages(reply.body)
        )

    async def replies(self) -> tuple[str, ...] | None:
        """Return what phones have posted to the topic of replies."""
        if not _buttons(self._settings):
            return None
        reply = await self._poll(self._reply_topic, self._heard)
        messages = tuple(_messages(reply.body))
        if messages:
            self._heard = messages[-1].id or SINCE
        return tuple(message.message.strip() for message in messages)

    @property
    def _ca(self) -> Path | None:
        return self._settings.ca_file

    async def _poll(self, topic: str, since: str) -> Reply:
        await self.asking()
        url = f"{topic}/json?poll=1&since={quote(since, safe='')}"
        headers = self._authorisation()
        return await self._ask(Ask(url, "GET", headers, b"", self._ca, MAX_POLL_BYTES))

    async def _ask(self, ask: Ask) -> Reply:
        try:
            reply = await fetch(ask)
        except FetchError as error:
            raise SendError(self._secret.scrub(str(error)), arrived=error.arrived) from error
        if not reply.ok:
            why = {401: "the token is wrong", 403: "the token may not write there"}
            told = why.get(reply.status, "it will be tried again")
            raise SendError(
                f"ntfy answered {reply.status}: {told}",
                arrived=reply.status >= 500,
                retry_after_s=reply.retry_after_s(),
            )
        return reply

    def _authorisation(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret.token}"} if self._secret.token else {}

    def _actions(self, notice: Notice, url: str, *, shown: bool = False) -> str:
        actions = [
            {
                "action": "http",
                "label": _LABELS.get(button, button),
                "url": url,
                "method": "POST",
                "body": HIDDEN if shown else word,
                "clear": button != "seen",
            }
            for button, word in notice.tokens.items()
        ]
        return msgspec.json.encode(actions).decode()


def reply_topic(topic: str) -> str:
    """Return where phones answer: nobody can guess it who does not know the topic.

    >>> len(reply_topic("x")) == len(reply_topic("y")), reply_topic("x") == reply_topic("y")
    (True, False)
    """
    return f"hw-{hashlib.sha256(f'homeward replies {topic}'.encode()).hexdigest()[:32]}"


def _messages(body: bytes) -> Iterator[_Message]:
    for line in body.splitlines():
        try:
            message = msgspec.json.decode(line, type=_Message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the last line of a body that was cut, or no message at all
        if message.event == "message":
            yield message


def _text(notice: Notice) -> bytes:
    return notice.text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore").encode()


def _header(text: str) -> str:
    """Return a text as a header can hold it (RFC 2047, which ntfy reads)."""
    if text.isascii() and text.isprintable():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def _buttons(settings: Any) -> dict[str, bool]:  # noqa: ANN401  # the struct above
    seen = {"seen": False} if settings.seen_button else {}
    return {**seen, "coming": True} if settings.answers else seen


CHANNEL = Channel("ntfy", Settings, Ntfy, _buttons)
