"""`lensscan` in forks of one process that has imported all that commands import, which takes each of them seconds else.

Run as a program it reads a request a line, forks for it, and answers with a line when the fork has ended.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LATE = ("auditing_commands", "evaluate", "explaining", "inject", "planning", "scan_night", "scoring", "simulate", "train")
"""Of the package flows, imported by commands when they are called."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended, as `subprocess.run` would tell of it."""

    returncode: int
    stdout: str
    stderr: str


@contextlib.contextmanager
def forked_commands(env):
    """A function that runs `lensscan` with arguments, in a folder, with more variables than `env` and those of the caller."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.forks"],
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        files = {name: str(Path(folder, name)) for name in ("stdout", "stderr")}

        def run(*args, cwd=None, **more):
            asked = {"args": [*map(str, args)], "cwd": str(cwd or Path.cwd()), "env": {**os.environ, **env, **more}, **files}
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            code = json.loads(process.stdout.readline())
            return Ended(code, *(Path(file).read_text() for file in files.values()))

        try:
            yield run
        finally:
            process.stdin.close()
            process.wait(20)


def _serve():
    import importlib

    from flows import cli

    cli.set_up_libraries()
    for name in LATE:
        importlib.import_module(f"flows.{name}")
    assert threading.active_count() == 1, "a fork has none of the threads"
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                _become(cli.main, **json.loads(line))
            finally:
                os._exit(70)
        _, status = os.waitpid(pid, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _become(main, args, cwd, env, stdout, stderr):
    """The command, in this process: it does not come back."""
    for descriptor, name in enumerate((os.devnull, stdout, stderr)):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["lensscan", *args]
    main()


if __name__ == "__main__":
    _serve()
