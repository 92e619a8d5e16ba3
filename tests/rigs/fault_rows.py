"""Every row of the fault tables as something that happens to a running box.

`ROWS` holds the rows of `reference/field-faults.md` section 3 and of the reader's own table
(`edge.readers._ble_faults.TABLE`); `NOT_MADE` says of the others why they cannot be made to happen
here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edge.virtual import Wearable
from edge.virtual.viatom import WEARABLE as VIATOM
from tests.rigs import fault_injections as link
from tests.rigs import radio_injections as radio
from tests.rigs.fault_injections import UNLIKELY, Inject
from tests.rigs.fault_scene import STRAP

_NO_OBJECT: Final = "org.freedesktop.DBus.Error.UnknownObject"
_NO_REPLY: Final = "org.freedesktop.DBus.Error.NoReply"


class Row(msgspec.Struct, frozen=True):
    """One row.

    Attributes
    ----------
    name : str
        For the table.
    source : str
        Row of `reference/field-faults.md` section 3, by number; empty: only of the reader's table.
    inject : Inject
        Lets it happen; returns the loop's time from which recovery counts.
    meets : tuple[str, ...]
        Rows of the reader's table, one of which it has to meet at least once.
    counts : str
        From when: ``begin``, ``end`` or ``person`` (a person has done what only a person can).
    touches : str
        ``one``: the other sensor must not notice. ``cure``: it may suffer from the cure. ``all``:
        both are cut off, and both have to come back.
    given_s : float
        Wait that the fault table itself prescribes before anything is done; added to the bars of
        the median and of p95, and not to that of the worst.
    why : str
        Which wait that is.
    """

    name: str
    source: str
    inject: Inject
    meets: tuple[str, ...]
    counts: str = "begin"
    touches: str = "one"
    given_s: float = 0.0
    why: str = ""
    wearable: Wearable = STRAP
    bonded: bool = False


_ABORT = ("Failed", "le-connection-abort-by-local"), ("Failed", "le-connection-abort-by-remote")
_MISSED = ("Failed", "Software caused connection abort")
_KEY = (
    ("AuthenticationFailed", "Authentication Failed"),
    ("AuthenticationCanceled", "Authentication Canceled"),
    ("AuthenticationRejected", "Authentication Rejected"),
    ("Failed", "br-connection-key-missing"),
    ("Failed", "le-connection-key-missing"),
)
_FULL = (
    ("Failed", "le-connection-busy"),
    ("Failed", "le-connection-concurrent-connection-limit"),
    ("Failed", "Limited resources"),
)

ROWS: Final = (
    Row("hangs up", "", link.hang_up, ("lost",)),
    Row("interference ends the link", "2", link.interference, ("lost",)),
    Row("out of range 1-25 s", "", link.out_of_range, ("lost",), "end"),
    Row("switched off 1-25 s", "", link.switched_off, ("lost",), "end"),
    Row("open and silent 3-25 s", "", link.silent, ("silent",), "end"),
    Row(
        "notifications stop till reconnect",
        "",
        link.unheard,
        ("silent",),
        given_s=5.0,
        why="data deadline of the kind",
    ),
    Row("ends 1-3 links at once", "1", link.refused_links, ("aborted", "lost", "dropped")),
    Row("drops 1-3 while asked", "8", link.dropped_while_asked, ("dropped", "lost", "gone")),
    Row("connect: abort-by-local x1-5", "1", link.connect_fails(*_ABORT), ("aborted",)),
    Row("connect: noise 10-50 s", "1", link.noise, ("aborted", "hangs"), "end"),
    Row("connect: software abort x1-5", "2", link.connect_fails(_MISSED), ("missed",)),
    Row(
        "connect: canceled x1-5",
        "3",
        link.connect_fails(("Failed", "br-connection-canceled")),
        ("cancelled",),
    ),
    Row("connect: InProgress till removed", "4", link.connect_stuck, ("connect stuck",)),
    Row(
        "connect: InProgress, bonded",
        "4",
        link.connect_stuck,
        ("connect stuck",),
        bonded=True,
        touches="cure",
    ),
    Row("killed mid-connect, start", "4", radio.killed_mid_connect, (), touches="all"),
    Row(
        "killed mid-connect, bonded", "4", radio.killed_mid_connect, (), touches="all", bonded=True
    ),
    Row(
        "connect: UnknownObject x1-3",
        "7",
        link.connect_fails((_NO_OBJECT, "no object"), most=3),
        ("forgotten",),
    ),
    Row(
        "connect: DoesNotExist x1-3",
        "7",
        link.connect_fails(("DoesNotExist", "Does Not Exist"), most=3),
        ("forgotten",),
    ),
    Row("device removed by another", "7", link.forgotten, ("lost", "forgotten", "gone")),
    Row(
        "connect: NotReady x1-3",
        "6",
        link.connect_fails(
            ("NotReady", "Resource Not Ready"), ("Failed", "br-adapter-not-powered"), most=3
        ),
        ("not ready",),
        touches="cure",
    ),
    Row(
        "connect: NoReply x1-3",
        "10",
        link.connect_fails((_NO_REPLY, "no reply"), most=3),
        ("hangs",),
    ),
    Row(
        "connect: unknown words x1-3",
        "",
        link.connect_fails(("Failed", "br-connection-profile-unavailable"), ("Odd", "odd"), most=3),
        ("unknown",),
    ),
    Row(
        "connect never returns",
        "10",
        link.connect_hangs,
        ("hangs",),
        given_s=20.0,
        why="connect timeout",
    ),
    Row("no slot 3-20 s", "11", link.no_slot, ("no slot",), "end"),
    Row(
        "no slot, other words",
        "11",
        link.connect_fails(*_FULL, most=1),
        ("no slot",),
        given_s=4.0,
        why="backoff of the table",
    ),
    Row("GATT: KeyError x1-3", "8", link.stale_services, ("stale services",)),
    Row("GATT: other handles", "8", link.other_handles, ("lost", "stale services")),
    Row("GATT: service missing 2-20 s", "8", link.no_heart, ("nothing to read",), "end"),
    Row(
        "GATT: invalid handle x1-3",
        "8",
        link.call_fails(
            "StartNotify",
            ("Failed", "Operation failed with ATT error: 0x01"),
            ("Failed", "Operation failed with ATT error: 0x12"),
        ),
        ("stale services",),
    ),
    Row(
        "StartNotify: unlikely error x1-3", "8", link.call_fails("StartNotify", UNLIKELY), ("gone",)
    ),
    Row(
        "StartNotify: InProgress x1-3",
        "",
        link.call_fails("StartNotify", ("InProgress", "In Progress")),
        ("busy",),
    ),
    Row(
        "StartNotify: not connected x1-3",
        "",
        link.call_fails(
            "StartNotify", ("NotConnected", "Not Connected"), ("Failed", "Not connected")
        ),
        ("gone",),
    ),
    Row(
        "StartNotify never answers",
        "10",
        link.call_hangs("StartNotify"),
        (),
        given_s=20.0,
        why="connect timeout",
    ),
    Row("ReadValue: fails x1-4", "8", link.reading_fails, ("lost",)),
    Row(
        "ReadValue never answers",
        "10",
        link.call_hangs("ReadValue"),
        (),
        given_s=20.0,
        why="connect timeout",
    ),
    Row("will not start 2-15 s", "", link.will_not_start, ("not now",), "end", wearable=VIATOM),
    Row(
        "asks for a key at connect",
        "",
        link.asks_for_a_key("Connect", *_KEY),
        ("key missing",),
        "person",
    ),
    Row(
        "asks for a key at subscribing",
        "",
        link.asks_for_a_key(
            "StartNotify",
            ("NotPermitted", "Not paired"),
            ("Failed", "Operation failed with ATT error: 0x05"),
            ("Failed", "Operation failed with ATT error: 0x0f"),
        ),
        ("key missing",),
        "person",
    ),
    Row(
        "not authorised",
        "",
        link.asks_for_a_key(
            "StartNotify",
            ("Failed", "Operation failed with ATT error: 0x08"),
            ("NotAuthorized", "Operation Not Authorized"),
        ),
        ("not authorised",),
        "person",
    ),
    Row("consent withdrawn", "", link.consent_withdrawn, ("refused",), "person"),
    Row(
        "sensor lost its keys",
        "",
        link.sensor_lost_keys,
        ("key missing", "key lost"),
        "person",
        bonded=True,
    ),
    Row("box lost its keys", "", link.box_lost_keys, ("key lost",), "person", bonded=True),
    Row("scan: InProgress till stopped", "5", radio.discovery_stuck, ("lost",)),
    Row(
        "scan: InProgress till cycle",
        "5",
        radio.dead("org.bluez.Error.InProgress", "In Progress", "cycle"),
        ("scan stuck",),
        touches="all",
    ),
    Row(
        "scan: NotReady x1-3",
        "6",
        radio.discovery_fails(("NotReady", "Resource Not Ready")),
        ("not ready",),
        touches="cure",
    ),
    Row(
        "scan: Failed x1-3",
        "6",
        radio.discovery_fails(("Failed", "Failed")),
        ("scan failed",),
        touches="cure",
    ),
    Row(
        "scan: UnknownObject x1-3",
        "7",
        radio.discovery_fails((_NO_OBJECT, "no object")),
        ("initialising",),
    ),
    Row(
        "scan: start never answers",
        "10,14",
        link.call_hangs("StartDiscovery"),
        ("scan hangs",),
        given_s=10.0,
        why="bound of a start",
    ),
    Row(
        "scan: started, answer lost",
        "14",
        radio.start_unanswered,
        ("scan hangs",),
        given_s=10.0,
        why="bound of a start",
    ),
    Row("scan: another program scans", "14", radio.someone_scans, ("lost",), "end"),
    Row(
        "deaf till scan anew",
        "12",
        radio.deaf,
        ("lost",),
        "end",
        given_s=20.0,
        why="watchdog of silence",
    ),
    Row(
        "deaf till cycle, one streams",
        "12",
        radio.deaf_for_good,
        ("lost",),
        touches="cure",
        given_s=90.0,
        why="watchdog of silence",
    ),
    Row(
        "deaf till cycle, none streams",
        "12",
        radio.deaf_alone,
        ("lost",),
        "end",
        touches="all",
        given_s=90.0,
        why="watchdog of silence",
    ),
    Row("radio switched off", "6", radio.powered_off, ("not ready", "no radio"), touches="all"),
    Row(
        "radio off, 1-2 switch-ons fail",
        "6,13",
        radio.powered_off_firmly,
        ("not ready", "no radio"),
        touches="all",
    ),
    Row(
        "radio vanished 1-20 s",
        "7",
        radio.vanished(1, 20, on=True),
        ("no radio",),
        "end",
        touches="all",
    ),
    Row(
        "radio vanished 40-80 s",
        "7,13",
        radio.vanished(40, 80, on=True),
        ("no radio",),
        "end",
        touches="all",
    ),
    Row(
        "radio vanished, back switched off",
        "7,13",
        radio.vanished(1, 45, on=False),
        ("no radio",),
        "end",
        touches="all",
    ),
    Row(
        "dead till cycle",
        "13",
        radio.dead("org.bluez.Error.NotReady", "Resource Not Ready", "cycle"),
        ("not ready",),
        touches="all",
    ),
    Row(
        "dead till reset",
        "13",
        radio.dead("org.bluez.Error.Failed", "Operation failed", "reset"),
        ("scan failed",),
        touches="all",
    ),
    Row(
        "dead till helper",
        "13",
        radio.dead("org.bluez.Error.NotReady", "Resource Not Ready", "helper"),
        ("not ready",),
        touches="all",
        given_s=20.0,
        why="time of the helper",
    ),
    Row(
        "bluetoothd restarted 0.5-15 s",
        "9",
        radio.restarted(crashed=False),
        ("lost", "bus lost"),
        "end",
        touches="all",
    ),
    Row(
        "bluetoothd killed 0.5-15 s",
        "9",
        radio.restarted(crashed=True),
        ("lost", "bus lost"),
        "end",
        touches="all",
    ),
    Row("bluetoothd stands still 5-45 s", "10", radio.frozen, (), "end", touches="all"),
    Row("dbus-daemon gone 0.5-15 s", "9", radio.bus_died, ("bus lost",), "end", touches="all"),
)

NOT_MADE: Final = {
    "reference 9: InvalidMessage": "dbus-daemon passes on no message that is malformed, so a "
    "client cannot be sent one; tests/edge/readers/test_ble_faults.py judges the error itself",
    "reference 13: hardware error 0x00, tx timeout": "kernel messages; there is no kernel here. "
    "What BlueZ then says (NotReady, Failed, nothing) is injected, till cycle, reset and helper",
}
"""What cannot be made to happen on this rig, and why."""
