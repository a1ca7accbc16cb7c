"""The objects of a simulated night at natural prevalence, scored in a stream: non-lenses, lenses, and a calibration sample.

Lenses are a stratum of their own, because a night of 60 000 objects holds 30 of them: `natural_night.py` draws nights from both
strata. The three data sets are made block by block in turn, so that a part of a run is a smaller set of the same kind.
"""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from infra.settings import Settings
from scanner.networks.card_file import read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.locate import find_package
from simulation.object_blocks import ROWS_PER_BLOCK, block_uri, done_blocks, nonlenses
from simulation.population.draw import LENS_SHARES
from simulation.products.dataset import DatasetSpec
from simulation.scored_objects import ScoringSimulator

N_NONLENSES, N_LENSES, N_CALIBRATION = 60_000, 3_000, 60_000
SEEDS = {"nonlenses": 27_110_001, "lenses": 27_110_002, "calibration": 27_110_003}
"""Seeds of the data sets, which no training and no evaluation uses."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """Tables of scored objects that are done so far; columns as of `simulation.scored_objects`."""

    nonlenses: pa.Table
    lenses: pa.Table
    calibration: pa.Table


def specs(geometry: str) -> dict[str, DatasetSpec]:
    """Return the data sets by name."""
    of_lenses = sum(share for _, share in LENS_SHARES)
    lenses = {"n": N_LENSES, "seed": SEEDS["lenses"], "kinds": [(kind, share / of_lenses) for kind, share in LENS_SHARES]}
    return {
        "nonlenses": nonlenses(N_NONLENSES, SEEDS["nonlenses"], geometry),
        "lenses": DatasetSpec.model_validate({**lenses, "geometry": geometry}),
        "calibration": nonlenses(N_CALIBRATION, SEEDS["calibration"], geometry),
    }


def order(of: Mapping[str, DatasetSpec]) -> list[tuple[str, int]]:
    """Return name and number of every block, in an order in which any beginning holds equal parts of the data sets."""
    n_blocks = {name: -(-spec.n // ROWS_PER_BLOCK) for name, spec in of.items()}
    blocks = [(name, number) for name, n in n_blocks.items() for number in range(n)]
    return sorted(blocks, key=lambda block: (block[1] + 0.5) / n_blocks[block[0]])


def simulate(package: Path, scratch: Path, only: str | None = None) -> None:
    """Make the missing blocks of all data sets, or of one."""
    of, engine = specs(read_card(package).geometry), resolve_engine(Settings.read().engine)
    of = {only: of[only]} if only else of
    simulators = {name: ScoringSimulator(package, engine, str(scratch / name)) for name in of}
    for name, number in order(of):
        if not Path(block_uri(str(scratch / name), number, ScoringSimulator.prefix)).exists():
            simulators[name].block((of[name], number))
            _LOG.info("%s %d", name, number)


def read(package: Path, scratch: Path) -> Scored:
    """Return the objects of the blocks that are done."""
    card = read_card(package)
    of = specs(card.geometry)
    return Scored(**{n: done_blocks(ScoringSimulator, spec, card.sha256, str(scratch / n)) for n, spec in of.items()})


def read_with_sample(package: Path, scratch: Path, sample: Path, n: int, seed: int) -> Scored:
    """Return the lenses that are done, and halves of the `n` scores of `lensscan models nonlenses` as the other two sets."""
    card = read_card(package)
    lenses = done_blocks(ScoringSimulator, specs(card.geometry)["lenses"], card.sha256, str(scratch / "lenses"))
    others = done_blocks(ScoringSimulator, nonlenses(n, seed, card.geometry), card.sha256, str(sample))
    return Scored(others.slice(0, n // 2), lenses, others.slice(n // 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", default=Settings.read().ensemble)
    parser.add_argument("--scratch", type=Path, required=True, help="folder of the scored objects; a killed run goes on")
    parser.add_argument("--only", choices=SEEDS, help="one of the data sets")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    simulate(find_package(options.ensemble, Settings.read().ensembles_dir), options.scratch, options.only)


if __name__ == "__main__":
    main()
