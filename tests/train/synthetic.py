"""A table like a real one, made of nothing: for tests of fitting, testing and writing a model."""

import numpy as np

from train.recordings import Why
from train.table import Table

NAMES = ("quality", "corr_min", "mean_rr_ms", "prematurity", "n_beats", "noise")


def make_table(n_subjects=6, n_each=120, seed=3) -> Table:
    """A third of the windows have an early beat of another shape; everybody's heart differs."""
    rng = np.random.default_rng(seed)
    n = n_subjects * n_each
    subject = np.repeat([f"s{i}" for i in range(n_subjects)], n_each)
    why = np.where(rng.random(n) < 0.33, int(Why.V), 0).astype(np.int16)
    ectopic = why > 0
    own_rr_ms = np.repeat(rng.uniform(700.0, 1000.0, n_subjects), n_each)
    values = np.column_stack(
        [
            np.clip(rng.normal(0.9, 0.05, n), 0.3, 1.0),
            np.where(ectopic, rng.normal(0.6, 0.2, n), rng.normal(0.95, 0.03, n)),
            own_rr_ms + rng.normal(0.0, 20.0, n),
            np.where(ectopic, rng.normal(0.7, 0.1, n), rng.normal(0.97, 0.02, n)),
            np.round(10_000.0 / own_rr_ms + rng.normal(0.0, 0.5, n)),
            rng.normal(size=n),
        ]
    ).astype(np.float32)
    values[rng.random(n) < 0.05, 3] = np.nan
    starts_s = np.tile(np.arange(n_each) * 10.0, n_subjects)
    return Table(NAMES, values, why, subject.copy(), subject, starts_s)
