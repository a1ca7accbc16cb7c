"""A night that nobody disturbed, for the tests that disturb one."""

import pytest

from tests.faults.scanned_night import N_ROWS, N_UNITS, Night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    made = Night(tmp_path_factory.mktemp("night"))
    assert made.undisturbed["rows_by_status"] == {"scored": N_UNITS * N_ROWS}, made.undisturbed
    return made


@pytest.fixture
def root(tmp_path):
    return tmp_path / "catalogue"
