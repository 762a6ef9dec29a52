"""The nodes of the fault tests, started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.scene import Scene, scene


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with scene(folder) as nodes:
        yield nodes
