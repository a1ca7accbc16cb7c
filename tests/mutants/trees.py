"""Copies of the repository in which files are mutated and tests run; the repository itself is never touched."""

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
"""Exit codes of pytest; every other one is a failure, of a test or of an import."""
_NOT_IMPORTED = "while loading conftest"
"""So pytest says that a mutant cannot be imported by the fixtures of all tests, with the exit code of misuse."""
TIME_OUT, SIGNAL = "time-out", "signal"
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
_LEFT_OUT_OF_ROOT = {".git", ".venv", "build", "dist", "data", "runs", "demo-output", "lensscan.egg-info"}
_MARK = "MUTANT_RUN"
_ENDED_BY = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", re.MULTILINE)
_PYTEST = (
    *("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-n", "0", "--hypothesis-seed=0"),
    # The asserts of libraries with plugins, which are imported before.
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)


@dataclass(frozen=True)
class Run:
    """How a run of pytest ended."""

    passed: bool
    seconds: float
    by: str
    """The test that failed, with its reason, or `time-out`, or `signal` with its number."""
    output: str

    @property
    def was_cut_short(self) -> bool:
        """No test failed: the run took too long, or died."""
        return self.by == TIME_OUT or self.by.startswith(f"{SIGNAL} ")


class Tree:
    """A copy of a repository."""

    def __init__(self, source: Path, folder: Path, libraries: Sequence[str] = LIBRARIES) -> None:
        """Copy `source` to `folder/tree`, and link the data beside the repository beside the copy.

        Where tests are run, `libraries` are imported once, before the first.
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
        return TIME_OUT
    if code < 0:
        return f"{SIGNAL} {-code}"
    found = _ENDED_BY.search(output)
    if found:
        return " - ".join(part for part in found.groups() if part)
    errors = re.findall(r"^E +(.*)", output, re.MULTILINE)
    return f"pytest ends with {code}: {(errors or [output[-200:].strip()])[-1]}"


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
