"""Nights of real tiles whose scores are drawn, not computed: the gate reads pixels and unit files, and no network."""

import numpy as np

from scanner.catalogue.find_units import find_units
from scanner.catalogue.gate import begin
from scanner.catalogue.ledger import publish
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.unit_inputs import planned_ids
from tests.scanner.catalogue_parts import EnsembleName, scores
from tests.tiles import write_tiles

N_TILES, N_OBJECTS, N_PIXELS = 2, 50, 620


def write_night(folder, seed=0):
    write_tiles(folder, N_TILES, N_OBJECTS, n_pixels=N_PIXELS, seed=seed)


def scanned(root, tiles, night, seed=0):
    """Commit and seal a plan of these tiles with drawn scores, held by its gate; return the plan."""
    rng = np.random.default_rng(seed)
    plan = make_plan(night, EnsembleName(), ScanConfig(), find_units(str(tiles)))
    freeze(plan, root)
    begin(plan, root, 0.5, gate=True)
    for unit in plan.units:
        ids = planned_ids(unit)
        place = {"tile": [unit.unit_id] * len(ids), "night": [night] * len(ids)}
        p_lens = (1 / (1 + np.exp(-rng.normal(-4, 2, len(ids))))).astype(np.float32)
        publish(scores(ids.tolist(), p_lens.tolist(), **place), unit, plan, root, "try")
    seal(plan, root)
    return plan
