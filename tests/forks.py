"""Run `lensscan` in forks of a process that has done its imports, which otherwise take seconds in each command.

As a program, this module reads one request a line, forks, and answers with two lines: the fork's id, then its exit code.
"""

import contextlib
import gc
import importlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import weakref
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness.patience import TimedOut, scaled
from tests.spare_workers import fork_spare_worker

ROOT = Path(__file__).parents[1]
LATE = (
    *("commands.evaluate", "commands.explain", "commands.inject", "commands.plan_text", "commands.portray", "commands.scan"),
    *("commands.query_text", "commands.scan_text", "commands.score", "commands.simulate", "commands.train", "progress_bar"),
    *("commands.votes", "commands.votes_text", "commands.zooniverse", "commands.diff", "commands.report"),
    *("commands.false_positives", "commands.reference", "commands.reproduce"),
    *("commands.completeness", "commands.publish", "commands.quality", "commands.quality_text", "commands.yields"),
    *("scan_night", "simulate", "train"),
)
"""Modules of `flows` that commands import when they are called."""
HELP = ("cyclopts.help", "rich.markdown")
"""Modules of libraries that each `--help` imports."""
WORKERS = ("infra.store.s3_client", "scanner.explain.candidate_maps", "scanner.workers.unit_scanner")
"""Modules that workers of scans import."""
SETTINGS = {"OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Variables that libraries read when they are imported; a process with threads cannot be forked."""
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "PYTHONMALLOC": "malloc"}
"""Variables that put all objects on huge pages, which make a fork of 400 MB three times as fast; commands do not get them."""


@dataclass(frozen=True)
class Ended:
    """Result of a command that has ended, with the fields of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


@contextlib.contextmanager
def forked_commands(env):
    """Yield a function that runs `lensscan` in a folder, with the caller's environment and the variables of `env`.

    With `module`, it runs the function `main` of that module of the tests instead.
    It raises `TimedOut` for a command that takes longer than `scaled(limit_s)`, which is killed.
    """
    command = [sys.executable, "-m", "tests.forks"]
    # Unbuffered: when `select` reports a line, `readline` reads all of it.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env, **SETTINGS, **HUGE_PAGES}, **pipes)

        def run(*args, cwd=None, module="flows.cli.main", limit_s=200, **more):
            assert not {*more} & {*SETTINGS, *env}, "these were read when the libraries were imported"
            number = next(numbers)
            files = {name: str(Path(folder, f"{number}-{name}")) for name in ("stdout", "stderr")}
            place = {"cwd": str(cwd or Path.cwd()), "env": {**os.environ, **env, **more}}
            asked = {"module": module, "args": [*map(str, args)], **place, **files}
            process.stdin.write(f"{json.dumps(asked)}\n".encode())
            group = _answer(process, 100)
            code = _answer(process, limit_s, group)
            return Ended(code, *(Path(file).read_text() for file in files.values()))

        try:
            yield run
        finally:
            process.kill()
            process.communicate()


def _answer(process, seconds, group=None):
    """Return the next number that the process prints; kill a command that takes too long, with its process group.

    Raises:
        TimedOut: the command took longer than `scaled(seconds)`.
    """
    if not select.select([process.stdout], [], [], scaled(seconds))[0]:
        if group is not None:
            os.killpg(group, signal.SIGKILL)
            process.stdout.readline()
        raise TimedOut(f"a forked command printed nothing within {scaled(seconds):.0f} s")
    line = process.stdout.readline()
    assert line, "the process that forks commands has ended; its output is above"
    return int(line)


def _serve():
    # Libraries may print while they are imported: send that to stderr, so that only answers reach the pipe.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Nothing of what libraries make when they are imported is garbage, nor need the forks look for garbage among it.
    gc.disable()
    cli = importlib.import_module("flows.cli.main")
    cli.set_up_libraries()
    for name in LATE:
        importlib.import_module(f"flows.{name}")
    for name in (*HELP, *WORKERS):
        importlib.import_module(name)
    if len(list(Path("/proc/self/task").glob("*"))) > 1:
        sys.exit("a library starts threads when it is imported, and a process with threads cannot be forked")
    # What the imports end at an exit is this process's: torch would take half of the time of a light command for it.
    for finalizer in list(weakref.finalize._registry):
        finalizer.atexit = False
    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            answers.close()
            _become(**json.loads(line))
        answers.write(f"{pid}\n")
        answers.flush()
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        answers.flush()


def _become(module, args, cwd, env, stdout, stderr):
    """Turn this process into the command, and exit with it."""
    code = 1
    try:
        os.setsid()
        for descriptor, name in enumerate((os.devnull, stdout, stderr)):
            flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            os.dup2(os.open(name, flags), descriptor)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["lensscan", *args]
        if args[:1] == ["scan"]:
            fork_spare_worker()
        importlib.import_module(module).main()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may reach the loop of the parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
