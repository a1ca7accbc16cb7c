"""Tests that need data beside the repository skip without them, and fail if the data are required."""

import pytest

from tests import shared


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "here").touch()
    monkeypatch.setattr(shared, "SHARED", tmp_path)
    return tmp_path


@pytest.mark.parametrize("required", ["0", "1"])
def test_data_that_are_present_pass_the_check(folder, monkeypatch, required):
    monkeypatch.setenv("LENSSCAN_REQUIRE_SHARED", required)
    shared.require_shared("here")


def test_absent_data_skip_a_test(folder, monkeypatch):
    monkeypatch.delenv("LENSSCAN_REQUIRE_SHARED", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs gone in the folder shared"):
        shared.require_shared("here", "gone")


def test_absent_data_fail_a_test_if_they_are_required(folder, monkeypatch):
    monkeypatch.setenv("LENSSCAN_REQUIRE_SHARED", "1")
    with pytest.raises(pytest.fail.Exception, match="needs gone"):
        shared.require_shared("here", "gone")


def test_the_mark_is_checked_before_the_test_runs(folder, monkeypatch, request):
    monkeypatch.setenv("LENSSCAN_REQUIRE_SHARED", "1")
    request.node.add_marker(pytest.mark.needs_shared("gone"))
    with pytest.raises(pytest.fail.Exception, match="needs gone"):
        shared.pytest_runtest_setup(request.node)
