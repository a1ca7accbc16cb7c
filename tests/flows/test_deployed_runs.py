"""Runs of a deployment on a real Prefect server; no worker is needed, because the test sets the states."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from flows import deployed_runs
from flows.deployed_runs import DeployedRuns, RunError
from tests.prefect_servers import prefect_server

AUTH = ("operator", "guarded")


@pytest.fixture(scope="module")
def server(tmp_path_factory, prefect_tables):
    with prefect_server(tmp_path_factory.mktemp("prefect"), auth=":".join(AUTH), tables=prefect_tables) as started:
        yield started


def posted(server, path, **content):
    """Return the answer to a request; it is sent again while the server's database is busy."""
    for _ in range(10):
        answer = httpx.post(f"{server.url}{path}", json=content, auth=AUTH, timeout=60)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(2)
    return answer.raise_for_status().json()


@pytest.fixture
def runs(server):
    flow = posted(server, "/flows/", name="nightly")["id"]
    schema = {"type": "object", "properties": {"night": {"type": "string"}}}
    posted(
        server, "/deployments/", name="nightly", flow_id=flow, parameter_openapi_schema=schema, enforce_parameter_schema=True
    )
    return DeployedRuns(server.url.removesuffix("/api"), ":".join(AUTH))


def set_state(server, run, kind, message=""):
    posted(server, f"/flow_runs/{run}/set_state", state={"type": kind, "message": message}, force=True)


@pytest.mark.server
def test_runs_are_started_and_followed_to_their_ends(server, runs):
    good, bad = (runs.start("nightly/nightly", {"night": night}) for night in ("2026-11-24", "2026-11-25"))
    assert runs.state(good)["type"] == "SCHEDULED"
    with pytest.raises(RunError, match="has not ended within 0 s, it is Scheduled"):
        runs.wait(good, 0)
    threading.Timer(0.3, set_state, (server, good, "COMPLETED")).start()
    runs.wait(good, 30)
    set_state(server, bad, "FAILED", "the gate refuses it")
    with pytest.raises(RunError, match=rf"/runs/flow-run/{bad}: the run has ended as Failed: the gate refuses it"):
        runs.wait(bad, 30)

    message = {"name": "x", "level": 20, "message": "submitted Ray job a", "timestamp": "2026-11-24T00:00:00Z"}
    httpx.post(f"{server.url}/logs/", json=[{**message, "flow_run_id": good}], auth=AUTH).raise_for_status()
    runs.wait_for_log(good, "Ray job", 10)
    with pytest.raises(RunError, match="the log has no line with 'other words'"):
        runs.wait_for_log(good, "other words", 10)

    with pytest.raises(RunError, match="refuses /deployments/name/nightly/nosuch: HTTP 404"):
        runs.start("nightly/nosuch", {})
    with pytest.raises(RunError, match="HTTP 409"):
        runs.start("nightly/nightly", {"night": 5})
    stranger = DeployedRuns(runs.url, "operator:wrong")
    with pytest.raises(RunError, match="HTTP 401"):
        stranger.state(good)
    assert "wrong" not in repr(stranger)


class Busy(BaseHTTPRequestHandler):
    """A server that is busy twice, as one with a locked database, and then answers."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(503 if self.asked < 3 else 200)
        self.end_headers()
        self.wfile.write(b'{"state": {"type": "RUNNING"}}')

    def log_message(self, *_arguments):
        pass


def test_a_busy_server_is_asked_again(monkeypatch):
    monkeypatch.setattr(deployed_runs, "WAIT_S", 0.01)
    with HTTPServer(("127.0.0.1", 0), Busy) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        runs = DeployedRuns(f"http://127.0.0.1:{busy.server_port}", "operator:guarded")
        assert runs.state("a") == {"type": "RUNNING"}
        assert Busy.asked == 3
        busy.shutdown()
    began = time.monotonic()
    with pytest.raises(RunError, match="does not answer: ConnectError"):
        runs.state("a")
    assert time.monotonic() - began < 5
