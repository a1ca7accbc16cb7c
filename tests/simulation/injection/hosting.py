"""A simulated tile in a catalogue whose scores are made up, for the tests of hosts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import Plan, ScanConfig, build_plan, freeze
from scanner.catalogue.seal import seal
from scanner.catalogue.selection import Selection
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from simulation.products.survey_tile import TileSpec, simulate_tile
from tests.scanner.catalogue_parts import scores

PACKAGE = SHIPPED_DIR / "mer3-cascade"
N_CANDIDATES = 5


@dataclass(frozen=True)
class Hosting:
    root: str
    plan: Plan
    ids: np.ndarray

    @property
    def uri(self):
        return unit_uri(self.root, self.plan.plan_id, self.plan.units[0].unit_id)


def simulated_tile(folder):
    """Write a tile whose catalogue lacks the columns of `lens-hosts`."""
    simulate_tile(TileSpec(tile_id="000000007", n_galaxies=90, side_pixels=900, seed=3), str(folder))


def hosting(folder, root):
    """Make a catalogue of the tile in a folder, whose first objects are candidates, with made-up scores."""
    plan = build_plan(str(folder), None, read_card(PACKAGE), ScanConfig(candidate_threshold=0.01), Selection(columns=()))
    freeze(plan, str(root))
    (unit,) = plan.units
    ids = Table.read(next(Path(folder).rglob("*FINAL-CAT*")))["OBJECT_ID"].data.astype(np.int64)
    p_lens = [0.9 if i < N_CANDIDATES else None if i == N_CANDIDATES else 1e-6 for i in range(len(ids))]
    table = scores(ids.tolist(), p_lens, tile=[unit.unit_id] * len(ids), night=[""] * len(ids))
    publish(table, unit, plan, str(root), "try")
    seal(plan, str(root))
    show(plan, str(root))
    return Hosting(str(root), plan, ids)
