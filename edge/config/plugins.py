"""What this floor must know of the plug-ins, whose defaults live in their own files."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge.records import Priority


class RuleDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of an alarm rule: see `edge.alarms.Rule`.

    Attributes
    ----------
    priority : Priority
        Of its alerts, where the configuration names none.
    settings, limits : Mapping
        Its settings and the span each may lie in.
    where : str
        The file the defaults live in, relative to the repository.
    source : str
        What the defaults rest on.
    of_box : bool
        It watches over the box: no patient has it otherwise than the rest.
    enabled : bool
        Whether it watches where nobody says otherwise.
    """

    priority: Priority
    settings: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]
    where: str
    source: str = ""
    of_box: bool = False
    enabled: bool = True


class ReaderDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a reader: see `edge.readers.Reader`."""

    settings: type[msgspec.Struct]
    where: str


class AnnunciatorDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a way to be heard or seen: see `edge.annunciators`."""

    settings: type[msgspec.Struct]
    where: str


class ChannelDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a channel of notices: see `edge.notices.channels`."""

    settings: type[msgspec.Struct]
    where: str


class SinkDefaults(msgspec.Struct, frozen=True):
    """What this floor must know of a way to send to a record: see `edge.sync.sinks`.

    Attributes
    ----------
    takes : frozenset[str]
        What of ``content`` it can carry.
    """

    settings: type[msgspec.Struct]
    where: str
    takes: frozenset[str]


class PluginDefaults(msgspec.Struct, frozen=True):
    """The plug-ins by name; the command line builds it from what it finds."""

    rules: Mapping[str, RuleDefaults] = {}
    readers: Mapping[str, ReaderDefaults] = {}
    annunciators: Mapping[str, AnnunciatorDefaults] = {}
    channels: Mapping[str, ChannelDefaults] = {}
    sinks: Mapping[str, SinkDefaults] = {}
