"""Copies of the repository in which files are mutated and tests run; the repository itself is never touched."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from xml.etree import ElementTree as ET

PASSED, NO_TESTS = 0, 5
"""Exit codes of pytest; every other one is a failure, of a test or of an import."""
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
_LEFT_OUT_OF_ROOT = {".git", ".venv", "build", "dist", "data", "runs", "demo-output", "lensscan.egg-info"}
_MARK = "MUTANT_RUN"
_START_S = 600.0
"""To import the libraries on a busy machine, or to die."""
_ENDED_BY = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", re.MULTILINE)
_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_PYTEST = (
    *("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-n", "0", "--hypothesis-seed=0"),
    # The asserts of libraries with plugins, which are imported before.
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)
LIBRARIES = (
    *("pytest", "_pytest.junitxml", "hypothesis", "numpy", "scipy.signal", "scipy.stats"),
    *("scipy.ndimage", "skimage.transform", "sklearn.metrics", "sklearn.linear_model", "sklearn.manifold", "numba"),
    *("lenstronomy.LensModel.lens_model", "astropy.io.fits", "astropy.wcs", "astropy.cosmology", "astropy.table"),
    *(
        "torch",
        "safetensors.torch",
        "captum.attr",
        "matplotlib.pyplot",
        "pydantic_settings",
        "httpx",
        "aiohttp",
        "botocore.session",
    ),
    *("pyarrow.parquet", "pyarrow.dataset", "duckdb", "s3fs", "ray", "cyclopts", "rich.progress"),
)
"""What tests import and takes long; not OpenVINO, which starts a thread."""
_NO_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Arrow would start one when it is imported."""


class TreeError(Exception):
    """A copy that does not do what it must: what it says of mutants would be worth nothing."""


@dataclass(frozen=True)
class Run:
    """How a run of pytest ended."""

    passed: bool
    seconds: float
    by: str
    """The test that failed, with its reason, or `time-out`."""
    output: str


class Tree:
    """A copy of a repository."""

    def __init__(self, source: Path, folder: Path, libraries: Sequence[str] = LIBRARIES) -> None:
        """Copy `source` to `folder/tree`, link the data beside the repository beside the copy, and import some libraries."""

        def left_out(where: str, names: Sequence[str]) -> set[str]:
            return set(names) & (_LEFT_OUT | _LEFT_OUT_OF_ROOT if Path(where) == source else _LEFT_OUT)

        self.root, self._folder = folder / "tree", folder
        self._n_writes = 0
        shutil.copytree(source, self.root, ignore=left_out, symlinks=True)
        shared = source.parent / "shared"
        if shared.exists():
            (folder / "shared").symlink_to(shared)
        self._server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("preloaded.py"), *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_environment(), **_SETTINGS, **_NO_THREAD},
            text=True,
            start_new_session=True,
        )
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._server.stdout or ():
            self._answers.put(line)
        self._answers.put("")

    def _ask(self, line: str) -> None:
        if self._server.stdin is None or self._server.poll() is not None:
            raise TreeError("the process that runs the tests ended")
        self._server.stdin.write(f"{line}\n")
        self._server.stdin.flush()

    def _answer(self, within_s: float) -> int:
        """The next number that the server tells.

        Raises:
            TreeError: the server is gone.
            queue.Empty: it takes longer.
        """
        line = self._answers.get(timeout=within_s)
        if not line:
            raise TreeError("the process that runs the tests ended")
        return int(line)

    def close(self) -> None:
        """End the process that runs the tests."""
        self._server.kill()
        self._server.wait()
        self._listener.join()
        for pipe in (self._server.stdin, self._server.stdout):
            if pipe is not None:
                pipe.close()

    @contextmanager
    def mutated(self, path: str, text: str) -> Iterator[None]:
        """The file has this text for a while."""
        file = self.root / path
        original = file.read_text(encoding="utf-8")
        self._write(file, text)
        try:
            yield
        finally:
            self._write(file, original)

    def _write(self, file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        # Byte code and machine code are taken for fresh by the file's time and size: let no two writes look alike.
        self._n_writes += 1
        os.utime(file, (time.time(), time.time() + self._n_writes))
        for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            stale.unlink()

    def run(self, tests: Sequence[str], limit_s: float, *options: str) -> Run:
        """Run tests, with the selection of `make test`, up to the first that fails; nothing that they start stays."""
        mark, log = uuid.uuid4().hex, self._folder / "output.txt"
        wanted = {
            "cwd": str(self.root),
            "env": {**dict.fromkeys(_NO_THREAD, ""), "PYTHONPATH": str(self.root), _MARK: mark},
            "log": str(log),
            "arguments": [*_PYTEST, "--basetemp", str(self._folder / "tmp"), *options, *tests],
        }
        start = time.monotonic()
        self._ask(json.dumps(wanted))
        group = self._answer(_START_S)
        try:
            code: int | None = self._answer(limit_s)
        except Empty:
            code = None
        end_all(mark, group)
        if code is None:
            self._answer(_START_S)
        seconds, output = time.monotonic() - start, log.read_text(encoding="utf-8", errors="replace")
        if code == NO_TESTS:
            raise TreeError(f"no tests in {' '.join(tests)}:\n{output[-2000:]}")
        return Run(code == PASSED, seconds, _ended_by(code, output), output)

    def check_imports(self, *packages: str) -> None:
        """Programs started here must import the code of this copy.

        Raises:
            TreeError: they import it from elsewhere.
        """
        code = f"import {', '.join(packages)}; print(*({', '.join(f'{p}.__file__' for p in packages)},), sep='\\n')"
        env = {**os.environ, "PYTHONPATH": str(self.root)}
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=self._folder, env=env, capture_output=True, text=True, check=True
        )
        if away := [path for path in found.stdout.splitlines() if not path.startswith(f"{self.root}/")]:
            raise TreeError(f"code is not imported from the copy but from {away}")


def _ended_by(code: int | None, output: str) -> str:
    if code == PASSED:
        return ""
    if code is None:
        return "time-out"
    found = _ENDED_BY.search(output)
    if found:
        return " - ".join(part for part in found.groups() if part)
    errors = re.findall(r"^E +(.*)", output, re.MULTILINE)
    return f"pytest ends with {code}: {(errors or [output[-200:].strip()])[-1]}"


def _environment() -> dict[str, str]:
    """That of this process, less what would change how tests run."""
    return {
        name: value for name, value in os.environ.items() if name not in {"NUMBA_CACHE_DIR", "PYTEST_ADDOPTS", "PYTHONPATH"}
    }


def end_all(mark: str, group: int) -> None:
    """Kill the processes of a run: its group, and those with its mark in the environment, which what a test starts inherits."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    wanted = f"{_MARK}={mark}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)


def seconds_by_file(junit: Path) -> dict[str, float]:
    """Test file to the seconds of its tests, from pytest's report in XML."""
    found: dict[str, float] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it
        file = f"{case.get('classname', '').replace('.', '/')}.py"
        found[file] = found.get(file, 0.0) + float(case.get("time", 0))
    return found
