"""Roots of catalogues on disk and on S3."""

import pytest


@pytest.fixture(params=["path", pytest.param("s3", marks=pytest.mark.server)])
def root(request, tmp_path):
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path / "catalogue")
