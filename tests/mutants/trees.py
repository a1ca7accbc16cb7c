"""Copies of the repository in which files are mutated and tests run; the repository itself is never changed."""

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
from xml.etree import ElementTree as ET

from tests.mutants.server import LIBRARIES, Server, TreeError

PASSED, MISUSED, NO_TESTS = 0, 4, 5
"""Exit codes of pytest; every other code means that a test or an import failed."""
_NOT_IMPORTED = "while loading conftest"
"""Part of pytest's message when the fixtures of all tests cannot import a mutant; pytest then exits with `MISUSED`."""
TIME_OUT, SIGNAL = "time-out", "signal"
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
_LEFT_OUT_OF_ROOT = {".git", ".venv", "build", "dist", "data", "runs", "demo-output", "lensscan.egg-info"}
_MARK = "MUTANT_RUN"
_ENDED_BY = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", re.MULTILINE)
_PYTEST = (
    *("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-n", "0", "--hypothesis-seed=0"),
    # Libraries with pytest plugins are imported before, so that pytest warns that it cannot rewrite their asserts.
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)


@dataclass(frozen=True)
class Run:
    """Result of a run of pytest."""

    passed: bool
    seconds: float
    by: str
    """The test that failed, with its reason, or `time-out`, or `signal` with its number."""
    output: str

    @property
    def was_cut_short(self) -> bool:
        """Whether no test failed, but the run took too long or was killed by a signal."""
        return self.by == TIME_OUT or self.by.startswith(f"{SIGNAL} ")


class Tree:
    """A copy of a repository."""

    def __init__(self, source: Path, folder: Path, libraries: Sequence[str] = LIBRARIES) -> None:
        """Copy `source` to `folder/tree`, and link the data that lie beside the repository to lie beside the copy.

        If tests are run, `libraries` are imported once, before the first run.
        """

        def left_out(where: str, names: Sequence[str]) -> set[str]:
            return set(names) & (_LEFT_OUT | _LEFT_OUT_OF_ROOT if Path(where) == source else _LEFT_OUT)

        self.root, self._folder = folder / "tree", folder
        self._n_writes = 0
        shutil.copytree(source, self.root, ignore=left_out, symlinks=True)
        shared = source.parent / "shared"
        if shared.exists():
            (folder / "shared").symlink_to(shared)
        self._libraries = libraries
        self._server: Server | None = None

    def close(self) -> None:
        """End the process that runs the tests."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @contextmanager
    def mutated(self, path: str, text: str) -> Iterator[None]:
        """Give the file this text until the `with` block ends."""
        file = self.root / path
        original = file.read_text(encoding="utf-8")
        self._write(file, text)
        try:
            yield
        finally:
            self._write(file, original)

    def _write(self, file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        # Caches of byte code and machine code compare the file's time and size: make every write differ in its time.
        self._n_writes += 1
        os.utime(file, (time.time(), time.time() + self._n_writes))
        for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            stale.unlink()

    def run(self, tests: Sequence[str], limit_s: float, *options: str) -> Run:
        """Run tests, with the selection of `make test`, up to the first failure; then kill every process that they started."""
        mark, log = uuid.uuid4().hex, self._folder / "output.txt"
        if self._server is None:
            self._server = Server(self._libraries)
        group = self._server.start(
            cwd=str(self.root),
            env={"PYTHONPATH": str(self.root), _MARK: mark},
            log=str(log),
            arguments=[*_PYTEST, "--basetemp", str(self._folder / "tmp"), *options, *tests],
        )
        start = time.monotonic()
        code = self._server.exit_code(limit_s)
        end_all(mark, group)
        if code is None:
            self._server.exit_code(None)
        seconds, output = time.monotonic() - start, log.read_text(encoding="utf-8", errors="replace")
        if code == NO_TESTS:
            raise TreeError(f"no tests in {' '.join(tests)}:\n{output[-2000:]}")
        if code == MISUSED and _NOT_IMPORTED not in output:
            raise TreeError(f"pytest cannot run {' '.join(tests)}:\n{output[-2000:]}")
        return Run(code == PASSED, seconds, _ended_by(code, output), output)

    def check_imports(self, *packages: str) -> None:
        """Check that programs started here import the code of this copy.

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
        return TIME_OUT
    if code < 0:
        return f"{SIGNAL} {-code}"
    found = _ENDED_BY.search(output)
    if found:
        return " - ".join(part for part in found.groups() if part)
    errors = re.findall(r"^E +(.*)", output, re.MULTILINE)
    return f"pytest ends with {code}: {(errors or [output[-200:].strip()])[-1]}"


def end_all(mark: str, group: int) -> None:
    """Kill the processes of a run: its group, and all with its mark in their environment, which child processes inherit."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    wanted = f"{_MARK}={mark}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)


def seconds_by_file(junit: Path) -> dict[str, float]:
    """Map each test file to the seconds of its tests, from pytest's XML report."""
    found: dict[str, float] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it
        file = f"{case.get('classname', '').replace('.', '/')}.py"
        found[file] = found.get(file, 0.0) + float(case.get("time", 0))
    return found
