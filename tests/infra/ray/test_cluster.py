"""Clusters that are refused, without one; `test_actor_pool.py` has a cluster, and tests the session itself too."""

import http.server
import socket
import threading

import pytest
import ray

from infra.errors import ClusterError
from infra.ray.cluster import _connect, ray_session


@pytest.fixture
def refused(monkeypatch):
    """Return a function that returns the error of a connection; a session of this process would be used instead of it."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refused(address):
        with pytest.raises(ClusterError) as caught, ray_session(address):
            pytest.fail("it connected")
        return str(caught.value)

    return refused


def test_an_address_without_a_listener_fails_at_once(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refused(address) == f"no Ray cluster at {address}: Connection refused"


def test_a_server_that_is_no_cluster_is_reported(refused):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        assert "the server there does not answer in Ray's protocol" in refused(f"127.0.0.1:{web.server_port}")
        web.shutdown()


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "address", ["http://me:secret@127.0.0.1:8265", "me:secret@127.0.0.1:6379", "ray://me:secret@127.0.0.1:1"]
)
def test_an_address_of_another_form_is_refused_without_its_password(address):
    with pytest.raises(ClusterError, match=r"must be HOST:PORT, ray://HOST:PORT or auto, got 127.0.0.1:\d+$"):
        _connect(address)
