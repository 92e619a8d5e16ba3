"""The sensors: do data come now, are they on the body, is the signal any good.

A source has failed when nothing came for `STALE_S` (hazard H2: a value expires after 10 s), or for
`N_MISSED` of its own mean intervals where it sends so seldom, as thermometers do; so many, because
some send several packets at a time. What a device
sends only when it is used (a cuff, a scale, a spot check: a profile without a deadline of its own)
is not judged by its silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from edge.assemble import every_profile
from edge.devices import load
from edge.live import PatientLive, SourceLive
from edge.records import LinkState, SelfTestRow, Verdict
from edge.selftest import Bench, Part, row

NAME: Final = "contact"
STALE_S: Final = 10.0
N_MISSED: Final = 10.0
SLOWEST_S: Final = 300.0
"""Nothing that flows sends less often: the limit of a thermometer in `edge.alarms.signal_lost`."""
QUALITY_AU: Final = 0.3
"""Where the rule poor_signal is not configured: its default."""
_WHY: Final = "nobody is watched through it"
_CURE: Final = "homeward status"
_PUT_ON: Final = "put the sensor on, wet the electrodes, then homeward status"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Look at every source, every paired sensor that should send, and every patient."""
    ages_s = overdue_s(bench.live.sources, bench.up_s)
    names = {s.source: s.name for s in bench.live.sensors if s.name}
    for source, (age_s, late) in ages_s.items():
        yield _of_source(names.get(source, source), age_s, late=late)
    heard = {source.source for source in bench.live.sources}
    for link, said in bench.silent_links.items():
        found = f"{link} has brought nothing since the start{f': {said}' if said else ''}"
        yield row(NAME, Verdict.FAILED, found, _WHY, _CURE, link)
    silent = _paired_and_silent(bench, heard)
    for name in silent:
        found = f"{name} has sent nothing since the start"
        yield row(NAME, Verdict.FAILED, found, _WHY, _PUT_ON, name)
    if not (heard or silent or bench.silent_links):
        yield row(NAME, Verdict.FAILED, "no sensor sends anything", _WHY, "homeward scan")
    for patient in bench.live.patients:
        yield from _of_patient(bench, patient)


def overdue_s(sources: tuple[SourceLive, ...], up_s: float) -> Mapping[str, tuple[float, bool]]:
    """Return how long ago each source sent last, and whether that is too long.

    Infinite where it only sends when it is used. `up_s`: for how long the monitor has run.
    """
    profiles = every_profile()
    flows = {p.prefix + uuid for p in profiles if p.deadline_s for uuid in p.listen}
    on_use = {p.prefix + uuid for p in profiles for uuid in p.listen} - flows
    ages_s: dict[str, tuple[float, bool]] = {}
    for one in sources:
        age_s = math.inf if one.stream in on_use else one.age_s
        seldom_s = N_MISSED * up_s / max(1, one.n_packets)
        late = age_s > min(max(STALE_S, seldom_s), SLOWEST_S)
        ages_s[one.source] = min((age_s, late), ages_s.get(one.source, (math.inf, True)))
    return ages_s


def _of_source(name: str, age_s: float, *, late: bool) -> SelfTestRow:
    if age_s == math.inf:
        return row(NAME, Verdict.UNKNOWN, f"{name} sends only when it is used", subject=name)
    if late:
        found = f"{name} has sent nothing for {age_s:.0f} s"
        return row(NAME, Verdict.FAILED, found, _WHY, _PUT_ON, name)
    return row(NAME, Verdict.PASSED, f"{name} sent {age_s:.1f} s ago", subject=name)


def _paired_and_silent(bench: Bench, heard: set[str]) -> list[str]:
    """Return the paired sensors that should send all the time and never have."""
    flowing = {profile.name for profile in every_profile() if profile.deadline_s}
    removed = {s.source for s in bench.live.sensors if s.state is LinkState.REMOVED}
    return [
        device.name
        for device in load(bench.config.box.data_dir)
        if device.address not in heard | removed and flowing.intersection(device.profiles)
    ]


def _of_patient(bench: Bench, patient: PatientLive) -> Iterator[SelfTestRow]:
    get = patient.vitals.get
    off = []
    if get("lead_off_flag", math.nan) == 1.0:
        off.append("an ECG electrode is off")
    if get("contact_flag", math.nan) == 0.0:
        off.append("a sensor has no contact with the skin")
    if off:
        found = f"{' and '.join(off)}"
        yield row(NAME, Verdict.FAILED, found, _WHY, _PUT_ON, patient.patient)
        return
    quality = get("ecg_quality", math.nan)
    rule = bench.config.alarms.get("poor_signal")
    least = rule.settings["quality_au"] if rule is not None else QUALITY_AU
    if math.isnan(quality):
        if not math.isnan(get("contact_flag", math.nan)):
            yield row(NAME, Verdict.PASSED, "the sensors are on", subject=patient.patient)
    elif quality < least:
        found = f"the ECG is too poor to read: quality {quality:.2f}, at least {least:g} is needed"
        yield row(NAME, Verdict.FAILED, found, _WHY, _PUT_ON, patient.patient)
    else:
        found = f"the sensors are on; quality of the ECG {quality:.2f} of 1"
        yield row(NAME, Verdict.PASSED, found, subject=patient.patient)


PART = Part(NAME, check, _WHY, _CURE)
