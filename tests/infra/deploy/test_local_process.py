import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.deploy import local_process as module
from infra.deploy.local_process import (
    LocalServiceError,
    clean_environment,
    ended_by_signals,
    free_ports,
    is_open,
    kill_tree,
    local_process,
    program,
    write_private,
)
from tests.sources import ROOT

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=bool(int(sys.argv[2])))
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""
CALLER = """
import sys, time
from pathlib import Path
from infra.deploy.local_process import local_process
command = [sys.executable, "-c", "import time; time.sleep(600)"]
with local_process("the server", command, Path(sys.argv[1]), lambda: True, {}) as pid:
    print(pid, flush=True)
    time.sleep(600)
"""


def is_alive(pid):
    """Return whether a process runs; one that has ended and that its parent has not asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid):
    end = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_ends_with_what_it_started(tmp_path):
    told = tmp_path / "child"
    command = [sys.executable, "-c", PARENT, str(told), "0"]
    with local_process("the server", command, tmp_path / "log", lambda: told.exists() and told.read_text(), {}) as pid:
        child = int(told.read_text())
        assert os.getpgid(pid) != os.getpgid(0), "Ctrl-C must not reach the server"
        assert is_alive(child)
    assert ends(pid)
    assert ends(child)


def test_a_server_that_does_not_end_is_killed(tmp_path):
    """It is killed after the given time, which is shorter than that of other servers."""
    told = tmp_path / "told"
    deaf = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(told)!r}, 'w'); time.sleep(600)"
    with local_process("the server", [sys.executable, "-c", deaf], tmp_path / "log", told.exists, {}, 0.1) as pid:
        left = time.monotonic()
    assert time.monotonic() - left < module.STOP_TIMEOUT_S
    assert ends(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_tree_has_no_survivor_in_another_session(tmp_path):
    told = tmp_path / "child"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(told), "1"])
    while not (told.exists() and told.read_text()):
        time.sleep(0.05)
    kill_tree(parent.pid)
    assert parent.wait(10) == -signal.SIGKILL
    assert ends(int(told.read_text()))
    kill_tree(parent.pid)


def test_a_server_that_ends_or_says_nothing_is_reported(tmp_path, monkeypatch):
    log = tmp_path / "server.log"
    ending = [sys.executable, "-c", "print('no room'); raise SystemExit(3)"]
    with (
        pytest.raises(LocalServiceError, match=r"^the server ended with exit code 3; server.log in its folder says why$"),
        local_process("the server", ending, log, lambda: False, {}),
    ):
        pytest.fail("it started")
    assert log.read_text() == "no room\n"
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.1)
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        pytest.raises(LocalServiceError, match="gave no answer within"),
        local_process("the server", silent, log, lambda: False, {}),
    ):
        pytest.fail("it started")


@pytest.fixture
def hangup():
    """Set what SIGHUP does in a test, whose own caller may ignore it."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda handler: signal.signal(signal.SIGHUP, handler)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_that_outlives_its_caller_has_no_second(tmp_path):
    log = tmp_path / "server.log"
    caller = subprocess.Popen([sys.executable, "-c", CALLER, str(log)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = int(caller.stdout.readline())
    caller.kill()
    caller.communicate()
    log.write_text("of the first")
    second = local_process("the server", [sys.executable, "-c", ""], log, lambda: True, {})
    says = rf"^the server of an earlier start still runs; end it first: kill {pid}$"
    with pytest.raises(LocalServiceError, match=says), second:
        pytest.fail("it started")
    assert log.read_text() == "of the first"
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    for _ in range(2):
        with local_process("the server", [sys.executable, "-c", ""], log, lambda: True, {}):
            pass


@pytest.mark.parametrize("first", SIGNALS)
def test_the_first_signal_ends_and_the_second_does_not_cut(first, hangup):
    hangup(lambda *_: pytest.fail("the signal came through"))
    before = [signal.getsignal(name) for name in SIGNALS]
    steps = []

    def serve():
        try:
            os.kill(os.getpid(), first)
        finally:
            for name in SIGNALS:
                os.kill(os.getpid(), name)
            steps.append("ended")

    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        serve()
    assert steps == ["ended"]
    assert [signal.getsignal(name) for name in SIGNALS] == before


def test_a_closed_terminal_ends_nothing_under_nohup(hangup):
    hangup(signal.SIG_IGN)
    with ended_by_signals():
        os.kill(os.getpid(), signal.SIGHUP)


def test_ports_are_free_and_apart():
    ports = free_ports(20, above=20_000)
    assert len(set(ports)) == 20
    assert min(ports) > 20_000
    assert not is_open(ports[0])
    with socket.create_server(("127.0.0.1", ports[0])):
        assert is_open(ports[0])


def test_a_private_file_replaces_an_open_one(tmp_path):
    path = tmp_path / "env"
    path.write_text("old")
    path.chmod(0o644)
    path.with_name("env.new").write_text("cut short")
    write_private(path, "new")
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "new"


def test_servers_of_the_user_do_not_reach_a_process(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://other/api")
    monkeypatch.setenv("RAY_ADDRESS", "other:1")
    monkeypatch.setenv("AWS_PROFILE", "other")
    monkeypatch.setenv("LENSSCAN_ENGINE", "torch")
    found = clean_environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert [name for name in found if name.startswith(("AWS_", "PREFECT_", "RAY_"))] == ["AWS_ENDPOINT_URL"]
    assert found["LENSSCAN_ENGINE"] == "torch"
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    with pytest.raises(LocalServiceError, match="there is no program nosuch; install it: pip install that"):
        program("nosuch", "that")
