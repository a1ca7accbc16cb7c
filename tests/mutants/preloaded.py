"""Runs pytest again and again, each time in a fork of a process that has imported the libraries: they take most of a short run.

A script, not a module of the package: nothing of the repository may be imported before the fork. Each line of the input is a
run, `{"cwd", "env", "log", "arguments"}`; each gives two lines, the id of its process, which leads a group, and its exit code.
"""

import gc
import importlib
import json
import os
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any


def main(libraries: list[str]) -> None:
    """Import what is installed of some libraries, then run what is asked for."""
    # The folder of this script, whose modules are no libraries.
    del sys.path[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in libraries:
            with suppress(ImportError):
                importlib.import_module(library)
    if len(list(Path("/proc/self/task").glob("*"))) > 1:
        sys.exit("a library starts threads when it is imported: no process with threads can be forked")
    gc.freeze()
    for line in sys.stdin:
        run = json.loads(line)
        process = os.fork()
        if not process:
            _become(run)
        _tell(process)
        _tell(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _become(run: dict[str, Any]) -> None:
    """Be the process of a run, and end with it."""
    code = 1
    try:
        os.setsid()
        log = os.open(run["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(run["cwd"])
        os.environ.update(run["env"])
        sys.path.insert(0, run["cwd"])
        pytest = importlib.import_module("pytest")
        # As with `python -m pytest`: Ray puts the folder of the script on the path of its workers.
        sys.argv = [importlib.import_module("pytest.__main__").__file__ or "", *run["arguments"]]
        code = int(pytest.main(run["arguments"]))
    except BaseException:  # noqa: BLE001 - nothing may reach the loop of the parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
