"""Fixtures: an undisturbed night to compare with, and a proxy in front of the S3 server."""

import os

import pytest

from tests.faults.harness.s3_proxy import s3_proxy
from tests.faults.harness.scanned_night import Night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return Night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "catalogue"


@pytest.fixture(scope="module")
def running(s3_server):
    with s3_proxy(os.environ["AWS_ENDPOINT_URL"]) as started:
        yield started


@pytest.fixture
def proxy(running, s3, monkeypatch):
    """Return a proxy to which all S3 clients are directed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
    running.set_rules()
    return running
