"""Discrete events of a scan: workers that fetch tiles from one store, score them, and die now and then.

A worker fetches one tile while it scores another, as `scanner.workers` does. Fetches share the store equally: each gets the
store's rate divided by their number, but no more than a worker can take. A worker that dies loses the tiles that it holds, at
most two; they go back to the queue, and its replacement comes after a while.
"""

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator


@dataclass(frozen=True)
class Survey:
    """Tiles, workers and store of a simulated scan."""

    n_tiles: int
    n_workers: int
    """One core each."""
    core_s: float
    """Mean time of a core for a tile."""
    core_spread: float
    """Standard deviation of that time over its mean; gamma distributed. 0 for equal tiles."""
    tile_bytes: float
    store_bytes_per_s: float
    worker_bytes_per_s: float
    deaths_per_worker_hour: float = 0.0
    replacement_s: float = 0.0
    failed_share: float = 0.0
    """Share of scored tiles that have to be done again, because a read or the commit failed."""
    is_read_ahead: bool = True
    """Whether a worker fetches its next tile while it scores."""


@dataclass(frozen=True)
class Scanned:
    """Outcome of a simulated scan."""

    wall_s: float
    read_bytes: float
    n_deaths: int
    n_repeated: int
    """Tiles that were begun again."""
    scoring_s: float
    """Sum of the time in which workers scored."""


class _Worker:
    """Tiles in the hands of a worker; a new `life` begins with each replacement, and makes events of the last one void."""

    def __init__(self) -> None:
        self.life = 0
        self.is_alive = True
        self.fetching: int | None = None
        self.served_at_end = 0.0
        self.fetched: int | None = None
        self.scoring: int | None = None
        self.scoring_since = 0.0


class Simulation:
    """One simulated scan."""

    def __init__(self, survey: Survey, rng: Generator) -> None:
        """Prepare the tiles; `run` scans them."""
        self._survey, self._rng = survey, rng
        self._queue = deque(range(survey.n_tiles))
        self._core_s = self._tile_times()
        self._workers = [_Worker() for _ in range(survey.n_workers)]
        self._now = self._served = self._read = self._scoring = 0.0
        self._n_fetching = self._n_done = self._n_deaths = self._n_repeated = self._n_events = 0
        self._events: list[tuple[float, int, str, int, int]] = []
        """Time, number, kind, worker and life."""
        self._fetches: list[tuple[float, int, int]] = []
        """Bytes per fetch that the store must have served when a fetch ends, worker and life."""

    def run(self) -> Scanned:
        """Scan all tiles."""
        for worker in range(self._survey.n_workers):
            self._await_death(worker)
            self._fetch(worker)
        while self._n_done < self._survey.n_tiles:
            self._step()
        return Scanned(self._now, self._read, self._n_deaths, self._n_repeated, self._scoring)

    def _tile_times(self) -> list[float]:
        mean, spread = self._survey.core_s, self._survey.core_spread
        if spread == 0:
            return [mean] * self._survey.n_tiles
        return list(self._rng.gamma(spread**-2, mean * spread**2, self._survey.n_tiles))

    def _step(self) -> None:
        """Go to the next event, the end of a fetch or one of the list."""
        while self._fetches and self._is_void(*self._fetches[0][1:]):
            heapq.heappop(self._fetches)
        ends = self._now + max(self._fetches[0][0] - self._served, 0.0) / self._rate() if self._fetches else np.inf
        if self._events and self._events[0][0] < ends:
            time, _, kind, worker, life = heapq.heappop(self._events)
            self._go_to(time)
            if kind == "back":
                self._come_back(worker)
            elif not self._is_void(worker, life):
                self._die(worker) if kind == "death" else self._score_ended(worker)
            return
        served, worker, _ = heapq.heappop(self._fetches)
        self._go_to(ends)
        self._served = served
        self._fetch_ended(worker)

    def _go_to(self, time: float) -> None:
        if self._n_fetching:
            self._served += self._rate() * (time - self._now)
        self._now = time

    def _rate(self) -> float:
        """Bytes per second of each fetch."""
        return min(self._survey.worker_bytes_per_s, self._survey.store_bytes_per_s / max(self._n_fetching, 1))

    def _is_void(self, worker: int, life: int) -> bool:
        return self._workers[worker].life != life

    def _at(self, delay_s: float, kind: str, worker: int) -> None:
        self._n_events += 1
        heapq.heappush(self._events, (self._now + delay_s, self._n_events, kind, worker, self._workers[worker].life))

    def _await_death(self, worker: int) -> None:
        if self._survey.deaths_per_worker_hour:
            self._at(self._rng.exponential(3600 / self._survey.deaths_per_worker_hour), "death", worker)

    def _fetch(self, worker: int) -> None:
        """Begin to fetch the next tile, if there is one and the worker has a hand free."""
        at = self._workers[worker]
        if not at.is_alive or at.fetching is not None or at.fetched is not None or not self._queue:
            return
        if at.scoring is not None and not self._survey.is_read_ahead:
            return
        at.fetching = self._queue.popleft()
        self._n_fetching += 1
        at.served_at_end = self._served + self._survey.tile_bytes
        heapq.heappush(self._fetches, (at.served_at_end, worker, at.life))

    def _fetch_ended(self, worker: int) -> None:
        at = self._workers[worker]
        at.fetched, at.fetching = at.fetching, None
        self._n_fetching -= 1
        self._read += self._survey.tile_bytes
        self._score(worker)

    def _score(self, worker: int) -> None:
        """Begin to score the tile that lies ready, if the worker has none in hand, and fetch another."""
        at = self._workers[worker]
        if at.scoring is None and at.fetched is not None:
            at.scoring, at.fetched, at.scoring_since = at.fetched, None, self._now
            self._at(self._core_s[at.scoring], "scored", worker)
        self._fetch(worker)

    def _score_ended(self, worker: int) -> None:
        at = self._workers[worker]
        tile, at.scoring = at.scoring, None
        self._scoring += self._now - at.scoring_since
        if self._survey.failed_share and self._rng.random() < self._survey.failed_share:
            self._return_tiles([tile])
        else:
            self._n_done += 1
        self._score(worker)

    def _die(self, worker: int) -> None:
        at = self._workers[worker]
        self._n_deaths += 1
        if at.scoring is not None:
            self._scoring += self._now - at.scoring_since
        if at.fetching is not None:
            self._n_fetching -= 1
            self._read += self._survey.tile_bytes - (at.served_at_end - self._served)
        held = [tile for tile in (at.fetching, at.fetched, at.scoring) if tile is not None]
        at.life += 1
        at.is_alive, at.fetching, at.fetched, at.scoring = False, None, None, None
        self._at(self._survey.replacement_s, "back", worker)
        self._return_tiles(held)

    def _come_back(self, worker: int) -> None:
        self._workers[worker].is_alive = True
        self._await_death(worker)
        self._fetch(worker)

    def _return_tiles(self, tiles: list[int]) -> None:
        """Put tiles back; workers without one, at the end of the scan, take them."""
        was_empty = not self._queue
        self._n_repeated += len(tiles)
        self._queue.extend(tiles)
        if was_empty:
            for worker in range(self._survey.n_workers):
                self._fetch(worker)


def simulate(survey: Survey, seed: int) -> Scanned:
    """Simulate a scan; the same seed gives the same one."""
    return Simulation(survey, np.random.default_rng(seed)).run()
