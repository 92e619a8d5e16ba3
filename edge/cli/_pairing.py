"""The steps of ``homeward pair``: which sensor, what to call it, and then to pair it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from rich.console import Console

from edge.bluez import Bluez, BluezError
from edge.cli._air import all_profiles, seen_table, wanted, watch
from edge.cli._guide import CommandGuide
from edge.cli._prompt import ask, on_terminal, say
from edge.cli._sensors import patient_complaint
from edge.cli._shared import CommandError
from edge.config import Config
from edge.devices import Device, DevicesError, find, load
from edge.gatt import Profile
from edge.pairing import Scan, Seen, Wish, explained, pair, ready_adapter

_ADDRESS: Final = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}")


class Flags(msgspec.Struct, frozen=True):
    """What was said on the command line."""

    device: str | None
    name: str
    patient: str
    place: str
    unpaired: bool
    again: bool
    passkey: int | None
    yes: bool
    adapter: str
    listen_s: float


async def add(flags: Flags, settings: Config) -> Device:
    """Pair as the command line says, asking for what it does not say."""
    profiles, folder = all_profiles(), settings.box.data_dir
    known = load(folder)
    try:
        async with Bluez.connect() as bluez:
            address, called = await _chosen(bluez, flags, known, profiles)
            wish = Wish(
                address=address,
                name=flags.name,
                patient=flags.patient,
                place=flags.place,
                unpaired=flags.unpaired,
                again=flags.again,
                adapter=flags.adapter,
                paired_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            new = all(one.address != address for one in known)
            if new and on_terminal() and not flags.yes:
                wish = await _described(wish, called, settings)
            guide = CommandGuide(flags.passkey, yes=flags.yes)
            return await pair(bluez, wish, guide, folder, profiles)
    except BluezError as error:
        raise explained(error, "cannot pair") from error


async def _chosen(
    bluez: Bluez, flags: Flags, known: Sequence[Device], profiles: Sequence[Profile]
) -> tuple[str, str]:
    """Return the address of the sensor, and what it calls itself where that was heard."""
    if flags.device is None:
        seen = await _picked(bluez, flags, known, profiles)
        return seen.address, seen.name
    if _ADDRESS.fullmatch(flags.device.upper()):
        return flags.device.upper(), ""
    try:
        return find(known, flags.device).address, ""
    except DevicesError:
        pass  # then it is the name of one in the air
    adapter = await ready_adapter(bluez, flags.adapter)
    say(f"listening for {flags.device!r} for {flags.listen_s:.0f} s")
    async with Scan(bluez, adapter, profiles, known) as running:
        await asyncio.sleep(flags.listen_s)
        heard = running.seen()
    low = flags.device.casefold()
    exact = [one for one in heard if one.name.casefold() == low]
    fitting = exact or [one for one in heard if one.name.casefold().startswith(low)]
    if len(fitting) == 1:
        return fitting[0].address, fitting[0].name
    if fitting:
        raise CommandError(
            f"{len(fitting)} devices call themselves {flags.device!r}: say which by its address, "
            + ", ".join(one.address for one in fitting)
        )
    raise CommandError(
        f"nothing in the air calls itself {flags.device!r}: wake it, bring it nearer; `homeward "
        f"scan --all` shows what there is"
    )


async def _picked(
    bluez: Bluez, flags: Flags, known: Sequence[Device], profiles: Sequence[Profile]
) -> Seen:
    """Show what is in the air and let a person choose."""
    out = Console(stderr=True, highlight=False)
    adapter = await ready_adapter(bluez, flags.adapter)
    everything = False
    while True:
        async with Scan(bluez, adapter, profiles, known) as running:
            await watch(running, flags.listen_s, out, everything=everything)
            heard = wanted(running.seen(), everything=everything)
        out.print(seen_table(heard, "In the air", numbered=True))
        answer = await ask("Which number? (Enter: look again, a: show all, q: end)")
        if answer.isdecimal() and 1 <= int(answer) <= len(heard):
            return heard[int(answer) - 1]
        if answer.casefold() == "q":
            raise CommandError("nothing was paired")
        everything = everything or answer.casefold() == "a"


async def _described(wish: Wish, called: str, settings: Config) -> Wish:
    """Ask for what was not said: name, patient, place."""
    name = wish.name or await ask(f"What to call it? (Enter: {called or 'its own name'})")
    patient = wish.patient
    if not patient and len(settings.patients) > 1:
        ids = ", ".join(one.id for one in settings.patients)
        patient = await ask(f"Whose is it? ({ids}; Enter: {settings.patients[0].id})")
        complaint = patient_complaint(settings, patient) if patient else None
        if complaint:
            raise CommandError(complaint)
    place = wish.place or await ask('Where on the body? (as "chest"; Enter: leave out)')
    return msgspec.structs.replace(wish, name=name, patient=patient, place=place)
