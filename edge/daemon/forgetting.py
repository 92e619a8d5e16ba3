"""What a person wants forgotten while the monitor runs."""

from __future__ import annotations

import math

from edge.control import ControlError, Forget
from edge.daemon.recorder import Recorder
from edge.pipeline import Pipeline
from edge.store import Forgotten, StoreError, Wanted


async def forget(
    request: Forget, recorder: Recorder, pipeline: Pipeline, wall_s: float | None
) -> Forgotten:
    """Forget records, and return what was forgotten; alerts that stand stay.

    Raises
    ------
    ControlError
        Not all of it was forgotten.
    """
    standing = {alert.id for alert in pipeline.live().alerts}
    wanted = Wanted(
        -math.inf if request.from_s is None else request.from_s,
        math.inf if request.to_s is None else request.to_s,
        request.patient,
    )
    try:
        return await recorder.forget(wanted, request.by, standing, wall_s, dry_run=request.dry_run)
    except StoreError as error:
        raise ControlError(f"not all was forgotten ({error}): mend that, and ask again") from error
