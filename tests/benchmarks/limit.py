"""The limit of this machine: processes that only run the networks, on inputs held in memory.

Two layouts are tried, one process with all threads and one process per core with one thread each; every network runs with its
fastest batch size. A limit in the sweep's precision counts no row twice, although a scan also scores candidates and one row in
256 in float32, so the limit is stricter. Each network of a cascade runs on the share of the rows that it scores in a scan, and
not at all if that is less than one row in fifty: whole batches of it would need too many rows.

As a program, this module is one such process: it prints when it is ready, and each line that it reads gives the seconds for
which it runs passes.
"""

import json
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import torch

from scanner.networks import openvino_engine
from scanner.networks.card_file import read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.ensemble import Engine
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_first_stage, load_package
from scanner.networks.precision import Precision
from scanner.preprocess.network_inputs import Inputs, network_inputs
from scanner.vocabulary.geometry import Stamps
from scanner.workers.threads import thread_settings
from tests.benchmarks.rates import rate_of_whole_passes, seconds_of, seconds_of_runs
from tests.benchmarks.sizes import CORES, Sizes

LAYOUTS = {"one_process": (1, CORES), "process_a_core": (CORES, 1)}
"""Maps each layout to its number of processes and the threads of each."""
N_TRIES = 3
"""Number of times that a batch size is timed; the fastest counts."""
MIN_ROWS = 64
"""Smallest number of rows in a pass, so that inputs do not stay in a core's cache."""
LEAST_SHARE = 0.02
"""Smallest share of the rows for which a network runs."""
MIN_PASSES = 2

_LOG = logging.getLogger(__name__)


class Limits:
    """Processes of both layouts, loaded, compiled and warm until the `with` block ends; while one is timed the other waits."""

    def __init__(
        self, package: Path, precision: Precision, stamps: Stamps, shares: Mapping[str, float], sizes: Sizes, scratch: Path
    ) -> None:
        """Start the processes; their inputs repeat the rows of `stamps`, band to `[row, y, x]`, as often as needed.

        `shares` maps each network to the share of the rows that it scores.
        """
        self._seconds = sizes.limit_s
        self._processes: dict[str, list[_Process]] = {}
        self._cleanup = ExitStack()
        file = scratch / f"stamps-{package.name}.npz"
        np.savez(file, **stamps)
        for layout, (n_processes, threads) in LAYOUTS.items():
            arguments = [str(package), precision, str(threads), str(file), json.dumps(dict(shares))]
            arguments.append(json.dumps(sizes.limit_batches[package.name]))
            # All processes of a layout search for their best batches at the same time, as they are timed.
            started = [self._cleanup.enter_context(_Process(arguments, threads)) for _ in range(n_processes)]
            self._processes[layout] = started
            for process in started:
                process.ready = process.answer()
                _LOG.info("%s, %s, %s: batches %s", package.name, precision, layout, process.ready["batches"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._cleanup.close()

    def rate(self, layout: str) -> float:
        """Return the rows per second through all networks."""
        processes = self._processes[layout]
        until_s = max(self._seconds, MIN_PASSES * max(process.ready["pass_s"] for process in processes))
        while True:
            for process in processes:
                process.tell(until_s)
            passes = [(process.ready["rows"], process.answer()) for process in processes]
            slowest_s = max(ends[0] for _, ends in passes)
            if slowest_s <= until_s:
                return rate_of_whole_passes(passes, until_s)
            # The machine is slower than during the warm-up.
            until_s = MIN_PASSES * slowest_s


class _Process:
    """Handle on one process of the limit, for the process that started it."""

    def __init__(self, arguments: Sequence[str], threads: int) -> None:
        environment = {**os.environ, **thread_settings(threads)}
        command = [sys.executable, "-m", __name__, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.ready: dict[str, Any] = {}
        """The rows of a pass, the seconds that it takes, and the batch sizes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def tell(self, seconds: float) -> None:
        _written(self._process.stdin, f"{seconds}\n")

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the limit ended with code {self._process.wait()}")
        return json.loads(line)


def _written(file: IO[str] | None, text: str) -> None:
    assert file is not None
    file.write(text)
    file.flush()


@dataclass(frozen=True)
class _Loaded:
    """A network on its engine, and the share of the rows that it scores."""

    card: NetworkCard
    engine: Engine
    share: float


def _serve(
    package: Path, precision: Precision, threads: int, stamps: Stamps, shares: Mapping[str, float], batches: Sequence[int]
) -> None:
    torch.set_num_threads(threads)
    fastest = _fastest(lambda: _loaded(package, precision, threads, shares), stamps, batches)
    # The fewest rows of which every network gets a whole batch.
    rows = max(MIN_ROWS, *(math.ceil(batch / one.share) for batch, one in fastest))
    ready = [(batch, one.engine, _inputs(one.card, stamps, round(one.share * rows))) for batch, one in fastest]

    def one_pass() -> None:
        for batch, engine, inputs in ready:
            _use_batch(batch)
            engine.logits(inputs)

    one_pass()
    _say({"rows": rows, "pass_s": seconds_of(one_pass), "batches": {one.card.name: batch for batch, one in fastest}})
    for line in sys.stdin:
        _say(_ends(one_pass, float(line)))


def _ends(one_pass: Callable[[], None], seconds: float) -> list[float]:
    """Return the seconds from now at which each pass ended, up to the first that ends after `seconds`."""
    begun = time.perf_counter()
    ends = [0.0]
    while ends[-1] <= seconds:
        one_pass()
        ends.append(time.perf_counter() - begun)
    return ends[1:]


def _loaded(package: Path, precision: Precision, threads: int, shares: Mapping[str, float]) -> list[_Loaded]:
    engine = resolve_engine("auto")
    stages = [load_package(package, engine, precision, threads)]
    if read_card(package).first:
        stages.append(load_first_stage(package, engine, precision, threads))
    loaded = [_Loaded(of, stage.engines[of.name], shares[of.name]) for stage in stages for of in stage.card.networks]
    return [one for one in loaded if one.share >= LEAST_SHARE]


def _fastest(load: Callable[[], list[_Loaded]], stamps: Stamps, batches: Sequence[int]) -> list[tuple[int, _Loaded]]:
    """Return, for each network, the batch size with the least time per row, and the engine compiled for it."""
    found: dict[str, tuple[float, int, _Loaded]] = {}
    for batch in batches:
        _use_batch(batch)
        rows = max(batch, MIN_ROWS)
        for one in load():
            inputs = _inputs(one.card, stamps, rows)
            row_s = min(seconds_of_runs(partial(one.engine.logits, inputs), N_TRIES)) / rows
            if one.card.name not in found or row_s < found[one.card.name][0]:
                found[one.card.name] = row_s, batch, one
    return [(batch, one) for _, batch, one in found.values()]


def _inputs(card: NetworkCard, stamps: Stamps, rows: int) -> Inputs:
    """Return the inputs of a network, the field that it sees."""
    n = len(stamps["VIS"])
    repeated = {band: images[np.arange(rows) % n] for band, images in stamps.items()}
    return network_inputs(repeated, [card.channels], card.input_pixels, card.field_pixels)[card.channels]


def _use_batch(batch: int) -> None:
    # Only the OpenVINO engine splits its inputs into batches; the other engines take them whole.
    openvino_engine.BATCH = batch


def _say(what: object) -> None:
    _written(sys.stdout, json.dumps(what) + "\n")


if __name__ == "__main__":
    _package, _precision, _threads, _file, _shares, _batches = sys.argv[1:]
    with np.load(_file) as _stamps:
        _serve(Path(_package), _precision, int(_threads), dict(_stamps), json.loads(_shares), json.loads(_batches))
