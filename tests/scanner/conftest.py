"""Small catalogues that several tests verify, damage or restore."""

import pytest

from tests.scanner.audited import make_audited


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def night(request, tmp_path):
    """A sealed night."""
    root = request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path / "catalogue")
    made = make_audited(tmp_path, root)
    made.scan()
    made.seal()
    return made


@pytest.fixture
def local(tmp_path):
    """A night on disk, committed and not sealed."""
    made = make_audited(tmp_path, str(tmp_path / "catalogue"))
    made.scan()
    return made
