"""Local workers get their variables, end with the process that started them, and send every answer or what it says."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.calls import CallFailure
from infra.errors import ClusterError
from infra.local_pool import LocalPool, WorkerProcess
from tests.infra.pool_calls import all_ended, call, failures, values

WORKER = "tests.infra.pool_worker:Worker"


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setenv("LENSSCAN_TEST", "of this process")
    with contextlib.closing(LocalPool(WORKER, (), 1, 2, {"LENSSCAN_TEST": "given"})) as made:
        yield made


def test_a_worker_gets_its_variables_and_those_here(pool):
    names = ("LENSSCAN_TEST", "PATH")
    assert values(pool, [call("variable", name) for name in names]) == ["given", os.environ["PATH"]]


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("fail_with_a_lock", "ValueError: ('locked', <unlocked _thread.lock"),
        ("fail_beyond_pickle", "TwoArgumentsError: left and right"),
        ("lock", "an answer of lock cannot be sent"),
    ],
)
def test_an_answer_that_cannot_be_sent_is_described(pool, method, says):
    (result,) = all_ended(pool, [call(method)])
    assert result.failure is CallFailure.RAISED
    assert isinstance(result.error, RuntimeError)
    assert str(result.error).startswith(says)
    assert values(pool, [call("double", 1)]) == [2]


def test_an_early_worker_is_used_first_and_only_once(tmp_path):
    early = WorkerProcess(WORKER, {})
    with contextlib.closing(LocalPool(WORKER, (), 1, 1, {}, early)) as pool:
        assert values(pool, [call("pid")]) == [early.pid]
        assert failures(pool, [call("die", str(tmp_path), 1)]) == [CallFailure.DIED]
        assert values(pool, [call("pid")]) != [early.pid]


def test_a_class_that_cannot_be_imported_is_named():
    with contextlib.closing(LocalPool("tests.infra.pool_worker:Nosuch", (), 1, 1, {})) as pool:
        pool.submit(call("double", 1))
        with pytest.raises(ClusterError, match=r"no worker can be started: .*Nosuch"):
            pool.next_result()


def test_a_large_request_to_a_stopped_worker_meets_its_deadline(pool):
    (pid,) = values(pool, [call("pid")])
    os.kill(pid, signal.SIGSTOP)
    assert failures(pool, [call("double", bytes(10**7), deadline_s=0.5)]) == [CallFailure.OVERDUE]
    assert values(pool, [call("double", b"ab" * 10**6)]) == [b"ab" * 2 * 10**6]


def test_a_replaced_worker_leaves_no_process_pipe_or_thread(pool):
    (pid,) = values(pool, [call("pid")])
    before = _n_pipes_and_threads()
    assert failures(pool, [call("hang", deadline_s=0.2, is_alone=True)]) == [CallFailure.OVERDUE]
    assert not Path(f"/proc/{pid}").exists()
    assert values(pool, [call("double", 1)]) == [2]
    assert all(now <= then for now, then in zip(_n_pipes_and_threads(), before, strict=True))


def _n_pipes_and_threads():
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (40, "signal 40")])
def test_a_signal_that_ends_a_worker_is_named(pool, number, name):
    (result,) = all_ended(pool, [call("end_by", number)])
    assert (result.failure, str(result.error)) == (CallFailure.DIED, f"its worker died: {name}")


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Return the class of a module whose import takes long, and a file that exists as soon as it has begun."""
    begun = tmp_path / "begun"
    (tmp_path / "slow_module.py").write_text(f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "slow_module:Worker", begun


def test_a_worker_ends_with_its_pipe_while_it_imports(slow):
    factory, begun = slow
    worker = WorkerProcess(factory, {})
    until = time.monotonic() + 20
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert _runs(worker.pid)
    worker.connection.close()
    while _runs(worker.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(worker.pid)
    worker.kill()


def test_a_slow_start_is_not_blamed_on_a_cluster(slow, monkeypatch):
    monkeypatch.setattr("infra.worker_pool.START_S", 0.2)
    with contextlib.closing(LocalPool(slow[0], (), 1, 1, {})) as pool:
        pool.submit(call("double", 1))
        with pytest.raises(ClusterError, match=r"no worker could be started for 0\.2 s: they do not answer$"):
            pool.next_result()


STARTED = """
import sys
from infra.local_pool import LocalPool
from tests.infra.pool_calls import call, values
pool = LocalPool("tests.infra.pool_worker:Worker", (), 2, 2, {})
pids = set()
while len(pids) < 2:
    pids.update(values(pool, [call("pid", is_alone=True) for _ in range(2)]))
for _ in range(4):
    pool.submit(call("hang"))
pool._start_waiting(None)
print(*pids, flush=True)
pool.next_result()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_the_parent_is_killed(how):
    with subprocess.Popen([sys.executable, "-c", STARTED], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(_runs, pids))
        parent.send_signal(how)
    until = time.monotonic() + 10
    while any(map(_runs, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(_runs, pids))


def _runs(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
