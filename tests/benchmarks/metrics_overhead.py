"""Measure what the stopwatch of a run costs: `python -m tests.benchmarks.metrics_overhead [PAIRS]`.

The same tiles are scanned and published with and without it, in turns; the process's own processor time is compared, which
other programs on the machine disturb less than the clock, but still by percents. So the calls are counted too: their number
times the time of one call, over the time of the scan, is the share that they take.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

from infra.stopwatch import Stopwatch
from infra.store.retries import take_retries
from scanner.catalogue.ledger import publish
from scanner.catalogue.plan import ScanConfig, build_plan, freeze
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.open_unit import open_unit
from scanner.scan.scoring import open_scanner
from scanner.scan.unit import scan_unit
from scanner.vocabulary.metrics import WorkStage
from tests.tiles import write_tiles

ENSEMBLE = "mer3-cascade"
N_TILES, N_SOURCES = 2, 1500


def main(n_pairs: int) -> None:
    """Print the share of the time that the stopwatch takes: the median of the pairs and their quartiles."""
    package = SHIPPED_DIR / ENSEMBLE
    with tempfile.TemporaryDirectory() as folder:
        write_tiles(Path(folder, "tiles"), N_TILES, N_SOURCES, n_pixels=1500)
        config = ScanConfig(candidate_threshold=read_card(package).candidate_threshold)
        plan = build_plan(f"{folder}/tiles", None, read_card(package), config)
        scanner = open_scanner(package, config, 1)

        def once() -> float:
            root = str(Path(folder, uuid4().hex))
            freeze(plan, root)
            begun = time.process_time()
            for unit in plan.units:
                watch = Stopwatch()
                opened = open_unit(unit, scanner.geometry, scanner.batch_size, columns=plan.columns, watch=watch)
                with contextlib.closing(opened.batches):
                    table = scan_unit(opened, scanner, "")
                with watch.timed(WorkStage.WRITE):
                    publish(table, unit, plan, root, uuid4().hex)
                take_retries()
            return time.process_time() - begun

        once()
        n_calls = 0
        timed = Stopwatch.timed

        def counting(watch: Stopwatch, *stages: str, **options: str) -> contextlib.AbstractContextManager[None]:
            nonlocal n_calls
            n_calls += 1
            return timed(watch, *stages, **options)

        with patch.object(Stopwatch, "timed", counting):
            scan_s = once()
        by_calls = n_calls * seconds_of_a_call() / scan_s
        sys.stdout.write(f"{n_calls} calls in {scan_s:.1f} s: {by_calls:.4%} of the processor time\n")
        sys.stdout.flush()
        shares = []
        for _ in range(n_pairs):
            measured = once()
            with patch.object(Stopwatch, "timed", lambda *_, **__: contextlib.nullcontext()):
                plain = once()
            shares.append(measured / plain - 1)
            sys.stderr.write(f"{shares[-1]:+.4f}\n")
    low, median, high = statistics.quantiles(shares, n=4)
    sys.stdout.write(f"{len(shares)} pairs: {median:+.2%} of the processor time, quartiles {low:+.2%} to {high:+.2%}\n")


def seconds_of_a_call(n: int = 20_000) -> float:
    """Return the processor time of one measurement of an empty block."""
    watch, begun = Stopwatch(), time.process_time()
    for _ in range(n):
        with watch.timed("stage", without="other"):
            pass
    return (time.process_time() - begun) / n


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
