"""The fault table: every error seen in the field has its row, and every row is reachable."""

import asyncio

import pytest

from edge.bluez.objects import LOST, NO_BUS, TIMED_OUT, BluezError
from edge.readers._ble_backoff import JITTER, MOST_S, Backoff
from edge.readers._ble_errors import (
    KeyLostError,
    LostError,
    NothingError,
    NotReadyError,
    RefusedError,
    SilentError,
)
from edge.readers._ble_faults import (
    PERSON_S,
    SLOT_S,
    TABLE,
    TRANSIENT_S,
    UNKNOWN,
    Action,
    Stage,
    _fits,
    is_grave,
    judge,
)

bleak_exc = pytest.importorskip("bleak.exc", reason="bleak is missing: pip install 'homeward[pi]'")
dbus_errors = pytest.importorskip("dbus_fast.errors")

SCAN, CONNECT, LINK = Stage.SCAN, Stage.CONNECT, Stage.LINK


def dbus(name, *text):
    return bleak_exc.BleakDBusError(name, list(text))


def gatt(code):
    return bleak_exc.BleakGATTProtocolError(code)


BLUEZ = "org.bluez.Error."
FREEDESKTOP = "org.freedesktop.DBus.Error."

# What is raised, when, the row it must find, and what is done about it.
SEEN = [
    (dbus(BLUEZ + "Failed", "le-connection-abort-by-local"), CONNECT, "aborted", Action.QUIET),
    (dbus(BLUEZ + "Failed", "le-connection-abort-by-remote"), CONNECT, "aborted", Action.QUIET),
    (dbus(BLUEZ + "Failed", "Software caused connection abort"), CONNECT, "missed", Action.QUIET),
    (dbus(BLUEZ + "Failed", "br-connection-canceled"), CONNECT, "cancelled", Action.RETRY),
    (dbus(BLUEZ + "InProgress", "br-connection-busy"), CONNECT, "connect stuck", Action.CLEAR),
    (dbus(BLUEZ + "InProgress", "In Progress"), LINK, "busy", Action.RETRY),
    (dbus(BLUEZ + "InProgress", "Operation already in progress"), SCAN, "scan stuck", Action.RADIO),
    (dbus(BLUEZ + "NotReady", "Resource Not Ready"), SCAN, "not ready", Action.RADIO),
    (dbus(BLUEZ + "NotReady", "Resource Not Ready"), CONNECT, "not ready", Action.RADIO),
    (
        dbus(BLUEZ + "Failed", "le-connection-adapter-not-powered"),
        CONNECT,
        "not ready",
        Action.RADIO,
    ),
    (dbus(BLUEZ + "Failed", "Failed"), SCAN, "scan failed", Action.RADIO),
    (bleak_exc.BleakError("adapter 'hci0' not found"), SCAN, "no radio", Action.RADIO),
    (
        bleak_exc.BleakBluetoothNotAvailableError(
            "No Bluetooth adapters found.", bleak_exc.BleakBluetoothNotAvailableReason.NO_BLUETOOTH
        ),
        SCAN,
        "no radio",
        Action.RADIO,
    ),
    (dbus(FREEDESKTOP + "UnknownObject", "no hci0"), SCAN, "initialising", Action.RETRY),
    (dbus(FREEDESKTOP + "UnknownObject", "no dev"), CONNECT, "forgotten", Action.RESCAN),
    (dbus(FREEDESKTOP + "UnknownObject", "no char"), LINK, "forgotten", Action.RESCAN),
    (bleak_exc.BleakDeviceNotFoundError("x", "was not found"), CONNECT, "forgotten", Action.RESCAN),
    (dbus(BLUEZ + "DoesNotExist", "Does Not Exist"), CONNECT, "forgotten", Action.RESCAN),
    (KeyError("org.bluez.GattService1"), CONNECT, "stale services", Action.CLEAR),
    (bleak_exc.BleakCharacteristicNotFoundError("2a37"), LINK, "stale services", Action.CLEAR),
    (
        bleak_exc.BleakError("Interface org.bluez.GattService1 not found for device"),
        CONNECT,
        "stale services",
        Action.CLEAR,
    ),
    (gatt(0x12), LINK, "stale services", Action.CLEAR),
    (gatt(0x01), LINK, "stale services", Action.CLEAR),
    (
        bleak_exc.BleakError("failed to discover services, device disconnected"),
        CONNECT,
        "dropped",
        Action.CLEAR,
    ),
    (BrokenPipeError(), CONNECT, "bus lost", Action.REBUILD),
    (ConnectionResetError(), CONNECT, "bus lost", Action.REBUILD),
    (ConnectionRefusedError(), SCAN, "bus lost", Action.REBUILD),
    (EOFError(), LINK, "bus lost", Action.REBUILD),
    (FileNotFoundError("/run/dbus/system_bus_socket"), CONNECT, "bus lost", Action.REBUILD),
    (dbus_errors.InvalidMessageError("broken"), CONNECT, "bus lost", Action.REBUILD),
    (dbus(FREEDESKTOP + "ServiceUnknown", "org.bluez"), LINK, "bus lost", Action.REBUILD),
    (dbus(FREEDESKTOP + "NameHasNoOwner", "org.bluez"), LINK, "bus lost", Action.REBUILD),
    (dbus(FREEDESKTOP + "Disconnected", "bye"), LINK, "bus lost", Action.REBUILD),
    (BluezError(LOST), CONNECT, "bus lost", Action.REBUILD),
    (BluezError(NO_BUS), CONNECT, "bus lost", Action.REBUILD),
    (TimeoutError(), CONNECT, "hangs", Action.CLEAR),
    (TimeoutError(), LINK, "hangs", Action.CLEAR),
    (TimeoutError(), SCAN, "scan hangs", Action.RADIO),
    (BluezError(TIMED_OUT), CONNECT, "hangs", Action.CLEAR),
    (BluezError(TIMED_OUT), SCAN, "scan hangs", Action.RADIO),
    (dbus(FREEDESKTOP + "NoReply", "Did not receive a reply"), CONNECT, "hangs", Action.CLEAR),
    (bleak_exc.BleakError("out of connection slots"), CONNECT, "no slot", Action.SLOT),
    (bleak_exc.BleakError("no available connection"), CONNECT, "no slot", Action.SLOT),
    (
        dbus(BLUEZ + "Failed", "le-connection-concurrent-connection-limit"),
        CONNECT,
        "no slot",
        Action.SLOT,
    ),
    (dbus(BLUEZ + "Failed", "le-connection-busy"), CONNECT, "no slot", Action.SLOT),
    (bleak_exc.BleakError("limited resources"), CONNECT, "no slot", Action.SLOT),
    (gatt(0x05), LINK, "key missing", Action.PERSON),
    (gatt(0x0C), LINK, "key missing", Action.PERSON),
    (gatt(0x0F), LINK, "key missing", Action.PERSON),
    (dbus(BLUEZ + "NotPermitted", "Not paired"), LINK, "key missing", Action.PERSON),
    (dbus(BLUEZ + "AuthenticationFailed", "Failed"), CONNECT, "key missing", Action.PERSON),
    (dbus(BLUEZ + "AuthenticationRejected", "no"), CONNECT, "key missing", Action.PERSON),
    (dbus(BLUEZ + "AuthenticationCanceled", "no"), CONNECT, "key missing", Action.PERSON),
    (dbus(BLUEZ + "Failed", "le-connection-key-missing"), CONNECT, "key missing", Action.PERSON),
    (dbus(BLUEZ + "Failed", "PIN or Key Missing"), CONNECT, "key missing", Action.PERSON),
    (gatt(0x08), LINK, "not authorised", Action.PERSON),
    (KeyLostError("gone"), CONNECT, "key lost", Action.PERSON),
    (RefusedError("no"), CONNECT, "refused", Action.PERSON),
    (NotReadyError("charging"), LINK, "not now", Action.RETRY),
    (NothingError("nothing"), LINK, "nothing to read", Action.CLEAR),
    (SilentError("silent"), LINK, "silent", Action.CLEAR),
    (LostError("lost"), LINK, "lost", Action.RESCAN),
    (bleak_exc.BleakError("Not connected"), LINK, "gone", Action.RESCAN),
    (dbus(BLUEZ + "NotConnected", "Not Connected"), LINK, "gone", Action.RESCAN),
    (
        bleak_exc.BleakError("Service Discovery has not been performed yet"),
        LINK,
        "gone",
        Action.RESCAN,
    ),
    (gatt(0x0E), LINK, "gone", Action.RESCAN),
]


@pytest.mark.parametrize(
    ("error", "stage", "row", "action"),
    SEEN,
    ids=[f"{n}-{row}" for n, (_, _, row, _) in enumerate(SEEN)],
)
def test_an_error_of_the_field_finds_its_row(error, stage, row, action):
    found = judge(error, stage)
    assert (found.row, found.action) == (row, action)


def test_every_row_of_the_table_is_tried_above():
    assert {judge(error, stage) for error, stage, _, _ in SEEN} == set(TABLE)


def test_every_sign_of_the_table_is_tried_above():
    def shows(sign, error):
        types = {kind.__name__ for kind in type(error).__mro__}
        name = getattr(error, "dbus_error", "") or getattr(error, "name", "") or ""
        return _fits(sign, types, str(name), str(error).casefold())

    tried = [(judge(error, stage), error) for error, stage, _, _ in SEEN]
    for row in TABLE:
        for sign in row.signs:
            assert any(shows(sign, error) for found, error in tried if found is row), sign


def test_what_is_not_in_the_table_is_retried():
    assert judge(ValueError("never seen"), LINK) is UNKNOWN
    assert judge(asyncio.InvalidStateError(), SCAN) is UNKNOWN


def test_the_cause_of_an_error_is_read_too():
    error = RuntimeError("outer")
    error.__cause__ = bleak_exc.BleakError("le-connection-abort-by-local")
    assert judge(error, CONNECT).row == "aborted"


def test_a_missing_key_ends_only_the_link_of_a_bonded_sensor():
    assert is_grave(gatt(0x05), is_bonded=True)
    assert not is_grave(gatt(0x05), is_bonded=False)
    assert is_grave(EOFError(), is_bonded=False)
    assert not is_grave(gatt(0x02), is_bonded=True)


def test_waits_begin_short_double_and_are_bounded():
    backoff = Backoff()
    lost = judge(LostError("lost"), LINK)
    waits = [backoff.wait_s(lost) for _ in range(40)]
    for n, wait_s in enumerate(waits):
        plain_s = min(TRANSIENT_S * 2**n, MOST_S)
        assert plain_s * (1 - JITTER) <= wait_s <= min(plain_s * (1 + JITTER), MOST_S)
    backoff.clear()
    assert backoff.wait_s(lost) <= TRANSIENT_S * (1 + JITTER)


def test_waits_are_not_the_same_for_two_sensors():
    lost = judge(LostError("lost"), LINK)
    assert len({Backoff().wait_s(lost) for _ in range(20)}) > 10


def test_a_missing_slot_always_waits_the_same_and_a_person_is_given_time():
    backoff = Backoff()
    slot = judge(bleak_exc.BleakError("connection slot"), CONNECT)
    person = judge(KeyLostError("x"), CONNECT)
    for _ in range(8):
        assert backoff.wait_s(slot) == pytest.approx(SLOT_S, rel=JITTER)
    assert Backoff().wait_s(person) >= PERSON_S * (1 - JITTER)
