"""The certificate by which receivers know this box: is it whole, and how long is it good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from edge.doctor.findings import Finding, Health
from edge.enrol import EnrolError
from edge.enrol.folder import Note, note_of, sync_folder, trouble_of


def check_enrolment(home: Path, *, synchronised: bool, now_utc_s: float) -> Iterator[Finding]:
    """Return how the box's certificate is; nothing where it has none, or the clock is not right.

    Parameters
    ----------
    home : Path
        DATA_DIR.
    now_utc_s : float
        Wall time, seconds since 1970.
    """
    folder = sync_folder(home)
    if not synchronised:
        return  # the row on the clock says so; no certificate is judged by a wrong one
    note: Note | None = None
    trouble = ""
    try:
        note = note_of(folder)
    except EnrolError as error:
        trouble = str(error)
    if note is None and not trouble:
        return
    trouble = trouble or trouble_of(folder, now_utc_s)
    if trouble:
        why = "without a certificate nothing reaches the clinic; all of it is kept here"
        yield Finding("certificate", Health.WARN, trouble, why, "homeward enrol --status")
    elif note is not None:
        ends = datetime.fromtimestamp(note.ends_s, UTC).date().isoformat()
        yield Finding("certificate", Health.OK, f"{note.box}, until {ends}")
