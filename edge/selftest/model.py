"""The anomaly model: does it give its maker's answers on this box.

The folder is loaded anew and its golden vectors are put through it, in a session of its own: the
one that is scoring belongs to the pipeline and is not touched. That one is judged by what it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.doctor import check_model
from edge.doctor.findings import Health
from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row, row_of

NAME: Final = "model"
_WHY: Final = "limit alarms work; nothing watches for what no single limit shows"
_CURE: Final = "pip install --force-reinstall homeward, or set model.bundle to a whole folder"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Test the model in its folder, and say how the running one does."""
    if not bench.config.model.enabled:
        yield row(NAME, Verdict.NOT_THERE, "no model is asked for (model.enabled)")
        return
    finding = check_model(bench.config)
    failed = any(alert.rule == "model_failed" for alert in bench.live.alerts)
    if finding.health is not Health.OK:
        yield row_of(NAME, finding)
    elif bench.model_trouble or failed:
        trouble = bench.model_trouble or "the running model fails, see its alert"
        cure = "systemctl restart homeward"
        yield row(NAME, Verdict.FAILED, f"{finding.found}; but {trouble}", _WHY, cure)
    else:
        yield row(NAME, Verdict.PASSED, finding.found)


PART = Part(NAME, check, _WHY, _CURE)
