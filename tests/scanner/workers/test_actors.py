import math
from types import SimpleNamespace

import pytest

from infra.store.s3_access import ANONYMOUS_BUCKETS
from scanner.workers import actors
from scanner.workers.actors import ACTOR_CPUS, gpu_shares


@pytest.mark.parametrize("n_actors", [1, 2, 3, 5, 8, 12])
@pytest.mark.parametrize(
    "nodes",
    [
        [{"CPU": 16.0, "GPU": 2.0}],
        [{"CPU": 64.0, "GPU": 8.0}, {"CPU": 64.0}],
        [{"CPU": 2.0, "GPU": 1.0}, {"CPU": 1.0, "GPU": 7.0}],
        [{"CPU": 0.5, "GPU": 4.0}],
    ],
)
def test_every_started_actor_fits_on_a_node(nodes, n_actors):
    """Actors are placed one by one, each on a GPU and a CPU of one node, as Ray does."""
    n, share = gpu_shares(nodes, n_actors)
    assert 1 <= n <= n_actors
    assert 0 < share <= 1
    per_gpu = math.floor(1 / share + 1e-9)
    places = sum(min(int(node.get("GPU", 0)) * per_gpu, int(node["CPU"] / ACTOR_CPUS)) for node in nodes)
    assert places >= n


def test_without_gpus_no_share_is_requested():
    assert gpu_shares([{"CPU": 4.0}, {"CPU": 4.0}], 5) == (5, 0.0)


def test_few_gpus_are_shared_evenly():
    assert gpu_shares([{"CPU": 16.0, "GPU": 2.0}], 3) == (3, 0.5)
    assert gpu_shares([{"CPU": 16.0, "GPU": 2.0}], 2) == (2, 1.0)


def test_a_node_holds_no_more_actors_than_its_cpus():
    assert gpu_shares([{"CPU": 1.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 1.0}], 16) == (2 + 8, 0.125)


def test_actors_read_the_same_buckets_without_credentials(monkeypatch):
    """An actor may run on another machine, where the command's variables are unknown."""
    given = {}
    monkeypatch.setenv(ANONYMOUS_BUCKETS, "archive")
    monkeypatch.setattr(actors.ray, "remote", lambda _: SimpleNamespace(options=given.update))
    monkeypatch.setattr(actors.ray, "put", lambda plan: plan)
    monkeypatch.setattr(actors, "actor_count", lambda *_: 1)
    monkeypatch.setattr(actors, "ActorPool", lambda *_: None)
    actors.scanner_pool(SimpleNamespace(config=SimpleNamespace(engine="torch")), None, "", 1, 1)
    assert given["runtime_env"]["env_vars"][ANONYMOUS_BUCKETS] == "archive"
