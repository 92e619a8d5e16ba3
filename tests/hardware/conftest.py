"""The C core, compiled once for all tests of ``hardware/``."""

from collections.abc import Iterator

import pytest

from tests.hardware import c_core


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[c_core.Core]:
    """Give the core with every access to memory and every overflow checked."""
    program = c_core.compiled(
        tmp_path_factory.mktemp("core") / "core_says",
        (*c_core.SAYS, *c_core.CORE),
        *c_core.SANITISED,
    )
    with c_core.Core(program) as core:
        yield core
