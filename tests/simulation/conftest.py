"""A package whose blocks of simulated objects are small."""

import pytest

import simulation.object_blocks
from tests.scanner.ensembles import SPECS, write_test_package


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a package, with blocks of two objects."""
    monkeypatch.setattr(simulation.object_blocks, "ROWS_PER_BLOCK", 2)
    write_test_package(tmp_path / "package", SPECS[:2])
    return tmp_path / "package"
