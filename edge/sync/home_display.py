"""How Home Assistant is told of a patient: one discovery document a device, one state a message.

The document follows the device discovery of Home Assistant (2024.12 and later): retained under
``PREFIX/device/ID/config``, with ``device``, ``origin`` and ``components``, each component with its
``platform`` and ``unique_id`` (home-assistant.io/integrations/mqtt/#device-discovery-payload).

A value that is not known is ``null`` in the state; the template makes ``None`` of it, and Home
Assistant shows "unknown". A value that does not come any more is shown as unavailable after
`EXPIRE_S`, never as it was: states are not retained either.

Pure: no clock, no network.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from edge.egress.numbers import NumbersOut
from edge.records import Priority

EXPIRE_S: Final = 45
"""Four states and a half: one that is lost blanks nothing."""
ONLINE: Final = "online"
OFFLINE: Final = "offline"
CLEAR: Final = "clear"
_WORDS: Final[Mapping[Priority, str]] = {
    Priority.INFORMATION: "information",
    Priority.LOW: "low",
    Priority.MEDIUM: "medium",
    Priority.HIGH: "high",
}
_SHOWN: Final[Mapping[str, tuple[str, str, int]]] = {
    "hr_bpm": ("Heart rate", "bpm", 0),
    "spo2_pct": ("Oxygen saturation", "%", 0),
    "pulse_bpm": ("Pulse rate", "bpm", 0),
    "resp_brpm": ("Breathing rate", "/min", 0),
    "temp_degc": ("Temperature", "°C", 1),
    "news2_lower": ("NEWS2, at least", "", 0),
    "news2_upper": ("NEWS2, at most", "", 0),
}
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")


def device_id(box: str, patient: str) -> str:
    """Return what a patient's device is called in topics: letters that all of them may hold.

    >>> device_id("box-1", "p1"), device_id("box-1", "p/1")[:16] == device_id("box-1", "p_1")
    ('homeward_box-1_p1', False)
    """
    plain = _ODD.sub("_", f"homeward_{box}_{patient}")
    if plain == f"homeward_{box}_{patient}":
        return plain
    return f"{plain}_{hashlib.sha256(f'{box} {patient}'.encode()).hexdigest()[:8]}"


def availability_topic(box: str) -> str:
    """Return where it is said whether the box is there."""
    return f"homeward/home/{_ODD.sub('_', box)}/availability"


def state_topic(box: str, patient: str) -> str:
    """Return where a patient's numbers go."""
    return f"homeward/home/{_ODD.sub('_', box)}/{device_id(box, patient)}/state"


def discovery_topic(prefix: str, box: str, patient: str) -> str:
    """Return where a patient's device is announced."""
    return f"{prefix}/device/{device_id(box, patient)}/config"


def discovery(box: str, patient: str) -> dict[str, Any]:
    """Return the document that announces a patient's device: it holds no value."""
    own = device_id(box, patient)
    components: dict[str, dict[str, Any]] = {
        name: _number(own, name, *how) for name, how in _SHOWN.items()
    }
    components["alarm"] = {
        "platform": "sensor",
        "unique_id": f"{own}_alarm",
        "name": "Alarm",
        "device_class": "enum",
        "options": [CLEAR, *_WORDS.values()],
        "value_template": "{{ value_json.alarm }}",
        "expire_after": EXPIRE_S,
        "icon": "mdi:alarm-light",
    }
    components["watching"] = {
        "platform": "binary_sensor",
        "unique_id": f"{own}_watching",
        "name": "Not watched",
        "device_class": "problem",
        "value_template": "{{ 'OFF' if value_json.watching else 'ON' }}",
        "expire_after": EXPIRE_S,
    }
    return {
        "device": {
            "identifiers": [own],
            "name": f"Homeward {patient}",
            "manufacturer": "Homeward",
            "model": "bedside monitor",
        },
        "origin": {"name": "Homeward"},
        "components": components,
        "state_topic": state_topic(box, patient),
        "availability_topic": availability_topic(box),
        "qos": 1,
    }


def state(now: NumbersOut) -> dict[str, Any]:
    """Return a patient's numbers and alarm: every key of the document, and no other."""
    values = {name: getattr(now.values, name) if now.watching else None for name in _SHOWN}
    alarm = CLEAR if now.alarm is None else _WORDS[now.alarm]
    return {**values, "alarm": alarm, "watching": now.watching}


def text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON; the same gives the same.

    >>> text({"b": None, "a": 1})
    '{"a":1,"b":null}'
    """
    return msgspec.json.encode(document, order="sorted").decode()


def _number(own: str, name: str, words: str, unit: str, digits: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "platform": "sensor",
        "unique_id": f"{own}_{name}",
        "name": words,
        "state_class": "measurement",
        "suggested_display_precision": digits,
        "value_template": f"{{{{ value_json.{name} }}}}",
        "expire_after": EXPIRE_S,
    }
    if unit:
        shown["unit_of_measurement"] = unit
    if name == "temp_degc":
        shown["device_class"] = "temperature"
    return shown
