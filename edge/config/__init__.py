"""What is set, where it was set, and whether it can be: TOML -> typed, checked `Config`.

The file is optional and holds only what differs from the defaults; `homeward config --toml`
prints one to start from. Defaults of alarm rules and readers live in their own files and are
handed in as `PluginDefaults`, so that this floor knows no plug-in.

    settings    the structs: one a table, with bounds and meaning
    alerting    the same of alerts, and of who is told
    plugins     what is known of the plug-ins
    units       units as they end a name
    toml_lines  on which line each key stands
    complaints  faults, gathered, with the mend
    fields      one table against its struct or rule
    checks      settings that contradict each other
    retention   how long records are kept
    selftest    when the box tests its alarm path
    vault       how much is kept of the raw packets
    store       what the records do when the disk is full
    annunciators  the ways to be heard and seen at the box
    notices     who is told beyond the box
    destinations  what reading [[notices]] and [[sinks]] has in common
    sync        what goes to records far away; the structs
    sinks       the same, read
    layers      the alarm rules: defaults, preset, file, patient, kept, command line
    kept        what people changed with `homeward limits`
    changes     limits as people type them
    sources     who is watched, and what reads their sensors
    loading     TOML -> Config
    listing     Config -> every setting and its origin; plain values for a checkpoint
    schema      JSON schema of the TOML
    toml_text   Config -> commented TOML
"""

from __future__ import annotations

from edge.config.layers import Preset, preset_names, read_preset
from edge.config.listing import Setting, as_document, effective
from edge.config.loading import default_data_dir, from_document, load
from edge.config.schema import json_schema
from edge.config.settings import (
    Alarm,
    Alerts,
    Annunciator,
    AnnunciatorDefaults,
    Box,
    ChannelDefaults,
    Config,
    ConfigError,
    Deadman,
    Document,
    Escalation,
    Model,
    Notice,
    Patient,
    PluginDefaults,
    ReaderDefaults,
    Ring,
    RuleDefaults,
    Sink,
    SinkDefaults,
    Source,
    Summaries,
    Sync,
    Vault,
    unit_of,
)
from edge.config.toml_text import as_toml

__all__ = [
    "Alarm",
    "Alerts",
    "Annunciator",
    "AnnunciatorDefaults",
    "Box",
    "ChannelDefaults",
    "Config",
    "ConfigError",
    "Deadman",
    "Document",
    "Escalation",
    "Model",
    "Notice",
    "Patient",
    "PluginDefaults",
    "Preset",
    "ReaderDefaults",
    "Ring",
    "RuleDefaults",
    "Setting",
    "Sink",
    "SinkDefaults",
    "Source",
    "Summaries",
    "Sync",
    "Vault",
    "as_document",
    "as_toml",
    "default_data_dir",
    "effective",
    "from_document",
    "json_schema",
    "load",
    "preset_names",
    "read_preset",
    "unit_of",
]
