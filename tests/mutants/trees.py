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

PASSED, NO_TESTS = 0, 5
"""Exit codes of pytest; every other one is a failure, of a test or of an import."""
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
_LEFT_OUT_OF_ROOT = {".git", ".venv", "build", "dist", "data", "runs", "demo-output", "lensscan.egg-info"}
_MARK = "MUTANT_RUN"
_ENDED_BY = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", re.MULTILINE)
_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_PYTEST = ("-m", "pytest", "-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-n", "0", "--hypothesis-seed=0")


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

    def __init__(self, source: Path, folder: Path) -> None:
        """Copy `source` to `folder/tree`; the data beside the repository are linked beside the copy."""

        def left_out(where: str, names: Sequence[str]) -> set[str]:
            return set(names) & (_LEFT_OUT | _LEFT_OUT_OF_ROOT if Path(where) == source else _LEFT_OUT)

        self.root, self._folder = folder / "tree", folder
        self._n_writes = 0
        shutil.copytree(source, self.root, ignore=left_out, symlinks=True)
        shared = source.parent / "shared"
        if shared.exists():
            (folder / "shared").symlink_to(shared)

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
        kept = {name: value for name, value in os.environ.items() if name not in {"NUMBA_CACHE_DIR", "PYTEST_ADDOPTS"}}
        command = [sys.executable, *_PYTEST, "--basetemp", str(self._folder / "tmp"), *options, *tests]
        start = time.monotonic()
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**kept, **_SETTINGS, "PYTHONPATH": str(self.root), _MARK: mark},
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                end_all(mark)
                process.wait()
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
    return " - ".join(part for part in found.groups() if part) if found else f"pytest ends with {code}: {output[-200:].strip()}"


def end_all(mark: str) -> None:
    """Kill every process that carries a run's mark in its environment, as what a test starts inherits it."""
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
