import math

import pytest

from scanner.workers import placement
from scanner.workers.placement import ACTOR_CPUS, Placement, gpu_shares, place


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


def test_a_gpu_without_a_free_cpu_is_not_used():
    """An actor for it would wait, while other nodes are idle."""
    assert gpu_shares([{"GPU": 1.0}, {"CPU": 0.4, "GPU": 1.0}, {"CPU": 8.0}], 3) == (3, 0.0)
    assert gpu_shares([{"GPU": 1.0}, {"CPU": 1.0, "GPU": 1.0}], 4) == (2, 0.25)


@pytest.fixture
def cluster(monkeypatch):
    """Return a function that makes a cluster of nodes, of which some resources are free."""

    def cluster(nodes, free, *, grows=False):
        monkeypatch.setattr(placement, "actor_count", lambda workers, n_units, _: min(workers, n_units))
        monkeypatch.setattr(placement, "has_autoscaler", lambda: grows)
        monkeypatch.setattr(placement, "node_resources", lambda: nodes)
        monkeypatch.setattr(placement, "free_resources", lambda: free)

    return cluster


def test_threads_do_not_depend_on_the_units_that_are_left(cluster):
    """The last digit of a score depends on the number of threads, and a second run scans fewer units."""
    cluster([{"CPU": 8.0}], [{"CPU": 8.0}])
    assert [place("torch", 4, n_units) for n_units in (9, 1)] == [Placement(4, 2), Placement(1, 2)]


def test_auto_warns_and_uses_cpus_while_gpus_are_busy(cluster, caplog):
    """Two halves of GPUs on two nodes make no whole one."""
    cluster([{"CPU": 8.0, "GPU": 1.0}] * 2, [{"CPU": 7.0, "GPU": 0.5}] * 2)
    assert place("auto", 4, 9) == Placement(4, 4, hides_gpus=True)
    assert "all GPUs of the cluster are in use, so the scan uses CPUs" in caplog.text


def test_auto_shares_the_gpus_that_are_free(cluster, caplog):
    cluster([{"CPU": 8.0, "GPU": 4.0}], [{"CPU": 7.0, "GPU": 2.0}])
    assert place("auto", 4, 9) == Placement(4, 2, 0.5)
    assert not caplog.text


def test_cuda_waits_for_gpus_that_are_busy(cluster):
    cluster([{"CPU": 8.0, "GPU": 4.0}], [{"CPU": 7.0}])
    assert place("cuda", 4, 9) == Placement(4, 2, 1.0)


def test_cuda_asks_an_autoscaler_for_gpus(cluster):
    cluster([{"CPU": 8.0}], [{"CPU": 8.0}], grows=True)
    assert place("cuda", 4, 9) == Placement(4, 2, 1.0)
    assert place("auto", 4, 9) == place("torch", 4, 9) == Placement(4, 2)


def test_cuda_without_a_gpu_fails_at_its_start(cluster):
    """An actor without a share of a GPU starts on a CPU, and says what it lacks."""
    cluster([{"CPU": 8.0}], [{"CPU": 8.0}])
    assert place("cuda", 4, 9) == Placement(4, 2)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_an_engine_of_cpus_asks_for_no_gpu(engine, cluster):
    cluster([{"CPU": 8.0, "GPU": 4.0}], [{"CPU": 8.0, "GPU": 4.0}])
    assert place(engine, 4, 9) == Placement(4, 2)


def test_the_cores_of_the_cluster_decide_the_threads(cluster, monkeypatch):
    """The machine of the driver may be a laptop with more or fewer; the units that are left do not matter."""
    monkeypatch.setattr("os.cpu_count", lambda: 1000)
    cluster([{"CPU": 8.0}] * 4, [])
    assert {place("torch", 4, n_units).threads for n_units in (1, 99)} == {8}
    assert [place("torch", workers, 9).threads for workers in (1, 16, 32, 99)] == [8, 2, 1, 1]
