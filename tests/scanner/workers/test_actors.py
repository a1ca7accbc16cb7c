from types import SimpleNamespace

import pytest

from infra.store.s3_access import ANONYMOUS_BUCKETS
from scanner.workers import actors
from scanner.workers.actors import MeteredScanner
from scanner.workers.placement import Placement


@pytest.fixture
def options_of(monkeypatch):
    """Return a function that returns the options with which actors of a placement would start."""
    given = {}
    monkeypatch.setattr(actors.ray, "remote", lambda _: SimpleNamespace(options=given.update))
    monkeypatch.setattr(actors.ray, "put", lambda plan: plan)
    monkeypatch.setattr(actors, "ActorPool", lambda *arguments: given.update(in_flight=arguments[2], asks=arguments[3]))

    def options_of(placed):
        monkeypatch.setattr(actors, "place", lambda *_: placed)
        actors.scanner_pool(SimpleNamespace(config=SimpleNamespace(engine="torch")), None, "", 1, 1)
        return given

    return options_of


def test_actors_read_the_same_buckets_without_credentials(options_of, monkeypatch):
    """An actor may run on another machine, where the command's variables are unknown."""
    monkeypatch.setenv(ANONYMOUS_BUCKETS, "archive")
    assert options_of(Placement(1, 1))["runtime_env"]["env_vars"][ANONYMOUS_BUCKETS] == "archive"


def test_an_actor_beside_busy_gpus_sees_none(options_of):
    """Ray may leave an actor without a GPU all GPUs of its node."""
    assert options_of(Placement(1, 1, hides_gpus=True))["runtime_env"]["env_vars"]["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in options_of(Placement(1, 1, 0.5))["runtime_env"]["env_vars"]


def test_an_actor_uses_no_more_threads_than_its_cores(monkeypatch):
    monkeypatch.setattr(actors.os, "cpu_count", lambda: 4)
    plan = SimpleNamespace(night=None)
    made = [MeteredScanner(lambda *given: given[3], plan, None, "", threads)._scanner for threads in (2, 64)]
    assert made == [2, 4]


def test_an_actor_has_the_threads_of_its_placement(options_of):
    assert options_of(Placement(1, 3))["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "3"


def test_an_error_tells_what_an_actor_asks_for(options_of):
    assert options_of(Placement(1, 1))["asks"] == {"CPU": 0.5}
    found = options_of(Placement(1, 1, 0.25))
    assert found["asks"] == {"CPU": 0.5, "GPU": 0.25} == {"CPU": found["num_cpus"], "GPU": found["num_gpus"]}


def test_an_actor_answers_how_far_its_units_are(options_of):
    """A question needs a thread beside those of the units."""
    found = options_of(Placement(1, 1))
    assert found["max_concurrency"] == found["in_flight"] + 1


@pytest.mark.parametrize("variable", ["json", None])
def test_an_actor_logs_as_the_command_does(options_of, monkeypatch, variable):
    begun = []
    monkeypatch.setattr(actors, "log_json", lambda: begun.append(True))
    monkeypatch.delenv("LENSSCAN_LOG", raising=False)
    if variable:
        monkeypatch.setenv("LENSSCAN_LOG", variable)
    assert options_of(Placement(1, 1))["runtime_env"]["env_vars"].get("LENSSCAN_LOG") == variable
    MeteredScanner(lambda *_: None, SimpleNamespace(night=None), None, "", 1)
    assert begun == [True] * bool(variable)


def test_an_actor_does_what_its_scanner_does_and_counts_receipts(monkeypatch):
    tried, counted = [], []
    scanner = SimpleNamespace(scan=lambda task: f"{task}'s", try_rows=tried.append, rows_done=lambda: {"a": 3})
    monkeypatch.setattr(actors, "WorkerMeters", lambda night: SimpleNamespace(count=lambda of: counted.append((night, of))))
    actor = MeteredScanner(lambda *_: scanner, SimpleNamespace(night="n"), None, "", 1)
    actor.try_rows("trial")
    assert (actor.scan("a"), actor.rows_done(), tried, counted) == ("a's", {"a": 3}, ["trial"], [("n", "a's")])


def test_the_scanner_of_an_actor_knows_its_run(monkeypatch):
    """The logs of workers are joined by it."""
    made, plan = [], SimpleNamespace(config=SimpleNamespace(engine="torch"), night=None)
    remote = SimpleNamespace(remote=MeteredScanner)
    monkeypatch.setattr(actors.ray, "remote", lambda _: SimpleNamespace(options=lambda **_: remote))
    monkeypatch.setattr(actors.ray, "put", lambda plan: plan)
    monkeypatch.setattr(actors, "ActorPool", lambda make, *_: make())
    monkeypatch.setattr(actors, "place", lambda *_: Placement(1, 1))
    monkeypatch.setattr(actors, "UnitScanner", lambda *given: made.append(given))
    actors.scanner_pool(plan, "package", "root", 1, 1, "mine")
    assert made == [(plan, "package", "root", 1, "mine")]
