"""The JSON schema of the TOML file, for editors and for programs that write one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config.layers import preset_names
from edge.config.settings import (
    TABLES,
    UNIT_WORDS,
    Alarm,
    Annunciator,
    AnnunciatorDefaults,
    ChannelDefaults,
    Document,
    Notice,
    Patient,
    PluginDefaults,
    ReaderDefaults,
    RuleDefaults,
    Sink,
    SinkDefaults,
    Source,
    unit_of,
)

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema(plugins: PluginDefaults) -> Document:
    """Return the JSON schema of the TOML, with the rules and readers that exist.

    Numbers carry ``minimum`` and ``maximum`` where they are bounded, their default, and the
    unit in their description.
    """
    references, definitions = msgspec.json.schema_components(
        [*TABLES.values(), Patient], schema_hook=_path_schema, ref_template="#/$defs/{name}"
    )
    for definition in definitions.values():
        _finish(definition)
    # Both have a default that depends on the machine, so the struct has none.
    definitions["Box"].pop("required")
    known = definitions["Patient"]["properties"]
    known["preset"]["enum"] = list(preset_names())
    own = {
        name: _rule_schema(rule, one_patient=True)
        for name, rule in plugins.rules.items()
        if not rule.of_box
    }
    known["alarms"] = _closed(own, "Alarm rules of this patient alone, by name.")
    readers = [_source_schema(name, reader) for name, reader in plugins.readers.items()]
    rules = {name: _rule_schema(rule) for name, rule in plugins.rules.items()}
    annunciators = {name: _annunciator_schema(one) for name, one in plugins.annunciators.items()}
    channels = [_channel_schema(name, one) for name, one in plugins.channels.items()]
    sinks = [_sink_schema(name, one) for name, one in plugins.sinks.items()]
    *tables, patient = references
    properties = {
        **dict(zip(TABLES, tables, strict=True)),
        "patients": {"type": "array", "minItems": 1, "items": patient},
        "sources": {"type": "array", "items": {"oneOf": readers} if readers else False},
        "notices": {"type": "array", "items": {"oneOf": channels} if channels else False},
        "sinks": {"type": "array", "items": {"oneOf": sinks} if sinks else False},
        "alarms": _closed(rules, "Alarm rules by name."),
        "annunciators": _closed(annunciators, "Ways to be heard and seen at the box, by name."),
    }
    return {"$schema": _DIALECT, "title": "Homeward", **_closed(properties), "$defs": definitions}


def _rule_schema(rule: RuleDefaults, *, one_patient: bool = False) -> Document:
    properties = _properties(Alarm, leave_out="settings")
    properties["priority"]["default"] = str(rule.priority)
    if one_patient:
        del properties["priority"]
    for name, value in rule.settings.items():
        number: Document = {"type": "number", "default": value}
        if name in rule.limits:
            number["minimum"], number["maximum"] = rule.limits[name]
        if unit_of(name) == "n":
            number["type"] = "integer"
        properties[name] = number
        _add_unit(name, number)
    return _closed(properties, f"{rule.where}. {rule.source}".strip())


def _source_schema(name: str, reader: ReaderDefaults) -> Document:
    common = _properties(Source, leave_out="settings")
    common["reader"] = {"const": name}
    definition = _options(reader.settings)
    closed = _closed(common | definition["properties"], definition.get("description", ""))
    return closed | {"required": ["reader", *definition.get("required", ())]}


def _annunciator_schema(known: AnnunciatorDefaults) -> Document:
    common = _properties(Annunciator, leave_out="settings")
    definition = _options(known.settings)
    return _closed(common | definition["properties"], definition.get("description", ""))


def _channel_schema(name: str, known: ChannelDefaults) -> Document:
    common = _properties(Notice, leave_out="settings")
    common["channel"] = {"const": name}
    definition = _options(known.settings)
    closed = _closed(common | definition["properties"], definition.get("description", ""))
    return closed | {"required": ["channel", "url_file", *definition.get("required", ())]}


def _sink_schema(name: str, known: SinkDefaults) -> Document:
    common = _properties(Sink, leave_out="settings")
    common["sink"] = {"const": name}
    common["content"]["items"]["enum"] = sorted(known.takes)
    definition = _options(known.settings)
    closed = _closed(common | definition["properties"], definition.get("description", ""))
    return closed | {"required": ["sink", *definition.get("required", ())]}


def _options(struct: type[msgspec.Struct]) -> Document:
    """Return the schema of a plug-in's own options."""
    schema = msgspec.json.schema(struct, schema_hook=_path_schema)
    definition: Document = schema["$defs"][struct.__name__]
    _finish(definition)
    return definition


def _properties(struct: type[msgspec.Struct], *, leave_out: str) -> dict[str, Document]:
    """Return the schemas of a struct's fields, with nothing referred to elsewhere."""
    return {
        field.encode_name: _inlined(msgspec.json.schema(field.type, schema_hook=_path_schema))
        | ({} if field.required else {"default": msgspec.to_builtins(field.default)})
        for field in msgspec.structs.fields(struct)
        if field.name != leave_out
    }


def _inlined(schema: Document) -> Document:
    definitions = schema.pop("$defs", {})
    for reference in [schema, *schema.get("allOf", ())]:
        name = reference.pop("$ref", "").rpartition("/")[2]
        if name:
            schema = definitions[name] | {k: v for k, v in schema.items() if k != "allOf"}
    return schema


def _closed(properties: Mapping[str, Any], description: str = "") -> Document:
    told = {"description": description} if description else {}
    return {
        "type": "object",
        **told,
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _finish(definition: Document) -> None:
    """Refuse unknown keys and name the unit of each number."""
    if definition.get("type") != "object":
        return
    definition["additionalProperties"] = False
    definition["description"] = definition.get("description", "").partition("\n\n")[0]
    for name, schema in definition.get("properties", {}).items():
        _leave_out_null(schema)
        _add_unit(name, schema)


def _leave_out_null(schema: Document) -> None:
    """Turn "this or null" into "this": TOML has no null, the key is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])
        if schema.get("default", "") is None:
            del schema["default"]


def _add_unit(name: str, schema: Document) -> None:
    if unit_of(name):
        words = f"{schema.get('description', '')} Unit: {UNIT_WORDS[unit_of(name)]}."
        schema["description"] = words.strip()


def _path_schema(kind: type) -> Document:
    if issubclass(kind, Path):
        return {"type": "string"}
    raise NotImplementedError(f"no JSON schema for {kind.__name__}")
