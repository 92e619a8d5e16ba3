"""What the commands share: their common options, spans of time, configuration, output."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.config import Config, PluginDefaults
    from edge.config.kept import Kept

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings (TOML). Default: $HOMEWARD_CONFIG, ~/.config/homeward/homeward.toml or "
        "/etc/homeward/homeward.toml, the first that exists.",
        show_default=False,
    ),
]
DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of what the box keeps; stands above the settings.",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON lines, a summary object last.")
]

_UNIT_S: Final = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_MAX_SPAN_S: Final = 10 * 366 * 86400.0


class CommandError(Exception):
    """A command cannot do what it was asked; the text says why and what to do."""


def parse_span(text: str) -> float:
    """Return a span of time in seconds: the ``parser=`` of options such as ``--for``.

    Parameters
    ----------
    text : str
        ``20s``, ``5m`` (or ``5min``), ``8h``, ``7d``; a bare number is seconds.

    Raises
    ------
    typer.BadParameter
        It is none of these, or not longer than nothing, or longer than ten years.

    >>> parse_span("20s"), parse_span("1.5h"), parse_span("90")
    (20.0, 5400.0, 90.0)
    """
    found = _SPAN.fullmatch(text.strip()) if text.isascii() else None
    if found is None or found[2] not in _UNIT_S:
        raise typer.BadParameter(f"{text!r} is no span of time; write 20s, 5m, 8h or 7d")
    span_s = float(found[1]) * _UNIT_S[found[2]]
    if not 0.0 < span_s <= _MAX_SPAN_S:
        raise typer.BadParameter(f"{text!r} must be longer than nothing and at most 10 years")
    return span_s


def find_config(given: Path | None) -> Path | None:
    """Return the settings file to read: the one given, or the first place that has one."""
    if given is not None:
        return given
    named = os.environ.get("HOMEWARD_CONFIG")
    if named:
        return Path(named)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    places = (home / "homeward/homeward.toml", Path("/etc/homeward/homeward.toml"))
    return next((place for place in places if place.is_file()), None)


def plugin_defaults() -> PluginDefaults:
    """Return what the rules, readers and annunciators that exist bring along."""
    import edge.alarms
    import edge.annunciators
    import edge.readers
    from edge.config import (
        AnnunciatorDefaults,
        PluginDefaults,
        ReaderDefaults,
        RuleDefaults,
    )
    from edge.discover import discover

    rules = {
        rule.name: RuleDefaults(
            priority=rule.priority,
            settings=rule.settings,
            limits=rule.limits,
            where=f"edge/alarms/{rule.name}.py",
            source=rule.source,
            of_box=rule.scope is edge.alarms.Scope.BOX,
            enabled=rule.enabled,
        )
        for rule in discover(edge.alarms, "RULE", edge.alarms.Rule)
    }
    readers = {
        reader.name: ReaderDefaults(
            settings=reader.settings, where=f"edge/readers/{reader.name}.py"
        )
        for reader in discover(edge.readers, "READER", edge.readers.Reader)
    }
    annunciators = {
        one.name: AnnunciatorDefaults(
            settings=one.settings, where=f"edge/annunciators/{one.name}.py"
        )
        for one in discover(edge.annunciators, "ANNUNCIATOR", edge.annunciators.Annunciator)
    }
    return PluginDefaults(
        rules=rules,
        readers=readers,
        annunciators=annunciators,
        channels=channel_defaults().channels,
        sinks=sink_defaults().sinks,
    )


def channel_defaults() -> PluginDefaults:
    """Return what the channels of notices bring along, alone: the notifier needs no other."""
    import edge.notices.channels
    from edge.config import ChannelDefaults, PluginDefaults
    from edge.discover import discover

    channels = {
        one.name: ChannelDefaults(
            settings=one.settings, where=f"edge/notices/channels/{one.name}.py"
        )
        for one in discover(edge.notices.channels, "CHANNEL", edge.notices.channels.Channel)
    }
    return PluginDefaults(channels=channels)


def sink_defaults() -> PluginDefaults:
    """Return what the ways to records far away bring along, alone: the sender needs no other."""
    import edge.sync.sinks
    from edge.config import PluginDefaults, SinkDefaults
    from edge.discover import discover

    sinks = {
        one.name: SinkDefaults(one.settings, f"edge/sync/sinks/{one.name}.py", one.takes)
        for one in discover(edge.sync.sinks, "SINK", edge.sync.sinks.Sink)
    }
    return PluginDefaults(sinks=sinks)


def load_config(
    config: Path | None,
    data_dir: Path | None,
    plugins: PluginDefaults | None = None,
    kept: Callable[[Path], Kept] | None = None,
) -> Config:
    """Return the configuration a command works with.

    Parameters
    ----------
    config, data_dir : Path | None
        What ``--config`` and ``--data-dir`` gave.
    plugins : PluginDefaults | None
        Where the command has them already.
    kept : Callable | None
        What gives what people changed (`homeward limits`); None: the data directory does.

    Raises
    ------
    edge.config.ConfigError
        Told by `edge.cli`; a command lets it pass.
    """
    from edge.cli._words import kept_with_words
    from edge.config import load

    overrides = {"box.data_dir": str(data_dir)} if data_dir is not None else {}
    known = plugins or plugin_defaults()
    return load(find_config(config), known, overrides=overrides, kept=kept or kept_with_words)


def homeward_version() -> str:
    """Return the installed version; ``source`` when run from a tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("homeward")
    except PackageNotFoundError:
        return "source"


def print_json(fact: object) -> None:
    """Print one fact as one line of JSON; records, structs and plain values."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(fact, enc_hook=_json_text).decode() + "\n")


def _json_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value).__name__}")
