"""Arithmetic of the benchmarks: unbiased rates, and medians of rounds with their spread."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

Ends = Sequence[tuple[float, int]]
"""Seconds from the common start of all workers to the end of each unit, and the unit's rows."""
Runs = dict[str, list[float]]
"""Maps each figure to its values, one per round."""

_LOG = logging.getLogger(__name__)


def rate_to_the_last_end(ends: Ends) -> float:
    """Return the rows per second from the common start of all workers until the last of them ends.

    Every unit counts whole, with all the time that it took. A rate from one unit's end to another's would count a unit too
    many for workers in step.
    """
    return sum(rows for _, rows in ends) / max(seconds for seconds, _ in ends)


def rate_of_whole_passes(processes: Iterable[tuple[int, Sequence[float]]], until_s: float) -> float:
    """Return the rows per second of processes that run passes side by side until after `until_s`.

    For each process, the passes that end by `until_s` count, over the time until the last of these ends: no other process
    rests during that time.

    Args:
        processes: The rows of a pass, and the seconds from the common start at which each pass ended.
        until_s: Seconds from the common start until which passes count.
    """
    return sum(rows * _passes_per_s([end for end in ends if end <= until_s]) for rows, ends in processes)


def _passes_per_s(ends: Sequence[float]) -> float:
    if not ends:
        raise ValueError("each process must end a pass while all others run, got a process without one")
    return len(ends) / max(ends)


def n_units_for(seconds: float, unit_s: float, workers: int, available: int) -> int:
    """Return the number of units of `unit_s` each that fill `seconds`: the same number, at least three, for each worker."""
    most = available // workers
    if most < 3:
        raise ValueError(f"{workers} workers need {3 * workers} units, got {available}")
    return workers * min(max(3, round(seconds / unit_s)), most)


def in_turns(measurements: Mapping[str, Callable[[], float]], rounds: int) -> Runs:
    """Take all measurements in turn, once per round, because a machine's clock rate changes by a sixth within minutes."""
    runs: Runs = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            runs[name].append(measure())
            _LOG.info("%s: %.4g", name, runs[name][-1])
    return runs


def over(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratio in each round."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def larger(*several: Sequence[float]) -> list[float]:
    """Return the largest value in each round."""
    return [max(values) for values in zip(*several, strict=True)]


def best(*several: Sequence[float]) -> list[float]:
    """Return the rounds of the sequence with the largest median."""
    return list(max(several, key=np.median))


def core_ms(rates: Sequence[float], cores: int) -> list[float]:
    """Return the core-milliseconds per row, if all `cores` are in use."""
    return [1e3 * cores / rate for rate in rates]


def spreads(runs: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of each figure under its name, and the least and the most of its rounds as `_least` and `_most`."""
    found: dict[str, float] = {}
    for name, values in runs.items():
        found |= {name: float(np.median(values)), f"{name}_least": min(values), f"{name}_most": max(values)}
    return found


def seconds_of_runs(work: Callable[[], object], runs: int) -> list[float]:
    """Return the seconds of each run, after one run to warm up."""
    work()
    return [seconds_of(work) for _ in range(runs)]


def core_seconds_of_runs(work: Callable[[], object], runs: int) -> list[float]:
    """Return the processor seconds that this thread takes for each run, after one run to warm up.

    Threads of libraries, which wait for work beside it, do not count.
    """

    def core_seconds() -> float:
        begun = time.thread_time()
        work()
        return time.thread_time() - begun

    work()
    return [core_seconds() for _ in range(runs)]


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def peak_bytes() -> float:
    """Return the peak resident memory of this process since its program began; `getrusage` includes its parent's size."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024.0 * int(status.partition("VmHWM:")[2].split()[0])
