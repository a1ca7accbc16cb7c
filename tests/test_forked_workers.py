import os
import signal

import pytest

from infra.calls import Call, CallFailure
from infra.local_pool import LocalPool, WorkerProcess
from tests.worker_forks import WorkerFork

pytestmark = pytest.mark.usefixtures("forked_workers")


class Told:
    """Tells what a worker has of its process, and ends it."""

    def told(self):
        return os.getcwd(), dict(os.environ), os.getpid(), os.getpgid(0)  # noqa: PTH109 - a string

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def pool(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MORE", "set before the start")
    pool = LocalPool(f"{__name__}:Told", (), 1, 1, {"TOLD": "yes"})
    yield pool
    pool.close()


def answer(pool, method):
    pool.submit(Call(method, (), 100.0))
    return pool.next_result()


def test_a_fork_has_the_folder_and_variables_of_its_process(pool, tmp_path):
    folder, variables, pid, group = answer(pool, "told").value
    assert (folder, variables["TOLD"], variables["MORE"]) == (str(tmp_path), "yes", "set before the start")
    assert {*os.environ} <= {*variables}
    assert pid == group != os.getpid()


def test_a_fork_that_dies_is_reported_with_its_signal(pool):
    died = answer(pool, "die")
    assert (died.failure, str(died.error)) == (CallFailure.DIED, "its worker died: SIGKILL")


def test_a_killed_fork_has_ended():
    worker = WorkerProcess(f"{__name__}:Told", {})
    assert isinstance(worker._process, WorkerFork)
    os.kill(worker.pid, 0)
    worker.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
