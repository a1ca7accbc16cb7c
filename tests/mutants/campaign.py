"""Mutants as jobs, run on a few copies of the repository at a time."""

import hashlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.mutants.audit import DEFECTS
from tests.mutants.modules import MODULES
from tests.mutants.report import AUDIT, Result
from tests.mutants.sampling import sample
from tests.mutants.trees import Tree, TreeError, seconds_by_file

PACKAGES = ("infra", "scanner", "simulation", "training", "flows")
MIN_LIMIT_S, LIMIT_FACTOR = 90.0, 6.0
"""The tests of a mutant may take so many times what they take without it, and this at least."""


@dataclass(frozen=True)
class Job:
    """A mutant to be run."""

    group: str
    path: str
    what: str
    line: str
    becomes: str
    text: str
    tests: tuple[str, ...]

    @property
    def key(self) -> str:
        return hashlib.sha256("\n".join((self.path, self.text, *self.tests)).encode()).hexdigest()


def audit_jobs(root: Path) -> list[Job]:
    """The audit's defects, applied."""
    return [
        Job(AUDIT, d.path, d.id, d.old, d.new, d.applied_to((root / d.path).read_text(encoding="utf-8")), d.tests)
        for d in DEFECTS
    ]


def sample_jobs(root: Path, paths: Sequence[str]) -> list[Job]:
    """The sampled mutants of some modules."""
    return [
        Job(module.path, module.path, m.operator, m.line, m.becomes, m.text, module.tests)
        for module in MODULES
        if module.path in paths
        for m in sample(module.path, (root / module.path).read_text(encoding="utf-8"), module.n)
    ]


class Campaign:
    """All jobs, on a few copies at a time."""

    def __init__(self, jobs: Sequence[Job], trees: Sequence[Tree], progress: Path | None) -> None:
        self._jobs, self._trees, self._progress = list(jobs), list(trees), progress
        self._results = _done_before(progress) if progress else {}
        self._limits: dict[str, float] = {}
        self._n_done = 0
        self._lock = threading.Lock()

    def results(self) -> list[Result]:
        """Run what is not done yet."""
        todo = [job for job in self._jobs if job.key not in self._results]
        self._n_done = len(self._jobs) - len(todo)
        if todo:
            self._run(todo)
        return [self._results[job.key] for job in self._jobs]

    def _run(self, todo: Sequence[Job]) -> None:
        self._measure(sorted({test.partition("::")[0] for job in todo for test in job.tests}))
        queue: SimpleQueue[Job] = SimpleQueue()
        for job in todo:
            queue.put(job)
        with ThreadPoolExecutor(len(self._trees)) as pool:
            for done in [pool.submit(self._work, tree, queue) for tree in self._trees]:
                done.result()

    def _measure(self, files: Sequence[str]) -> None:
        """Run the tests without any mutant, which must pass, and keep their times."""
        shares = [files[i :: len(self._trees)] for i in range(len(self._trees))]
        with ThreadPoolExecutor(len(self._trees)) as pool:
            for times in pool.map(self._pass, self._trees, shares):
                self._limits |= times

    @staticmethod
    def _pass(tree: Tree, files: Sequence[str]) -> dict[str, float]:
        if not files:
            return {}
        say(f"without mutants: {' '.join(files)}")
        junit = tree.root / "junit.xml"
        run = tree.run(files, 3600, f"--junitxml={junit}")
        if not run.passed:
            raise TreeError(f"tests fail without any mutant: {run.by}\n{run.output[-4000:]}")
        return seconds_by_file(junit)

    def _work(self, tree: Tree, queue: "SimpleQueue[Job]") -> None:
        while True:
            try:
                job = queue.get_nowait()
            except Empty:
                return
            limit = sum(self._limits.get(test.partition("::")[0], 0.0) for test in job.tests) * LIMIT_FACTOR
            with tree.mutated(job.path, job.text):
                run = tree.run(job.tests, max(limit, MIN_LIMIT_S))
            self._note(job, Result(job.group, job.path, job.what, job.line, job.becomes, not run.passed, run.by, run.seconds))

    def _note(self, job: Job, result: Result) -> None:
        with self._lock:
            self._results[job.key] = result
            self._n_done += 1
            say(f"[{self._n_done}/{len(self._jobs)}] {job.path} {job.what} ({result.seconds:.0f} s) {_told(result)}")
            if self._progress:
                with self._progress.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": job.key, **asdict(result)}) + "\n")


def _told(result: Result) -> str:
    how = f"killed by {result.by}" if result.killed else f"SURVIVES: {result.line} -> {result.becomes}"
    return " ".join(how.split())[:240]


def _done_before(progress: Path) -> dict[str, Result]:
    found = {}
    with suppress(FileNotFoundError):
        for line in progress.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            key = entry.pop("key")
            found[key] = Result(**entry)
    return found


def progress_file(root: Path, folder: Path) -> Path:
    """Where results of exactly this code and these tests are kept; those of other code are forgotten."""
    files = sorted(path for package in (*PACKAGES, "tests") for path in (root / package).rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    file = folder / f"mutants-{digest}.jsonl"
    folder.mkdir(exist_ok=True)
    for other in folder.glob("mutants-*.jsonl"):
        if other != file:
            other.unlink()
    return file


def say(line: str) -> None:
    """Tell the terminal, with the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()
