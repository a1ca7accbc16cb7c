"""Data that lie beside the repository and are never committed: real Euclid fields, tables, the published weights.

A test that reads them is marked with `@pytest.mark.needs_shared("real", ...)`. If they are absent it skips, or fails if
`LENSSCAN_REQUIRE_SHARED=1` is set, as `.ci/run` sets it on machines that have the folder.
"""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1].parent / "shared"
REAL = SHARED / "real"
EUCLID_FIELDS = "[1E]*.fits"
"""Names of the files in `REAL` that are Euclid images; other files there are of HST."""
PUBLISHED = SHARED / "published_ensemble"


def require_shared(*names):
    """Skip or fail this test if a file or folder of these names is missing in `SHARED`."""
    missing = [name for name in names if not (SHARED / name).exists()]
    if not missing:
        return
    reason = f"needs {', '.join(missing)} in the folder shared beside the repository"
    if os.environ.get("LENSSCAN_REQUIRE_SHARED") == "1":
        pytest.fail(f"{reason}, and LENSSCAN_REQUIRE_SHARED=1", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs_shared"):
        require_shared(*mark.args)
