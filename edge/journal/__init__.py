"""What Homeward prints for the journal, with nothing personal in it.

The system's journal is read by the groups ``adm`` and ``systemd-journal`` and is copied into bug
reports, so it may say what happened and not to whom: no names, no measured values, no addresses,
no text that somebody typed. Everything that a process writes goes through one last step here.

    keys      which fields of which logger may be printed, and as what; all others are hidden
    names     names, secrets and typed text that the process has come to know
    scrubbed  a text without them
    traces    exceptions: where and which, never what the variables held
    lines     one line of the log, and what libraries have to say
"""

from edge.journal.keys import KEYS, Shown
from edge.journal.lines import open_journal
from edge.journal.names import NAMES, Names
from edge.journal.scrubbed import scrubbed

__all__ = ["KEYS", "NAMES", "Names", "Shown", "open_journal", "scrubbed"]
