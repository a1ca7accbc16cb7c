"""Drivers are killed at random times and restarted until the night is sealed, while a reader checks the catalogue.

The drivers run without Ray and start within milliseconds, so that hundreds can be killed. `test_driver_kills` kills some with
Ray.
"""

import json
import signal
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pytest

from scanner.catalogue.plan import load_plan
from tests.faults.harness import harm, patience
from tests.faults.harness.harm import recoveries
from tests.faults.harness.night import finish, noted, run_night, small_night, start

TWO_DRIVERS, KILL_ON_START = 0.3, 0.25
"""Probability of two drivers at once, and share of kills while a driver starts or plans."""


@dataclass
class Watcher:
    """Read the visible files, as an analyst would, and record those that are incomplete or change."""

    root: Path
    n_candidates: int
    seen: dict[str, object] = field(default_factory=dict)
    n_reads: int = 0
    torn: set[str] = field(default_factory=set)
    """Files that cannot be read, hold only part of their rows, or change."""

    def look(self):
        plans = list(self.root.glob("_scan/plans/*.json"))
        units = sorted(self.root.glob("_scan/units/**/*.unit"))
        if units:
            n_rows = {unit.unit_id: unit.n_rows for unit in load_plan(str(self.root), plans[0].stem).units}
            self._check_with_duckdb(n_rows, len(units))
            for path in units:
                self._check_with_arrow(path, n_rows[path.stem])
        is_sealed = bool(list(self.root.glob("_scan/seals/*")))
        candidates = list(self.root.glob("_scan/sealed/*.candidates"))
        assert candidates or not is_sealed, "a seal must not be visible before its candidates"
        nights = list(self.root.glob("candidates/*.parquet"))
        for path in (*candidates, *nights):
            self._check_with_arrow(path, self.n_candidates)
        for path in (*plans, *units, *candidates):
            status = path.stat()
            self._check_same(path, (status.st_ino, status.st_size, status.st_mtime_ns))
        for path in nights:
            # Two drivers that find no file of the night both write it, with the same bytes.
            self._check_same(path, sha256(path.read_bytes()).hexdigest())
        self.n_reads += 1

    def _check_same(self, path, now):
        if self.seen.setdefault(str(path), now) != now:
            self.torn.add(str(path))

    def _check_with_duckdb(self, n_rows, n_at_least):
        query = "SELECT filename, count(*), count(DISTINCT object_id) FROM read_parquet(?, filename=true) GROUP BY filename"
        with duckdb.connect(config={"threads": 1}) as database:
            try:
                found = database.execute(query, [f"{self.root}/_scan/units/**/*.unit"]).fetchall()
            except duckdb.Error as error:
                self.torn.add(str(error))
                return
        assert len(found) >= n_at_least
        self.torn |= {name for name, n, n_different in found if not n == n_different == n_rows[Path(name).stem]}

    def _check_with_arrow(self, path, n_rows):
        """Check that the file holds all of its rows and that its page checksums are right."""
        tables, _ = harm.read_files([path])
        if [table.num_rows for table in tables] != [n_rows]:
            self.torn.add(str(path))


def watch(root, n_candidates, stop, report):
    """Check the catalogue until the file `stop` exists, and once more."""
    watcher = Watcher(root, n_candidates)
    while not stop.exists():
        watcher.look()
        time.sleep(0.02)
    watcher.look()
    report.write_text(json.dumps([watcher.n_reads, sorted(watcher.torn)]))


@dataclass
class Toll:
    """The kills, work and recoveries of all nights so far."""

    kills: list[float] = field(default_factory=list)
    """Times of the kills, by the clock of the file system."""
    n_scored: int = 0
    n_units: int = 0
    n_reads: int = 0
    recoveries_s: list[float] = field(default_factory=list)

    @property
    def work_done_again(self):
        return (self.n_scored - self.n_units) / self.n_scored

    @property
    def note(self):
        return f"{self.n_units} units, one or two drivers at once, and {self.n_reads} readings of the growing catalogue"


def kill_again_and_again(night, folder, rng, toll, n_kills):
    """Scan one night with up to `n_kills` SIGKILLs, until readers see it."""
    folder.mkdir()
    root, log, stop, report = (folder / name for name in ("catalogue", "log", "stop", "report"))
    reader = start(watch, root, night.golden.seal.n_candidates, stop, report)
    drivers, kills = [], []
    # The night's file comes last: a driver that was killed before it leaves that to the next.
    while not list(root.glob("candidates/*.parquet")):
        wanted = 1 + (rng.random() < TWO_DRIVERS)
        while len(drivers) < wanted:
            drivers.append(start(run_night, night.inputs, str(root), log, order=int(rng.integers(2**31))))
        if len(kills) >= n_kills:
            finish(drivers.pop(0))
            continue
        wait_a_little(rng, log, drivers)
        victim = drivers.pop(int(rng.integers(len(drivers))))
        kills.append(time.time())
        victim.kill()
        victim.join(patience.scaled(60))
        if victim.exitcode != -signal.SIGKILL:
            assert victim.exitcode == 0, "a driver must be killed or succeed"
            kills.pop()
    for driver in drivers:
        finish(driver)
    stop.touch()
    finish(reader)
    n_reads, torn = json.loads(report.read_text())
    harm.assert_none(harm.Harm(torn=len(torn)))
    night.check(str(root))
    n_units = len(night.golden.plan.units)
    n_scored, n_raced = (
        sum(noted(log).count(what) for what in kind) for kind in (["scored"], ["lost_race", "already_committed"])
    )
    assert n_scored - n_units <= len(kills) + n_raced, "only work in progress may be done again"
    toll.kills += kills
    toll.n_scored += n_scored
    toll.n_units += n_units
    toll.n_reads += n_reads
    toll.recoveries_s += recoveries(kills, root)


def wait_a_little(rng, log, drivers):
    """Wait until a driver starts or plans, or until it has just scored or published one of its next units."""
    if rng.random() < KILL_ON_START:
        time.sleep(rng.uniform(0, 0.3))
        return
    enough = len(noted(log)) + rng.integers(1, 5)
    while len(noted(log)) < enough and all(driver.is_alive() for driver in drivers):
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.03))


def run(night, folder, seed, n_kills, n_kills_a_night):
    rng, toll = np.random.default_rng(seed), Toll()
    while (n_left := n_kills - len(toll.kills)) > 0:
        kill_again_and_again(night, folder / f"night-{toll.n_units}", rng, toll, min(n_left, n_kills_a_night))
    return toll


def told(toll):
    return {
        "driver_kills_no_ray": len(toll.kills),
        "recovery_s": max(toll.recoveries_s),
        "work_done_again": toll.work_done_again,
        "note": toll.note,
    }


@pytest.mark.fault(4)
def test_a_few_random_kills_lose_nothing(tmp_path, measured):
    toll = run(small_night(tmp_path, 10), tmp_path, seed=1, n_kills=15, n_kills_a_night=15)
    measured(**told(toll))


@pytest.mark.faults
@pytest.mark.fault(4)
def test_two_hundred_random_kills_lose_nothing(tmp_path, measured):
    toll = run(small_night(tmp_path, 40), tmp_path, seed=2, n_kills=200, n_kills_a_night=30)
    measured(**told(toll))
