"""The destinations, each with what is needed to send to it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.config import Config, Notice
from edge.notices.channels import Channel, Opened
from edge.secret import Secret, SecretError, read_secret


class Open(msgspec.Struct, frozen=True):
    """A destination with what is needed to send to it; `opened` None: `trouble` says why not."""

    way: Notice
    opened: Opened | None
    buttons: dict[str, bool]
    secret: Secret | None = None
    trouble: str = ""


def open_ways(config: Config, channels: Sequence[Channel]) -> tuple[Open, ...]:
    """Return every destination; one that cannot be used says why and keeps no other from it."""
    known = {channel.name: channel for channel in channels}
    return tuple(_opened(way, known[way.channel], config) for way in config.notices)


def _opened(way: Notice, channel: Channel, config: Config) -> Open:
    try:
        secret = read_secret(way.url_file, config.box.data_dir)
        opened = channel.open(way.settings, secret)
    except SecretError as error:
        return Open(way, None, {}, trouble=str(error))
    return Open(way, opened, channel.buttons(way.settings), secret)
