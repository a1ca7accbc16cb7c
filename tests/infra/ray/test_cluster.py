"""Clusters that are refused, without one, and a Ray client whose server dies; `test_actor_pool.py` tests the session itself."""

import http.server
import os
import signal
import socket
import threading
import time

import pytest
import ray

from infra.errors import ClusterError
from infra.ray.cluster import CLIENT_TRIES, _connect, ray_session
from infra.ray.cluster_access import ensure_token, known_token
from tests.faults.harness.ray_heads import ray_head
from tests.training.workers import train_workers


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


def test_auto_in_the_variable_of_ray_is_a_cluster_here(refused, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr("infra.ray.cluster.running_ray_address", lambda: here)
        monkeypatch.setenv("RAY_ADDRESS", "auto")
        assert refused("auto") == f"no Ray cluster at {here}: Connection refused"


@pytest.fixture
def connections(monkeypatch):
    """Replace Ray's connection by errors of a list, and return what was called: Ray itself needs 35 s to give up a server."""
    called = []

    def use(errors):
        left = iter(errors)

        def init(**_):
            called.append("init")
            if error := next(left, None):
                raise error

        monkeypatch.setattr("infra.ray.cluster.check_cluster", lambda address: address)
        monkeypatch.setattr(ray, "init", init)
        monkeypatch.setattr(ray, "shutdown", lambda: called.append("shutdown"))
        return called

    return use


def test_a_client_whose_server_dies_connects_again(connections, caplog):
    called = connections([ConnectionAbortedError("Starting Ray client server failed")] * (CLIENT_TRIES - 1))
    _connect("ray://127.0.0.1:1")
    assert called == ["init", "shutdown"] * (CLIENT_TRIES - 1) + ["init"]
    told = "the Ray cluster at ray://127.0.0.1:1 did not start the server of this client; connecting again"
    assert caplog.messages == [told] * (CLIENT_TRIES - 1)


@pytest.mark.parametrize(
    ("error", "tries"), [(ConnectionAbortedError("no server"), CLIENT_TRIES), (RuntimeError("another version of Ray"), 1)]
)
def test_what_another_connection_cannot_mend_is_raised(connections, error, tries):
    called = connections([error] * CLIENT_TRIES)
    with pytest.raises(type(error), match=str(error)):
        _connect("ray://127.0.0.1:1")
    assert called == ["init", "shutdown"] * tries


@pytest.mark.slow
@pytest.mark.ray
def test_another_connection_works_after_a_killed_server(monkeypatch):
    """The next connection of a client works, and so does one without a client in the same process."""
    ensure_token()

    def kill_next(head, old):
        while not (found := set(train_workers(head.pid, "specific-server")) - old):
            time.sleep(0.005)
        os.kill(found.pop(), signal.SIGKILL)

    with ray_head(known_token(), settings={"RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "8"}) as head:
        for tries in (CLIENT_TRIES, 1):
            monkeypatch.setattr("infra.ray.cluster.CLIENT_TRIES", tries)
            killer = threading.Thread(target=kill_next, args=(head, {*train_workers(head.pid, "specific-server")}))
            killer.start()
            if tries > 1:
                with ray_session(head.client):
                    assert ray.cluster_resources()["CPU"] == 1
            else:
                with pytest.raises(ClusterError, match="no Ray cluster at ray://"), ray_session(head.client):
                    pytest.fail("it connected")
            killer.join()
        with ray_session(head.gcs):
            assert ray.cluster_resources()["CPU"] == 1
