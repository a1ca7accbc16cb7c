"""The product starts no server that is open to others, and uses an open cluster only if the user allows it."""

import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as websocket

from infra.ray.cluster_access import Answer, ask
from tests.faults.harness.listeners import LOOPBACK, grpc_answers, http_answers, listeners
from tests.faults.harness.patience import scaled
from tests.faults.harness.ray_heads import BIN, ray_head
from tests.prefect_servers import prefect_server
from tests.servers import http_status, wait_for
from tests.tiles import write_tiles

TOKEN = secrets.token_hex(32)
AUTH = {"type": "auth"}
WEBSOCKETS = ("/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled")
CONNECT = """
import sys
import ray
from infra.ray.cluster import ray_session
from infra.errors import LensscanError
try:
    with ray_session(sys.argv[1]):
        n_nodes = len(ray.nodes())
    print("connected to", n_nodes)
except LensscanError as error:
    print(type(error).__name__, error)
"""
PRIVATE = """
import sys
import ray
from infra.ray.cluster import ray_session
with ray_session(num_cpus=1):
    print(ray.get(ray.remote(lambda: "hello").remote()), file=sys.__stdout__, flush=True)
    sys.stdin.readline()
"""

pytestmark = [pytest.mark.fault(37), pytest.mark.ray, pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc")]


def first_answer(url, subprotocols, greeting):
    """Return the answer of a websocket to a greeting."""
    with websocket(url, subprotocols=subprotocols, proxy=None) as stream:
        stream.send(json.dumps(greeting))
        return json.loads(stream.recv(10))


def connect(address, env, **changes):
    command = [sys.executable, "-W", "ignore", "-c", CONNECT, address]
    done = subprocess.run(command, env=env | changes, capture_output=True, text=True, timeout=scaled(120), check=False)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.faults
def test_a_private_ray_is_closed_to_others(tmp_path, measured):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", PRIVATE]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline() == "hello\n"
        found = listeners(driver.pid)
        assert len(found) >= 5
        assert [place for place in found if not place[0].startswith(LOOPBACK)] == []
        refused = 0
        for host, port in found:
            codes = grpc_answers(port)
            assert set(codes.values()) <= {"UNAUTHENTICATED", "UNIMPLEMENTED", "UNAVAILABLE"}, (port, codes)
            refused += "UNAUTHENTICATED" in codes.values()
            for path, (status, body) in http_answers(host.removeprefix("::ffff:"), port).items():
                # Ray's token does not protect its own counters; they hold no data of lensscan.
                assert status in {401, 403, 404} or body.startswith(b"# HELP "), (port, path, status, body)
        # At least the GCS, the raylet and this driver refuse.
        assert refused >= 3
        driver.communicate("end\n", timeout=scaled(60))
    assert driver.returncode == 0
    measured(runs=len(found), note="a private Ray: every port on loopback, every call without the token refused")


@pytest.mark.faults
@pytest.mark.server
def test_a_cluster_with_a_token_requires_it(measured):
    with ray_head(TOKEN, dashboard=True) as head:
        assert ask(head.gcs) is ask(head.client) is Answer.REFUSED
        assert ask(head.gcs, "f" * 64) is ask(head.client, "f" * 64) is Answer.REFUSED
        assert {host for host, port in listeners(head.pid) if port == head.dashboard_port} == {"127.0.0.1"}
        dashboard = f"http://127.0.0.1:{head.dashboard_port}"
        wait_for("the job server", lambda: http_status(f"{dashboard}/api/version"))
        assert [http_status(dashboard + path) for path in ("/api/version", "/api/jobs/", "/nodes")] == [401] * 3

        for address in (head.gcs, head.client):
            assert "requires its token, but none is set" in connect(address, head.env)
            assert "requires its token, but a different one is set" in connect(address, head.env, RAY_AUTH_TOKEN="f" * 64)
        assert connect(head.gcs, head.env, RAY_AUTH_TOKEN=TOKEN) == "connected to 1\n"
        assert connect(head.gcs, head.env, RAY_AUTH_TOKEN=TOKEN, RAY_AUTH_MODE="disabled") == "connected to 1\n"
        assert connect("auto", head.env, RAY_AUTH_TOKEN=TOKEN) == "connected to 1\n"
    measured(runs=9, note="GCS, client server, job server and dashboard of a closed head: refused without its token")


@pytest.mark.faults
@pytest.mark.server
def test_an_open_cluster_is_refused_unless_allowed(tmp_path, measured):
    write_tiles(tmp_path / "tiles", n_tiles=1, n_objects=1)
    with ray_head() as head:
        assert ask(head.gcs) is ask(head.client) is Answer.GIVEN
        for address in (head.gcs, head.client, "auto"):
            refused = connect(address, head.env)
            assert re.match(r"ClusterAccessError the Ray cluster at \S+ is open: .*RAY_AUTH_MODE=token", refused)
            assert "is open" in connect(address, head.env, RAY_AUTH_TOKEN=TOKEN)
        assert connect(head.gcs, head.env, LENSSCAN_ALLOW_OPEN_CLUSTER="true") == "connected to 1\n"

        # A Ray job finds its cluster in RAY_ADDRESS in the same way.
        scan = [BIN / "lensscan", "scan", tmp_path / "tiles", "--out", tmp_path / "catalogue", "--night", "2026-01-01"]
        env = head.env | {"RAY_ADDRESS": head.gcs}
        done = subprocess.run(scan, env=env, capture_output=True, text=True, timeout=scaled(120), check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert re.fullmatch(r"lensscan: the Ray cluster at \S+ is open: .*ALLOW_OPEN_CLUSTER=true\n", done.stderr)
        assert not list((tmp_path / "catalogue").rglob("*.unit"))
    measured(runs=7, note="an open cluster is refused by address, as a client, by `auto` and inside a job")


@pytest.mark.faults
@pytest.mark.server
def test_a_prefect_server_with_a_password_requires_it(tmp_path, measured):
    auth = f"operator:{TOKEN}"
    with prefect_server(tmp_path / "prefect", auth) as server:
        assert {host for host, _ in listeners(server.process.pid)} == {"127.0.0.1"}
        paths = ("/flows/filter", "/flow_runs/filter", "/logs/filter", "/deployments/filter", "/work_pools/filter")
        for path in paths:
            assert httpx.post(server.url + path, json={}).status_code == 401
            assert httpx.post(server.url + path, json={}, auth=("operator", "guess")).status_code == 401
            assert httpx.post(server.url + path, json={}, auth=("operator", TOKEN)).status_code == 200
        for path in WEBSOCKETS:
            url = server.url.replace("http", "ws") + path
            for subprotocols, greeting in ((None, {}), (["prefect"], {}), (["prefect"], AUTH | {"token": "guess"})):
                with pytest.raises((InvalidStatus, ConnectionClosed)):
                    first_answer(url, subprotocols, greeting)
            assert first_answer(url, ["prefect"], AUTH | {"token": auth}) == {"type": "auth_success"}

        simulate = [BIN / "lensscan", "simulate", "--flow", "--n", "2", "--geometry", "mer10", "--out", tmp_path / "shards"]
        env = server.env | {"PREFECT_API_AUTH_STRING": "operator:guess"}
        done = subprocess.run(simulate, env=env, capture_output=True, text=True, timeout=scaled(120), check=False)
        assert done.returncode == 2
        assert re.fullmatch(r"lensscan: the Prefect server at \S+ refuses: .*PREFECT_API_AUTH_STRING.*\n", done.stderr)
    measured(
        runs=2 * len(paths) + 3 * len(WEBSOCKETS),
        note="a Prefect server with an auth string: API and websockets refuse strangers",
    )
