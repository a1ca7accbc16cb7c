"""Runs mutants as jobs, on a few copies of the repository at a time."""

import hashlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.mutants.audit import DEFECTS
from tests.mutants.modules import HELD_OUT_PER_MODULE, MODULES, Module
from tests.mutants.report import AUDIT, HELD_OUT, Result
from tests.mutants.sampling import Mutant, held_out, sample
from tests.mutants.trees import Run, Tree, TreeError, seconds_by_file

PACKAGES = ("infra", "scanner", "simulation", "training", "flows")
MIN_LIMIT_S, LIMIT_FACTOR = 90.0, 6.0
"""Time limit of a mutant's tests: the factor times their time without the mutant, and at least the minimum."""


@dataclass(frozen=True)
class Job:
    """A mutant to run."""

    group: str
    path: str
    what: str
    line: str
    becomes: str
    text: str
    tests: tuple[str, ...]

    @property
    def key(self) -> str:
        return hashlib.sha256("\n".join((self.group, self.path, self.text, *self.tests)).encode()).hexdigest()


def audit_jobs(root: Path) -> list[Job]:
    """Return a job for each of the audit's defects."""
    return [
        Job(AUDIT, d.path, d.id, d.old, d.new, d.applied_to((root / d.path).read_text(encoding="utf-8")), (d.test,))
        for d in DEFECTS
    ]


def sample_jobs(root: Path, paths: Sequence[str]) -> list[Job]:
    """Return a job for each sampled mutant of some modules."""
    return [
        _job(module.path, module, mutant)
        for module, source in _sources(root, paths)
        for mutant in sample(module.path, source, module.n)
    ]


def held_out_jobs(root: Path, paths: Sequence[str], seed: int) -> list[Job]:
    """Return a job for each held-out mutant of some modules: no test was written against those."""
    return [
        _job(HELD_OUT, module, mutant)
        for module, source in _sources(root, paths)
        for mutant in held_out(module.path, source, HELD_OUT_PER_MODULE, seed)
    ]


def _sources(root: Path, paths: Sequence[str]) -> list[tuple[Module, str]]:
    return [(module, (root / module.path).read_text(encoding="utf-8")) for module in MODULES if module.path in paths]


def _job(group: str, module: Module, mutant: Mutant) -> Job:
    return Job(group, module.path, mutant.operator, mutant.line, mutant.becomes, mutant.text, module.tests)


class Campaign:
    """Runs all jobs, on a few copies at a time."""

    def __init__(self, jobs: Sequence[Job], trees: Sequence[Tree], progress: Path | None) -> None:
        self._jobs, self._trees, self._progress = list(jobs), list(trees), progress
        self._results = _done_before(progress) if progress else {}
        self._limits: dict[str, float] = {}
        self._n_done = 0
        self._lock = threading.Lock()

    def results(self) -> list[Result]:
        """Run the jobs that have no result yet, and return the results of all jobs."""
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
        """Run the tests without any mutant, check that they pass, and keep their times."""
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
                run = _run_once_or_twice(tree, job.tests, max(limit, MIN_LIMIT_S))
            self._note(job, Result(job.group, job.path, job.what, job.line, job.becomes, not run.passed, run.by, run.seconds))

    def _note(self, job: Job, result: Result) -> None:
        with self._lock:
            self._results[job.key] = result
            self._n_done += 1
            say(f"[{self._n_done}/{len(self._jobs)}] {job.path} {job.what} ({result.seconds:.0f} s) {_told(result)}")
            if self._progress:
                with self._progress.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": job.key, **asdict(result)}) + "\n")


def _run_once_or_twice(tree: Tree, tests: Sequence[str], limit_s: float) -> Run:
    """Run tests, and repeat a run that timed out or was killed: a busy machine causes that too."""
    run = tree.run(tests, limit_s)
    if not run.was_cut_short:
        return run
    again = tree.run(tests, limit_s)
    return replace(again, seconds=run.seconds + again.seconds)


def _told(result: Result) -> str:
    how = f"killed by {result.by}" if result.killed else f"SURVIVES: {result.line} -> {result.becomes}"
    return " ".join(how.split())[:240]


def _done_before(progress: Path) -> dict[str, Result]:
    """Read the results of an earlier run, and drop a line that it did not finish."""
    found: dict[str, Result] = {}
    if not progress.exists():
        return found
    lines = progress.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if whole != lines:
        progress.write_text("".join(whole), encoding="utf-8")
    for line in whole:
        entry = json.loads(line)
        key = entry.pop("key")
        found[key] = Result(**entry)
    return found


def progress_file(root: Path, folder: Path) -> Path:
    """Return the file for results of exactly this code and these tests, and delete the files of other code."""
    files = sorted(path for package in (*PACKAGES, "tests") for path in (root / package).rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    file = folder / f"mutants-{digest}.jsonl"
    folder.mkdir(exist_ok=True)
    for other in folder.glob("mutants-*.jsonl"):
        if other != file:
            other.unlink()
    return file


def say(line: str) -> None:
    """Print a line with the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()
