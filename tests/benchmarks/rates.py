"""The arithmetic of the benchmarks: rates without a bias to either side, medians of rounds with their spread."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

Ends = Sequence[tuple[float, int]]
"""Seconds since all workers were let go at which a unit ended, and its rows."""
Runs = dict[str, list[float]]
"""Figure to its value in each round."""

_LOG = logging.getLogger(__name__)


def rate_to_the_last_end(ends: Ends) -> float:
    """Rows per second from the moment at which all workers are let go until the last of them ends.

    Every unit counts whole, with all the time that it took. From one end to another, workers in step would seem to do a unit
    more than they do.
    """
    return sum(rows for _, rows in ends) / max(seconds for seconds, _ in ends)


def rate_of_whole_passes(processes: Iterable[tuple[int, Sequence[float]]], until_s: float) -> float:
    """Rows per second of processes that run passes side by side, each beyond `until_s`.

    A process counts the passes that end by then over the time until the last of these: at no time that counts does any other
    process rest.

    Args:
        processes: The rows of a pass, and the seconds since all were let go at which each pass ended.
        until_s: Until when.
    """
    return sum(rows * _passes_per_s([end for end in ends if end <= until_s]) for rows, ends in processes)


def _passes_per_s(ends: Sequence[float]) -> float:
    if not ends:
        raise ValueError("a process has to end a pass while all others run")
    return len(ends) / max(ends)


def n_units_for(seconds: float, unit_s: float, workers: int, available: int) -> int:
    """How many units of `unit_s` each fill so many seconds: the same number, and at least three, for each worker."""
    most = available // workers
    if most < 3:
        raise ValueError(f"{workers} workers need {3 * workers} units, got {available}")
    return workers * min(max(3, round(seconds / unit_s)), most)


def in_turns(measurements: Mapping[str, Callable[[], float]], rounds: int) -> Runs:
    """Measure one after the other, then all again: a machine's clock changes by a sixth within minutes."""
    runs: Runs = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            runs[name].append(measure())
            _LOG.info("%s: %.4g", name, runs[name][-1])
    return runs


def over(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """The ratio in each round."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def larger(*several: Sequence[float]) -> list[float]:
    """The larger in each round."""
    return [max(values) for values in zip(*several, strict=True)]


def best(*several: Sequence[float]) -> list[float]:
    """The rounds of whichever has the largest median."""
    return list(max(several, key=np.median))


def core_ms(rates: Sequence[float], cores: int) -> list[float]:
    """Milliseconds of a core for each row, where `cores` are all taken."""
    return [1e3 * cores / rate for rate in rates]


def spreads(runs: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each figure under its name, and the least and the most of its rounds beside it."""
    found: dict[str, float] = {}
    for name, values in runs.items():
        found |= {name: float(np.median(values)), f"{name}_least": min(values), f"{name}_most": max(values)}
    return found


def seconds_of_runs(work: Callable[[], object], runs: int) -> list[float]:
    """After one that warms up."""
    work()
    return [seconds_of(work) for _ in range(runs)]


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def peak_bytes() -> float:
    """Most resident memory of this process since its program began; `getrusage` would begin with its parent's size."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024.0 * int(status.partition("VmHWM:")[2].split()[0])
