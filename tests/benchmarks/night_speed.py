"""Time scans of a natural night with the default ensemble, and with the one before the cascade."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from infra.ray.cluster import ray_session
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.benchmarks.crews import Crew
from tests.benchmarks.rates import Runs, in_turns, over
from tests.benchmarks.sizes import BEFORE, CORES, FLAGSHIP, Sizes

_TIMES_ROUNDS = 3
_NAMES = {"night_per_s_flagship": FLAGSHIP, "night_per_s_before": BEFORE}


def speed_runs(units: Sequence[Unit], scratch: Path, sizes: Sizes) -> Runs:
    """Scan the same tiles with both ensembles in turns: read, cut, score, check, commit, with default settings without maps."""
    # Ray reserves a share of a core for each actor, also for idle ones.
    with ray_session(num_cpus=4 * CORES), ExitStack() as opened:
        crews = {figure: opened.enter_context(_crew(name, units, scratch)) for figure, name in _NAMES.items()}
        # The rate of so few tiles varies by a fifth.
        rounds = _TIMES_ROUNDS * sizes.rounds
        runs = in_turns({figure: partial(crew.rate, "tiles") for figure, crew in crews.items()}, rounds)
    return {**runs, "night_flagship_over_before": over(*(runs[figure] for figure in _NAMES))}


def _crew(name: str, units: Sequence[Unit], scratch: Path) -> Crew:
    config = ScanConfig(candidate_threshold=read_card(SHIPPED_DIR / name).threshold("deep"))
    return Crew(SHIPPED_DIR / name, config, {"tiles": units}, CORES, scratch, 0)
