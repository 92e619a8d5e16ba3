"""``python -m tests.bench.whatif``: a past remembered once, and asked again under other limits."""

from __future__ import annotations

import argparse
import time

from edge.assemble import open_scorer, settings_of
from edge.cli._shared import plugin_defaults
from edge.config import load
from edge.config.changes import in_force, laid_over, read_changes
from edge.whatif.nights import from_scenario
from edge.whatif.recalling import recall
from edge.whatif.study import RUN_ID, Question, ask, every_rule, settings_for, sweep
from edge.whatif.worlds import Asking, live_through

PATIENT = "patient-1"


def main() -> None:
    """Print times of the processor and sizes, for a scenario and as much a week."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="night")
    parser.add_argument("--for", dest="length_s", type=float, default=None)
    given = parser.parse_args()
    plugins = plugin_defaults()
    config = load(None, plugins)
    (night,) = from_scenario(given.scenario, given.length_s)
    packets = list(night.packets)
    night = type(night)(night.run_id, packets, night.begin_s, night.end_s)
    began = time.process_time()
    past = recall(night, RUN_ID, settings_of(config), open_scorer())
    took_s = time.process_time() - began
    assert past is not None
    week = 7 * 86400.0 / past.length_s
    print(f"{given.scenario}, {past.length_s:.0f} s, {len(packets)} packets")
    print(f"remembered in {took_s:.1f} s: {past.length_s / took_s:.0f} times real time, a week in "
          f"{took_s * week:.0f} s; {past.past.n_bytes / past.length_s:.0f} bytes a second, a week "
          f"{past.past.n_bytes * week / 1e6:.0f} MB")  # fmt: skip
    now = in_force(config, PATIENT)
    after = laid_over(now, read_changes(["low_spo2.limit_pct=85"], now, plugins))
    for name, rules, loud in (
        ("all rules", every_rule(), True),
        ("one rule", [r for r in every_rule() if r.name == "low_spo2"], False),
    ):
        began = time.process_time()
        live_through(
            [past], settings_for(config, PATIENT, after), RUN_ID, Asking(rules, PATIENT, loud=loud)
        )
        took_s = time.process_time() - began
        print(f"asked again, {name}: {took_s:.2f} s, {past.length_s / took_s:.0f} times real time, "
              f"a week in {took_s * week:.0f} s")  # fmt: skip
    question = Question([past], config, PATIENT, now)
    began = time.process_time()
    answer = ask(question, after)
    print(f"a whole question: {time.process_time() - began:.2f} s")
    began = time.process_time()
    sweep(question, "low_spo2", "limit_pct", [float(v) for v in range(84, 94)], answer.before)
    print(f"ten more limits: {time.process_time() - began:.2f} s")


if __name__ == "__main__":
    main()
