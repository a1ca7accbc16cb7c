import http.server
import socket
import subprocess
import sys
import threading

import pytest
import ray

from infra.errors import ClusterError
from infra.ray.cluster import _connect, ray_session
from infra.ray.cluster_access import Answer, ask, known_token

pytestmark = pytest.mark.ray


def test_a_running_session_is_used_and_left_running(ray_cluster):
    node = ray.get_runtime_context().get_node_id()
    with ray_session(num_cpus=1):
        assert ray.get_runtime_context().get_node_id() == node
    assert ray.is_initialized()


@pytest.mark.fault(37)
def test_a_private_session_answers_only_to_its_token(ray_cluster):
    address = ray.get_runtime_context().gcs_address
    assert ask(address) is Answer.REFUSED
    assert ask(address, "f" * 64) is Answer.REFUSED
    assert ask(address, known_token()) is Answer.GIVEN


CONNECT = "import sys; from infra.ray.cluster import ray_session\nwith ray_session(sys.argv[1]): pass"


def refused(address):
    """Return the error of a connection from a separate process: a session in this process would be used instead."""
    command = [sys.executable, "-c", CONNECT, address]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def test_an_address_without_a_listener_fails_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refused(address) == f"infra.errors.ClusterError: no Ray cluster at {address}: Connection refused"


def test_a_server_that_is_no_cluster_is_reported():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        assert "the server there does not answer in Ray's protocol" in refused(f"127.0.0.1:{web.server_port}")
        web.shutdown()


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "address", ["http://me:secret@127.0.0.1:8265", "me:secret@127.0.0.1:6379", "ray://me:secret@127.0.0.1:1"]
)
def test_an_address_of_another_form_is_refused_without_its_password(ray_cluster, address):
    with pytest.raises(ClusterError, match=r"must be HOST:PORT, ray://HOST:PORT or auto, got 127.0.0.1:\d+$"):
        _connect(address)
