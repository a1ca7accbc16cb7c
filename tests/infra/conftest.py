"""Roots of local folders and of an S3 store."""

import pytest


@pytest.fixture(params=["path", "file", pytest.param("s3", marks=pytest.mark.server)])
def root(request, tmp_path):
    """Return an empty root of each kind."""
    if request.param == "s3":
        return request.getfixturevalue("s3")
    return f"{'file://' if request.param == 'file' else ''}{tmp_path}/root"
