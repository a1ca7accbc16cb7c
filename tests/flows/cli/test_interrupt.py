"""Ctrl-C ends a command in any phase with one line and without processes; these tests interrupt real commands, twice."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli.interrupt import MESSAGE, PATIENCE_S, STOPPED, descendants, message
from tests.faults.harness.patience import scaled, wait_for
from tests.tiles import write_tiles

LENSSCAN = str(Path(sys.executable).with_name("lensscan"))
SCAN = ("scan", "tiles", "--out", "catalogue", "--night", "2026-01-01")
SIMULATE = ("simulate", "--n", "400", "--out", "shards")


def maps(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/maps").read_text()
    return ""


def commands_below(pid):
    found = {}
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().decode()
    return found


def runs_below(pid, name):
    return any(name in command for command in commands_below(pid).values())


PHASES = {
    "imports": (SCAN, lambda pid, _: "numpy" in maps(pid)),
    "a scan": (SCAN, lambda pid, place: (place / "catalogue" / "_scan" / "plans").exists() and runs_below(pid, "local_worker")),
    "a simulation": (SIMULATE, lambda pid, _: "lenstronomy" in maps(pid) or "_lsoda" in maps(pid) or "matplotlib" in maps(pid)),
    "the start of Ray": ((*SCAN, "--ray-address", "local"), lambda pid, _: runs_below(pid, "gcs_server")),
    "the start of Prefect": ((*SIMULATE, "--flow"), lambda pid, _: runs_below(pid, "uvicorn")),
}
"""A command of each phase, and whether a process is in the phase."""
MARKS = {"the start of Ray": [pytest.mark.ray], "the start of Prefect": [pytest.mark.server]}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc")
@pytest.mark.parametrize("phase", [pytest.param(phase, marks=MARKS.get(phase, [])) for phase in PHASES])
def test_an_interrupted_command_ends_soon_and_leaves_nothing(interruptible, tmp_path, phase):
    arguments, is_reached = PHASES[phase]
    write_tiles(tmp_path / "tiles", n_tiles=1, n_objects=2)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
    env["PREFECT_HOME"] = str(tmp_path / "prefect")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([LENSSCAN, *arguments], cwd=tmp_path, env=env, process_group=0, **pipes) as process:
        try:
            wait_for(phase, lambda: is_reached(process.pid, tmp_path), process=process)
            below = commands_below(process.pid)
            start = time.monotonic()
            for _ in range(2):
                # A terminal sends the signal to all processes of the command's group.
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.1)
            said = process.communicate(timeout=60)
            seconds = time.monotonic() - start
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, said) == (130, ("", MESSAGE))
    assert seconds < scaled(2 * PATIENCE_S)
    assert [command for pid, command in below.items() if Path(f"/proc/{pid}/maps").exists() and maps(pid)] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        *((SCAN, MESSAGE), (("-v", *SIMULATE), MESSAGE), (("query", "scan"), STOPPED), ((), STOPPED)),
        *((("models", "nonlenses", "--n", "9"), MESSAGE), (("models", "list"), STOPPED), (("demo",), MESSAGE)),
    ],
)
def test_only_commands_that_continue_say_so(arguments, says):
    assert message(arguments) == says


def test_processes_below_a_process_are_found_parents_first():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = descendants(os.getpid())
        (grandchild,) = descendants(process.pid)
        process.stdin.close()
    assert found.index(process.pid) < found.index(grandchild)
    assert not {process.pid, grandchild} & set(descendants(os.getpid()))
