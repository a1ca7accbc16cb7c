"""Run pytest repeatedly in forks of a process that has imported the libraries, because imports take most of a short run.

This is a script, not a module of the package: nothing of the repository may be imported before the fork. Each input line is a
run, `{"cwd", "env", "log", "arguments"}`; each run prints two lines, its process id, which leads a group, and its exit code.
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
    """Import those of the libraries that are installed, then execute the runs requested on stdin."""
    # Remove the folder of this script from the path: its modules are not libraries.
    del sys.path[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in libraries:
            with suppress(ImportError):
                importlib.import_module(library)
    if len(list(Path("/proc/self/task").glob("*"))) > 1:
        sys.exit("a library starts threads when it is imported, and a process with threads cannot be forked")
    gc.freeze()
    for line in sys.stdin:
        run = json.loads(line)
        process = os.fork()
        if not process:
            _become(run)
        _tell(process)
        _tell(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _become(run: dict[str, Any]) -> None:
    """Turn this process into a run of pytest, and exit with it."""
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
        # Set argv as `python -m pytest` does: Ray puts the folder of the script on the path of its workers.
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
