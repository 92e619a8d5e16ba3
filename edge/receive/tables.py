"""The receiver's tables, in the SQL that SQLite and PostgreSQL have in common."""

from __future__ import annotations

from typing import Final

FACTS: Final = ("patient", "rule", "priority", "state", "at_utc")
TABLES: Final = (
    """
    CREATE TABLE IF NOT EXISTS entries (
        box TEXT NOT NULL,
        uuid TEXT NOT NULL,
        seq BIGINT NOT NULL,
        kind TEXT NOT NULL,
        digest TEXT NOT NULL,
        early BIGINT NOT NULL,
        content TEXT,
        received_s DOUBLE PRECISION NOT NULL,
        patient TEXT NOT NULL DEFAULT '',
        rule TEXT NOT NULL DEFAULT '',
        priority TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL DEFAULT '',
        at_utc TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (box, uuid)
    )
    """,
    "CREATE INDEX IF NOT EXISTS entries_in_order ON entries (box, kind, seq)",
    """
    CREATE TABLE IF NOT EXISTS boxes (
        box TEXT PRIMARY KEY,
        first_s DOUBLE PRECISION NOT NULL,
        heard_s DOUBLE PRECISION NOT NULL,
        heartbeat TEXT,
        n_copies BIGINT NOT NULL DEFAULT 0,
        n_conflicts BIGINT NOT NULL DEFAULT 0,
        n_refused BIGINT NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS silences (
        box TEXT NOT NULL,
        since_s DOUBLE PRECISION NOT NULL,
        noticed_s DOUBLE PRECISION NOT NULL,
        ended_s DOUBLE PRECISION,
        PRIMARY KEY (box, since_s)
    )
    """,
)

INSERT: Final = """
    INSERT INTO entries (box, uuid, seq, kind, digest, early, content, received_s,
                         patient, rule, priority, state, at_utc)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
HEARD: Final = """
    INSERT INTO boxes (box, first_s, heard_s, heartbeat, n_copies, n_conflicts, n_refused)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (box) DO UPDATE SET
        heard_s = excluded.heard_s,
        heartbeat = COALESCE(excluded.heartbeat, boxes.heartbeat),
        n_copies = boxes.n_copies + excluded.n_copies,
        n_conflicts = boxes.n_conflicts + excluded.n_conflicts,
        n_refused = boxes.n_refused + excluded.n_refused
"""
