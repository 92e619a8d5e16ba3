"""Where the recordings are."""

import pytest

from train.recordings import DataError, data_root


@pytest.fixture(scope="session")
def recordings_root():
    try:
        root = data_root()
    except DataError as error:
        pytest.skip(str(error))
    if not (root / "mitdb" / "207.hea").is_file():
        pytest.skip(f"no MIT-BIH record 207 under {root}")
    return root
