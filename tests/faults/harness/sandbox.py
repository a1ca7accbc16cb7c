"""Process hostile input in a separate process with little memory, and report forbidden operations of that process.

`python -m tests.faults.harness.sandbox MEMORY_BYTES MODULE FUNCTION ARGUMENT...` calls a function that returns JSON values.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from tests.faults.harness.patience import scaled

ROOT = Path(__file__).parents[3]
MAX_RSS_BYTES = 1.5 * 2**30
_FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "os.system", "os.exec", "os.posix_spawn", "os.remove")


def sandboxed(module, function, *arguments, memory_bytes=3 * 2**30, timeout_s=240):
    """Return the function's result. The process must survive, stay below `MAX_RSS_BYTES`, and neither write nor connect."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.harness.sandbox", str(memory_bytes), module, function]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=scaled(timeout_s),
        check=False,
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["violations"] == []
    assert report["peak_bytes"] < MAX_RSS_BYTES, report
    return report["result"]


def _watch(violations, folder):
    scratch = str(Path(tempfile.gettempdir()) / "tmp")

    def hook(event, arguments):
        what = None
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            is_ours = isinstance(path, int) or str(path).startswith((str(folder), "/dev/", scratch))
            what = f"open {path} {mode}" if writes and not is_ours else None
        elif event == "subprocess.Popen":
            command = [str(part) for part in arguments[1]]
            what = None if command[-1] == "scanner.files.wcs_worker" else f"started {command}"
        elif event in _FORBIDDEN:
            what = f"{event} {arguments}" if event != "os.remove" or not str(arguments[0]).startswith(str(folder)) else None
        if what:
            violations.append(what)
            raise RuntimeError(what)

    sys.addaudithook(hook)


def main():
    memory_bytes, module, function, *arguments = sys.argv[1:]
    called = getattr(importlib.import_module(module), function)
    folder = Path(arguments[0])
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    violations = []
    _watch(violations, folder)
    result = called(*arguments)
    # The peak does not come from getrusage, because its value includes the size of the parent process.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024
    sys.stdout.write(json.dumps({"result": result, "violations": violations, "peak_bytes": peak}) + "\n")


if __name__ == "__main__":
    main()
