"""Compare the rate of a scan with this machine's limit, and with the paper's own loop with the same networks."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch

from infra.ray.cluster import ray_session
from scanner.catalogue.find_units import find_units
from scanner.catalogue.ledger import publish
from scanner.catalogue.plan import MOST_MAPS_PER_UNIT, ScanConfig, make_plan
from scanner.networks.card_file import read_card
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package, load_scorer
from scanner.preprocess.network_inputs import network_inputs
from scanner.scan.open_unit import open_unit
from scanner.scan.scoring import open_scanner
from tests.benchmarks import one_process
from tests.benchmarks.crews import Crew
from tests.benchmarks.limit import LAYOUTS, Limits
from tests.benchmarks.memory_floor import memory_floor_runs
from tests.benchmarks.nights import Night, made_night
from tests.benchmarks.paper_loop import PaperLoop, PaperLoops, write_cutouts
from tests.benchmarks.rates import (
    Ends,
    Runs,
    best,
    core_ms,
    core_seconds_of_runs,
    in_turns,
    larger,
    over,
    rate_to_the_last_end,
    seconds_of_runs,
    spreads,
)
from tests.benchmarks.recorded import differences
from tests.benchmarks.sizes import CANDIDATES, CORES, FLAGSHIP, NIGHT, SEVEN, SHORT, Sizes
from tests.scanner.scanned import scanned
from tests.tiles import write_tiles

BATCH = 64
N_THRESHOLD_TILES = 2
PAPER_LOOPS = {"paper_loop": "as_written", "paper_loop_channels_last": "channels_last"}

Measurements = dict[str, Callable[[], float]]


def measure(scratch: Path, sizes: Sizes) -> dict[str, float]:
    """Measure the figures of the part `scan`, by name."""
    torch.set_num_threads(CORES)
    small = scratch / "small"
    write_tiles(small, sizes.small_tiles.n, sizes.small_tiles.n_sources, n_pixels=sizes.small_tiles.n_pixels)
    flagship, seven = (made_night(name, scratch, sizes) for name in (FLAGSHIP, SEVEN))
    # Ray reserves a share of a core for each actor, also for idle ones.
    with ray_session(num_cpus=4 * CORES):
        runs = flagship_runs(flagship) | seven_runs(seven) | small_units_runs(small, scratch, sizes)
    runs["actors_over_one_alone"] = min((runs[f"actors_over_one_alone_{short}"] for short in SHORT.values()), key=np.median)
    runs |= stages_runs(flagship) | stages_runs(seven) | _floor_runs(flagship)
    runs |= one_process.ledger_runs(flagship.units["tiles"][: sizes.n_ledger_units], FLAGSHIP, sizes.rounds, scratch)
    return spreads(runs) | paper_loop_differences(seven) | one_process.memory(small, FLAGSHIP, sizes.n_memory_units)


def flagship_runs(night: Night) -> Runs:
    """Measure the default ensemble, also with maps if one row in a hundred is a candidate."""
    threshold = _threshold(night)
    with ExitStack() as opened:
        measured = _measurements(night, opened)
        for name, n_maps in (("tiles_without_maps_per_s", 0), ("tiles_with_maps_per_s", MOST_MAPS_PER_UNIT)):
            config = ScanConfig(candidate_threshold=threshold, maps_per_unit=n_maps)
            measured[name] = partial(opened.enter_context(night.crew(config, CORES, "tiles")).rate, "tiles")
        runs = in_turns(measured, night.sizes.rounds)
    mapped = {name: runs.pop(name) for name in ("tiles_without_maps_per_s", "tiles_with_maps_per_s")}
    return {
        **_against_the_limit(runs, night),
        **mapped,
        "maps_overhead": [
            by_default / with_maps - by_default / without
            for without, with_maps, by_default in zip(*mapped.values(), runs["tiles_per_s"], strict=True)
        ],
        "core_ms_per_cutout_lensscan_default": core_ms(mapped["tiles_with_maps_per_s"], CORES),
    }


def seven_runs(night: Night) -> Runs:
    """Measure the paper's seven networks, also in float32 throughout, and the paper's loop."""
    files = _paper_files(night)
    with ExitStack() as opened:
        measured = _measurements(night, opened)
        if fast_precision(resolve_engine("auto")):
            config = night.config.model_copy(update={"sweep": False})
            measured["tiles_exact_per_s"] = partial(opened.enter_context(night.crew(config, CORES, "tiles")).rate, "tiles")
        loops = {}
        for name, layout in PAPER_LOOPS.items():
            loops[f"{name}_per_s"] = PaperLoop(SEVEN, files, layout).rate
            loops[f"{name}_process_a_core_per_s"] = opened.enter_context(PaperLoops(SEVEN, files, layout)).rate
        runs = in_turns(measured | loops, night.sizes.rounds)
    theirs = {name: runs.pop(name) for name in loops}
    fastest = best(*theirs.values())
    default = runs["tiles_per_s"]
    # If the sweep is in float32 too, the default is exact.
    exact = runs.setdefault("tiles_exact_per_s", default)
    found = _against_the_limit(runs, night)
    if exact is not default:
        found["over_paper_loop_bfloat16"] = over(default, fastest)
    return {
        **found,
        **theirs,
        "over_paper_loop": over(exact, fastest),
        "over_paper_loop_as_written": over(exact, theirs["paper_loop_per_s"]),
        "core_ms_per_cutout_lensscan_seven": core_ms(default, CORES),
        "core_ms_per_cutout_paper_loop": core_ms(fastest, CORES),
    }


def small_units_runs(tiles: Path, scratch: Path, sizes: Sizes) -> Runs:
    """Measure many small units on one actor."""
    units = {"tiles": find_units(str(tiles))}
    with Crew(SHIPPED_DIR / FLAGSHIP, ScanConfig(), units, 1, scratch, 0) as crew:
        nights = [crew.ends("tiles") for _ in range(sizes.rounds)]
    return {
        "small_tiles_one_actor_per_s": [rate_to_the_last_end(ends) for ends in nights],
        "last_ten_units_over_first_ten": [_later_over_earlier(ends) for ends in nights],
    }


def stages_runs(night: Night) -> Runs:
    """Measure the milliseconds per cutout that each stage takes by itself, on one core."""
    unit, rounds = night.units["tiles"][0], night.sizes.rounds
    scanner = open_scanner(night.package, night.config, 1)
    ensemble = load_package(night.package)
    stamps = {band: images[:BATCH] for band, images in night.stamps.items()}
    n_stamps = len(stamps["VIS"])
    # What every row needs: the first stage's channels, or those of all networks.
    networks = (ensemble.card.first_stage_card or ensemble.card).networks
    inputs = sorted({(of.input_pixels, of.field_pixels, of.channels) for of in networks}, key=str)
    plan = make_plan(NIGHT.isoformat(), ensemble, night.config, [unit])
    table = scanned(unit, scanner, NIGHT.isoformat())
    opened = open_unit(unit, ensemble.geometry, BATCH)
    opened.batches.close()

    def read_and_cut() -> int:
        # In this thread, whose time counts: a scan reads in another.
        return sum(batch.n_rows for batch in opened.batches._begin())

    def publish_once() -> None:
        publish(table, unit, plan, str(night.scratch / f"catalogue-{uuid4().hex}"), attempt=uuid4().hex)

    def prepare() -> None:
        for n_pixels, field_pixels, channels in inputs:
            network_inputs(stamps, [channels], n_pixels, field_pixels)

    runs = {
        "read_and_cut": [seconds / unit.n_rows for seconds in core_seconds_of_runs(read_and_cut, rounds)],
        "prepare_inputs": [seconds / n_stamps for seconds in core_seconds_of_runs(prepare, rounds)],
        "publish": [seconds / unit.n_rows for seconds in seconds_of_runs(publish_once, rounds)],
    }
    runs["read_cut_and_prepare"] = [sum(both) for both in zip(runs["read_and_cut"], runs["prepare_inputs"], strict=True)]
    return {f"ms_{stage}_{SHORT[night.name]}": [1e3 * value for value in values] for stage, values in runs.items()}


def _floor_runs(night: Night) -> Runs:
    """Return the floor of reading, cutting and scaling that the memory of this machine sets."""
    unit, card = night.units["tiles"][0], read_card(night.package)
    # The catalogue of sources is a thousandth of the files.
    per_row = sum(file.size for file in unit.files.values()) / unit.n_rows
    return memory_floor_runs(per_row, night.stamps, list((card.first_stage_card or card).networks), night.sizes.rounds)


def paper_loop_differences(night: Night) -> dict[str, float]:
    """Return the largest differences of recorded scores from those of the paper's loop, on the same stamps."""
    files = _paper_files(night)
    theirs = PaperLoop(SEVEN, files, "as_written").score(files)
    return differences(night, theirs, has_sweep=fast_precision(resolve_engine("auto")) is not None)


def _measurements(night: Night, opened: ExitStack) -> Measurements:
    """Return the measurements of limits and scan, to take in turns; all are started and warm until `opened` closes."""
    fast = fast_precision(resolve_engine("auto")) or "float32"
    measured: Measurements = {}
    for name, precision in {"limit": fast, "limit_float32": "float32"}.items():
        if name == "limit" or fast != "float32":
            limits = opened.enter_context(
                Limits(night.package, precision, night.stamps, night.shares, night.sizes, night.scratch)
            )
            measured |= {f"{name}_{layout}_per_s": partial(limits.rate, layout) for layout in LAYOUTS}
    all_cores = opened.enter_context(night.crew(night.config, CORES, "tiles", "shards"))
    one_actor = opened.enter_context(night.crew(night.config, 1, "tiles"))
    return measured | {
        "tiles_per_s": partial(all_cores.rate, "tiles"),
        "shards_per_s": partial(all_cores.rate, "shards"),
        "tiles_one_actor_per_s": partial(one_actor.rate, "tiles"),
        "tiles_alone_per_s": partial(all_cores.rate_alone, "tiles"),
    }


def _against_the_limit(runs: Runs, night: Night) -> Runs:
    """Return the runs under their full names, with the limits and the ratios to them; the limit is the better layout's."""
    layouts = [runs[f"limit_{layout}_per_s"] for layout in LAYOUTS]
    # If the sweep is in float32 too, there is only one limit.
    exact_layouts = [
        runs.pop(f"limit_float32_{layout}_per_s", of_sweep) for layout, of_sweep in zip(LAYOUTS, layouts, strict=True)
    ]
    found = {
        **runs,
        "limit_per_s": best(*layouts),
        "limit_float32_per_s": best(*exact_layouts),
        "tiles_over_limit": over(runs["tiles_per_s"], larger(*layouts)),
        "shards_over_limit": over(runs["shards_per_s"], larger(*layouts)),
        "actors_over_one_alone": over(runs["tiles_per_s"], runs["tiles_alone_per_s"]),
    }
    if "tiles_exact_per_s" in runs:
        found["tiles_exact_over_limit_float32"] = over(runs["tiles_exact_per_s"], larger(*exact_layouts))
    return {f"{name}_{SHORT[night.name]}": values for name, values in found.items()}


def _threshold(night: Night) -> float:
    """Return the threshold that one row in a hundred of some tiles reaches: with every stage, because limits fall with it."""
    scorer = load_scorer(night.package, resolve_engine("auto"), CORES, candidate_threshold=0.0)
    reached = []
    for unit in night.units["tiles"][:N_THRESHOLD_TILES]:
        for batch in open_unit(unit, scorer.geometry, BATCH).batches:
            scores = scorer.score(batch.stamps)
            of_stages = (scores.p_first, scores.p_exit, scores.p_lens)
            reached.append(np.minimum.reduce([p for p in of_stages if p is not None]))
    return float(np.quantile(np.concatenate(reached), 1 - CANDIDATES))


def _later_over_earlier(ends: Ends) -> float:
    """Return the rate of the later half of an actor's units over that of the earlier half."""
    middle = len(ends) // 2
    earlier, later = ends[:middle], [(seconds - ends[middle - 1][0], rows) for seconds, rows in ends[middle:]]
    return rate_to_the_last_end(later) / rate_to_the_last_end(earlier)


def _paper_files(night: Night) -> list[dict[str, Path]]:
    stamps = {band: images[: night.sizes.n_paper_loop] for band, images in night.stamps.items()}
    return write_cutouts(night.scratch / "fits", stamps)
