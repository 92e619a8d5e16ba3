"""Settings for brokers: each box by its certificate, each to its own topics, nobody else.

A box is known by the common name of its certificate. It may write below ``homeward/v1/BOX/up``
and read ``homeward/v1/BOX/receipt``; receivers do the opposite, for all boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge.enrol.naming import TOPICS, receipt_topic, up_topic

PORT: Final = 8883
MAX_PACKET_BYTES: Final = 64 * 1024
"""Of one message: `edge.sync.parcel.MAX_PARCEL_BYTES` and its topic fit twice."""
MAX_QUEUED: Final = 100_000
"""Messages the broker holds for a receiver that is away."""


def mosquitto_acl(receivers: Sequence[str]) -> str:
    """Return the access list of mosquitto: it need not change when a box is added."""
    lines = [
        "# Every box: its own topics. %u is the common name of its certificate.",
        f"pattern write {up_topic('%u')}/#",
        f"pattern read {receipt_topic('%u')}",
        "# Receivers: what all boxes write, and their receipts.",
    ]
    for name in receivers:
        lines += [f"user {name}", f"topic read {up_topic('+')}/#"]
        lines += [f"topic write {receipt_topic('+')}"]
    return "\n".join(lines) + "\n"


def mosquitto_conf(folder: Path, state: Path, port: int = PORT) -> str:
    """Return a configuration of mosquitto 2 for mutual TLS and nothing else.

    Parameters
    ----------
    folder : Path
        With ``ca.crt``, ``crl.pem``, ``broker.crt``, ``broker.key`` and ``acl``.
    state : Path
        Where it keeps what waits for receivers.
    """
    return f"""\
# Homeward: boxes and receivers show a certificate of the clinic's CA; nobody else gets in.
listener {port}
cafile {folder}/ca.crt
crlfile {folder}/crl.pem
certfile {folder}/broker.crt
keyfile {folder}/broker.key
tls_version tlsv1.2
require_certificate true
allow_anonymous false
# Who somebody is stands in the certificate, and its client id is the same: no box can put
# another off the line by taking its id.
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/acl
# What waits for a receiver outlives the broker. Nothing depends on it: a box sends again until
# the receiver itself has said that it holds a record.
persistence true
persistence_location {state}/
autosave_interval 30
persistent_client_expiration 30d
max_packet_size {MAX_PACKET_BYTES}
max_queued_messages {MAX_QUEUED}
max_inflight_messages 64
max_keepalive 3600
"""


def nats_user(box: str) -> str:
    """Return a user of nats-server for one box (its MQTT listener with ``verify_and_map``)."""
    return (
        f'{{user: "{box}", permissions: {{publish: "{_subject(up_topic(box))}.>", '
        f'subscribe: ["{_subject(receipt_topic(box))}", "$MQTT.sub.>"]}}}}'
    )


def emqx_acl() -> str:
    """Return the access list of EMQX (with ``peer_cert_as_username = cn``)."""
    return (
        f'{{allow, all, publish, ["{up_topic("${username}")}/#"]}}.\n'
        f'{{allow, all, subscribe, [{{eq, "{receipt_topic("${username}")}"}}]}}.\n'
        f'{{allow, {{username, {{re, "^receiver"}}}}, subscribe, ["{TOPICS}/#"]}}.\n'
        f'{{allow, {{username, {{re, "^receiver"}}}}, publish, ["{receipt_topic("+")}"]}}.\n'
        "{deny, all}.\n"
    )


def _subject(topic: str) -> str:
    return topic.replace("/", ".")
