import http.server
import socket
import subprocess
import sys
import threading
import time

import pytest
import ray

from infra.ray.cluster import ClusterError, _connect, bounded_map, ray_session

pytestmark = pytest.mark.ray


@ray.remote(num_cpus=0.1)
class Worker:
    def __init__(self):
        self.running = 0
        self.most = 0

    async def square(self, x):
        import asyncio

        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.02)
        self.running -= 1
        if x < 0:
            raise ValueError(f"no root of {x}")
        return x * x

    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    def most_at_once(self):
        return self.most

    def die(self, _):
        import os

        os._exit(1)


@pytest.fixture
def workers(ray_cluster):
    made = [Worker.remote() for _ in range(2)]
    yield made
    for worker in made:
        ray.kill(worker)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_every_item_is_answered_once_within_the_calls_in_flight(workers, in_flight):
    answers = list(bounded_map(workers, "square", range(20), in_flight))
    assert sorted(answers) == [(x, x * x) for x in range(20)]
    # An asyncio actor runs all calls it holds at once, so its maximum is the number of calls in flight.
    assert max(ray.get([worker.most_at_once.remote() for worker in workers])) == in_flight


def test_items_are_read_only_when_an_actor_is_free(workers):
    read = []

    def items():
        for x in range(10):
            read.append(x)
            yield x

    answers = bounded_map(workers, "square", items())
    next(answers)
    assert read == [0, 1, 2]
    answers.close()


def test_answers_come_as_they_complete(workers):
    ray.get([worker.most_at_once.remote() for worker in workers])
    assert [item for item, _ in bounded_map(workers, "sleep", [1.0, 0.01])] == [0.01, 1.0]


def test_an_error_names_the_item_and_the_cause(workers):
    with pytest.raises(ClusterError, match=r"square\(-3\) failed: ValueError: no root of -3"):
        list(bounded_map(workers, "square", [1, -3]))


def test_a_dead_actor_raises_an_error_and_does_not_hang(workers):
    with pytest.raises(ClusterError, match=r"die\('tile-7'\) failed"):
        list(bounded_map(workers, "die", ["tile-7"]))


def test_no_actors_and_no_slots_are_refused(workers):
    with pytest.raises(ValueError, match="needs an actor"):
        list(bounded_map([], "square", [1]))
    with pytest.raises(ValueError, match="in_flight_per_actor"):
        list(bounded_map(workers, "square", [1], 0))


def test_a_running_session_is_used_and_left_running(ray_cluster):
    node = ray.get_runtime_context().get_node_id()
    with ray_session(num_cpus=1):
        assert ray.get_runtime_context().get_node_id() == node
    assert ray.is_initialized()


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
        assert refused(address) == f"infra.ray.cluster.ClusterError: no Ray cluster at {address}: Connection refused"


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


def test_a_call_that_exceeds_its_deadline_is_named(workers):
    ray.get([worker.most_at_once.remote() for worker in workers])
    with pytest.raises(ClusterError, match=r"sleep\(60\) took longer than the allowed 5 s"):
        list(bounded_map(workers, "sleep", [0, 0, 60, 0], deadline_s=5))
