"""What can be set: one frozen struct a table, with its defaults, bounds and meaning.

The structs are what the other files are handed; nobody else reads the TOML. Defaults of alarm
rules and of readers live in their own files and reach this floor as `PluginDefaults`.

    this file   the box, patients and sources, alarm rules, and all of it together
    alerting    how findings become alerts, and who is told
    consent     what may leave the box
    retention   how long records are kept
    selftest    when the box tests its alarm path
    vault       how much is kept of the raw packets
    store       what the records do when the disk is full
    sync        what goes to records far away
    plugins     what is known of the plug-ins
    units       units as they end a name
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.config.alerting import Alerts, Deadman, Escalation, Notice, steps_of
from edge.config.consent import Consent, Ledger
from edge.config.plugins import (
    AnnunciatorDefaults,
    ChannelDefaults,
    PluginDefaults,
    ReaderDefaults,
    RuleDefaults,
    SinkDefaults,
)
from edge.config.retention import Retention
from edge.config.selftest import SelfTest
from edge.config.store import Store
from edge.config.sync import Sink, Sync
from edge.config.units import UNIT_WORDS, unit_of
from edge.config.vault import Vault
from edge.records import Priority

if TYPE_CHECKING:
    from edge.config.kept import KeptPatient

__all__ = [
    "TABLES",
    "UNIT_WORDS",
    "Alarm",
    "Alerts",
    "Annunciator",
    "AnnunciatorDefaults",
    "Box",
    "ChannelDefaults",
    "Config",
    "ConfigError",
    "Consent",
    "Deadman",
    "Document",
    "Escalation",
    "Ledger",
    "Model",
    "Notice",
    "Patient",
    "PluginDefaults",
    "ReaderDefaults",
    "Retention",
    "Ring",
    "RuleDefaults",
    "Sink",
    "SinkDefaults",
    "Source",
    "Summaries",
    "Sync",
    "Vault",
    "steps_of",
    "unit_of",
]

Document: TypeAlias = dict[str, Any]
"""The TOML as plain values: tables are dicts, arrays are lists."""


class ConfigError(Exception):
    """The configuration cannot be used; the text lists every fault and how to mend it.

    Attributes
    ----------
    problems : tuple[str, ...]
        One line each: where, what is wrong, what to do.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """``[box]``: the computer next to the bed."""

    name: Annotated[
        str, Meta(min_length=1, max_length=64, description="What people call this box.")
    ] = "homeward"
    data_dir: Annotated[
        Path,
        Meta(
            description="Folder of everything the box keeps. Default: $HOMEWARD_DATA_DIR, else "
            "$STATE_DIRECTORY (set by systemd), else /var/lib/homeward for root and "
            "~/.local/share/homeward for people."
        ),
    ]
    socket: Annotated[
        Path,
        Meta(description="Local control socket. Default: control.sock in data_dir."),
    ]
    bluetooth: Annotated[
        bool,
        Meta(
            description="Read the sensors that were paired (`homeward pair`), also where no "
            "[[sources]] names the reader ble."
        ),
    ] = True


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """``[[patients]]``: one person watched.

    Limits of one patient alone stand in ``[patients.alarms.<rule>]`` (`edge.config.layers`).
    """

    id: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="A pseudonym, never a name: it goes into every record. Letters, digits "
            "and . _ - only, 64 at most.",
        ),
    ] = "patient-1"
    birth_year: (
        Annotated[
            int,
            Meta(
                ge=1900,
                le=2100,
                description="Year of birth. Without it there is no NEWS2, which is not valid under "
                "16 years.",
            ),
        ]
        | None
    ) = None
    pregnant: Annotated[
        bool, Meta(description="NEWS2 is not valid in pregnancy and is not computed then.")
    ] = False
    preset: (
        Annotated[
            str,
            Meta(
                description="Limits to begin with: one of edge/config/presets. What [alarms] says "
                "stands above it."
            ),
        ]
        | None
    ) = None
    spo2_scale: Annotated[
        Literal[1, 2],
        Meta(
            description="NEWS2's scale of the oxygen saturation. 2 only where a clinician has "
            "confirmed a hypercapnic respiratory failure and set 88 to 92 %."
        ),
    ] = 1
    spo2_scale_by: (
        Annotated[str, Meta(max_length=64, description="Who decided on scale 2.")] | None
    ) = None
    spo2_scale_on: (
        Annotated[str, Meta(max_length=10, description="On which day, as 2026-03-01.")] | None
    ) = None
    spo2_scale_why: Annotated[str, Meta(max_length=200, description="For what reason.")] | None = (
        None
    )


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """``[[sources]]``: one link to a sensor, and whose sensor it is.

    Attributes
    ----------
    settings : msgspec.Struct
        The reader's own options, an instance of `edge.readers.Reader.settings`; in the TOML
        they stand in the same table.
    """

    reader: Annotated[str, Meta(description="Which file of edge/readers reads it.")]
    name: Annotated[
        str, Meta(min_length=1, max_length=64, description="Its name; default: the reader's.")
    ]
    patient: Annotated[str, Meta(description="Who wears it; default: the only patient.")]
    settings: msgspec.Struct


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """``[alarms.<rule>]``: one rule of edge/alarms.

    Attributes
    ----------
    settings : Mapping[str, float]
        All the rule's settings; in the TOML they stand in the same table.
    """

    enabled: Annotated[bool, Meta(description="Whether the rule watches at all.")] = True
    priority: Annotated[Priority, Meta(description="How bad it is if nobody comes.")]
    settings: Mapping[str, float]


class Annunciator(msgspec.Struct, frozen=True, kw_only=True):
    """``[annunciators.<name>]``: one way to be heard or seen, a file of edge/annunciators.

    Attributes
    ----------
    settings : msgspec.Struct
        Its own options, an instance of `edge.annunciators.Annunciator.settings`; in the TOML they
        stand in the same table.
    """

    enabled: Annotated[bool, Meta(description="Whether it is used at all.")] = True
    settings: msgspec.Struct


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """``[model]``: the anomaly model."""

    enabled: Annotated[
        bool, Meta(description="Score windows with the model; the limit alarms never need it.")
    ] = True
    bundle: Annotated[
        Path | None, Meta(description="Folder of the model; empty: the one shipped.")
    ] = None


class Summaries(msgspec.Struct, frozen=True, kw_only=True):
    """``[summaries]``: what each period looked like."""

    period_s: Annotated[
        float, Meta(ge=10.0, le=3600.0, description="Length of one summary's period.")
    ] = 60.0


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """``[ring]``: raw samples kept in memory."""

    capacity_s: Annotated[
        float, Meta(ge=60.0, le=900.0, description="How much of every signal is kept in memory.")
    ] = 120.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set, complete: defaults filled in, checked.

    Attributes
    ----------
    alarms : Mapping[str, Alarm]
        Every rule that was found, by name, the disabled ones too.
    patient_alarms : Mapping[str, Mapping[str, Alarm]]
        The same, complete, for each patient that is watched otherwise than the rest.
    annunciators : Mapping[str, Annunciator]
        Every one that was found, by name, the disabled ones too.
    origins : Mapping[str, str]
        Key as `edge.config.effective` prints it -> ``file:line`` or ``command line``; a key
        that is absent has its default.
    kept : Mapping[str, KeptPatient]
        What people changed with `homeward limits`, by patient; all the above have it already.
    tables : Mapping[str, Document]
        The table of each patient as it stands in the file.
    """

    box: Box
    patients: tuple[Patient, ...] = (Patient(),)
    sources: tuple[Source, ...] = ()
    alarms: Mapping[str, Alarm] = {}
    patient_alarms: Mapping[str, Mapping[str, Alarm]] = {}
    annunciators: Mapping[str, Annunciator] = {}
    notices: tuple[Notice, ...] = ()
    deadman: Deadman = Deadman()
    sync: Sync = Sync()
    sinks: tuple[Sink, ...] = ()
    consent: Consent = Consent()
    ledger: Ledger = Ledger()
    alerts: Alerts = Alerts()
    escalation: Escalation = Escalation()
    model: Model = Model()
    summaries: Summaries = Summaries()
    ring: Ring = Ring()
    selftest: SelfTest = SelfTest()
    vault: Vault = Vault()
    store: Store = Store()
    retention: Retention = Retention()
    origins: Mapping[str, str] = {}
    kept: Mapping[str, KeptPatient] = {}
    tables: Mapping[str, Document] = {}


TABLES: Mapping[str, type[msgspec.Struct]] = {
    "box": Box,
    "alerts": Alerts,
    "escalation": Escalation,
    "deadman": Deadman,
    "sync": Sync,
    "consent": Consent,
    "ledger": Ledger,
    "model": Model,
    "summaries": Summaries,
    "ring": Ring,
    "selftest": SelfTest,
    "vault": Vault,
    "store": Store,
    "retention": Retention,
}
"""The tables that hold nothing but their own struct's fields."""
