"""A data directory with its settings and its patient, for one life of a monitor after the other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.rigs.disk.plan import Plan

GAP_S = 5.0
"""Of the boot clock, from the end of one life to the beginning of the next."""

QUIET_BOX = "".join(
    f"[alarms.{rule}]\nenabled = false\n"
    for rule in ("clock_unset", "memory_short", "over_heat", "under_voltage", "cannot_be_heard")
)
"""What the machine under the test is like is none of its business."""

CONFIG = f"""\
{QUIET_BOX}
[model]
enabled = false

[annunciators.sound]
enabled = false

[summaries]
period_s = 10

[alerts]
clear_s = 1

[alarms.very_low_spo2]
delay_s = 0
hold_s = 1

[alarms.low_spo2]
delay_s = 0
hold_s = 1
"""

FIRST_S, EVERY_S, LOW_S = 4.0, 12.0, 4.0
"""The saturation falls first at this time, then so often, each time for so long."""


def scenario(n_falls: int, devices: Iterable[str] = ("clip",)) -> str:
    """Return a patient whose saturation falls again and again."""
    worn = ", ".join(f'"{one}"' for one in devices)
    falls = "".join(
        f'[[events]]\nkind = "desaturation"\nat_s = {FIRST_S + EVERY_S * n}\nfor_s = {LOW_S}\n'
        "spo2_pct = 78\nfall_s = 1\nrise_s = 1\n"
        for n in range(n_falls)
    )
    length_s = FIRST_S + EVERY_S * n_falls + 10.0
    return f'title = "Falls"\nduration_s = {length_s}\nseed = 3\ndevices = [{worn}]\n{falls}'


def falls_s(begin_s: float, n: int) -> list[float]:
    """Return when the saturation of a patient falls who is watched from `begin_s` on."""
    return [begin_s + FIRST_S + EVERY_S * number for number in range(n)]


class Home:
    """Where a monitor lives, and when.

    Parameters
    ----------
    folder : Path
        Is made; what is beside the data directory is the rig's.
    data_dir : Path | None
        Where the data directory is to be, if not in `folder`.
    """

    def __init__(
        self,
        folder: Path,
        data_dir: Path | None = None,
        *,
        n_falls: int = 60,
        devices: Iterable[str] = ("clip",),
        config: str = CONFIG,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data_dir = data_dir or folder / "data"
        self.config, self.scenario = folder / "box.toml", folder / "patient.toml"
        self.config.write_text(config)
        self.scenario.write_text(scenario(n_falls, devices))
        self.begin_s = 1000.0
        self.n_lives = 0

    def plan(self, **more: Any) -> Plan:
        """Return the plan of the next life."""
        self.n_lives += 1
        return Plan(
            data_dir=self.data_dir,
            config=self.config,
            scenario=self.scenario,
            witness=self.folder / f"witness-{self.n_lives}",
            pulse=self.folder / "pulse",
            log=self.folder / "monitor.log",
            begin_s=self.begin_s,
            **more,
        )

    def ended(self, now_s: float) -> None:
        """Take when a life ended."""
        self.begin_s = max(self.begin_s, now_s) + GAP_S
