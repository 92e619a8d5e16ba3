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


def nats_user(name: str, *, receives: bool = False) -> str:
    """Return a user of nats-server: a box, or a receiver, known by its certificate alone."""
    who = "*" if receives else name
    up, receipt = _subject(up_topic(who)), _subject(receipt_topic(who))
    # A topic of MQTT that ends in # is two subjects: with, and without what comes below.
    publish = [receipt] if receives else [f"{up}.>"]
    subscribe = [up, f"{up}.>"] if receives else [receipt]
    return (
        f'{{user: "{name}", permissions: {{publish: {_listed(publish)}, '
        f"subscribe: {_listed([*subscribe, '$MQTT.sub.>'])}}}}}"
    )


def nats_conf(
    folder: Path, state: Path, boxes: Sequence[str], receivers: Sequence[str], port: int = PORT
) -> str:
    """Return a configuration of nats-server with JetStream and its MQTT listener: of one node.

    It knows no list of certificates that were taken back: a box is let in as long as it is
    listed here.

    Parameters
    ----------
    folder : Path
        With ``ca.crt``, ``broker.crt`` and ``broker.key``.
    state : Path
        Where it keeps what waits for receivers.
    """
    users = [nats_user(name) for name in sorted(boxes)]
    users += [nats_user(name, receives=True) for name in sorted(receivers)]
    listed = "\n    ".join(users)
    # Users have no password: whatever listens has to go by certificates, NATS's own port too.
    tls = (
        f'tls {{cert_file: "{folder}/broker.crt", key_file: "{folder}/broker.key", '
        f'ca_file: "{folder}/ca.crt", verify_and_map: true}}'
    )
    return f"""\
# Homeward: boxes and receivers show a certificate of the clinic's CA; nobody else gets in.
server_name: homeward
listen: "127.0.0.1:4222"
{tls}
max_payload: {MAX_PACKET_BYTES}
jetstream {{store_dir: "{state}"}}
mqtt {{
  listen: "0.0.0.0:{port}"
  {tls}
}}
authorization {{
  users: [
    {listed}
  ]
}}
"""


def _listed(subjects: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{one}"' for one in subjects) + "]"


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
