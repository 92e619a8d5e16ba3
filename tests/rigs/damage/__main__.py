"""Random damages to the database and to the vault's segments, opened with the real code.

    python -m tests.rigs.damage --damages 10000        4 minutes

Prints one table for each, and ends with 1 where something was let out that is no error in words,
where a second start met the same damage again, or a part was lost that was whole.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from unittest import mock

import structlog

from tests.rigs.damage import store_damage, vault_damage
from tests.rigs.damage.outcome import Outcomes

Sample = TypeVar("Sample")
N_CONTROL = 60
SHARED = Path("/dev/shm")  # noqa: S108  # a folder in memory


def store(n: int, seed: int) -> Outcomes:
    """Damage the database so many times."""
    known = store_damage.samples(random.Random(seed))  # noqa: S311
    return _campaign("database", n, seed, known, store_damage.strike)


def vault(n: int, seed: int) -> Outcomes:
    """Damage the vault so many times."""
    known = vault_damage.samples(random.Random(seed))  # noqa: S311
    return _campaign("vault", n, seed, known, vault_damage.strike)


def _campaign(
    name: str,
    n: int,
    seed: int,
    known: list[Sample],
    strike: Callable[[Sample, Path, random.Random, Outcomes], None],
) -> Outcomes:
    outcomes = Outcomes(name)
    for number in range(n):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311
        sample = chance.choice(known)
        folder = Path(tempfile.mkdtemp(dir=SHARED if SHARED.is_dir() else None))
        outcomes.seed = f"{name} {seed}/{number}"
        try:
            strike(sample, folder, chance, outcomes)
        except Exception as error:  # noqa: BLE001  # whatever the real code lets out is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcomes.wrong(f"{type(error).__name__}: {error} ({where.name}:{where.lineno})")
        finally:
            shutil.rmtree(folder)
    return outcomes


def _copied(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-1")
    if path.is_file():
        shutil.copyfile(path, aside)
    return aside


def _gives_up(file: object, at: int, size: int, *_: object) -> int:  # noqa: ARG001
    return size


def controls(seed: int) -> list[str]:
    """Damage a store that leaves the bad file where it is, and a vault read up to the damage only.

    Returns
    -------
    list[str]
        Those that were not caught.
    """
    with mock.patch("edge.store.store.move_aside", _copied):
        one = store(N_CONTROL, seed)
    with mock.patch("edge.vault.scan._past_damage", _gives_up):
        other = vault(N_CONTROL, seed)
    for found in (one, other):
        print(f"control: {found.name} broken on purpose: wrong {found.n_wrong} of {N_CONTROL}")
    return [found.name for found in (one, other) if not found.n_wrong]


def main() -> int:
    """Damage both; return 1 where a bar is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--damages", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    n_store = round(given.damages * 0.7)
    missed = 0
    for found in (store(n_store, given.seed), vault(given.damages - n_store, given.seed)):
        print(found.table(), flush=True)
        missed += found.n_wrong
    not_caught = controls(given.seed)
    print("\n".join(f"NOT CAUGHT: {name}" for name in not_caught), end="")
    return int(missed > 0 or bool(not_caught))


if __name__ == "__main__":
    sys.exit(main())
