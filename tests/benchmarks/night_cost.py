"""Count the work of a cascade's networks on a natural night, on which nearly no galaxy is a lens, and time its scan."""

from pathlib import Path

from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig
from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.lens_regression import least_looked_at
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_network, write_package
from scanner.scan.scoring import open_scanner
from scanner.vocabulary.network_columns import network_column_name
from simulation.products.survey_tile import TileSpec
from simulation.run import simulate_night
from tests.benchmarks.night_speed import speed_runs
from tests.benchmarks.rates import spreads
from tests.benchmarks.sizes import CORES, FLAGSHIP, Sizes
from tests.scanner.networks.flops import mflop
from tests.scanner.scanned import scanned

DENSITY_PER_SQUARE_PIXEL = 30 / 600**2
"""Galaxies on the sky that a catalogue lists: 30 per square arcminute."""
SEED = 2400
TILES_PER_CORE = 3
"""An actor reads a tile while it scores the one before."""


def measure(scratch: Path, sizes: Sizes) -> dict[str, float]:
    """Simulate tiles, each with one lens, scan them, and count which networks score which rows in how much time."""
    n = sizes.n_night_galaxies
    side_pixels = max(300, round((n / DENSITY_PER_SQUARE_PIXEL) ** 0.5))
    specs = [
        TileSpec(tile_id=f"{200000000 + i}", n_galaxies=n - 1, n_single=1, side_pixels=side_pixels, seed=SEED + i)
        for i in range(TILES_PER_CORE * CORES)
    ]
    simulate_night(specs, str(scratch / "night"), CORES)
    card = read_card(SHIPPED_DIR / FLAGSHIP)
    threshold = card.threshold("deep")
    scanner = open_scanner(_without_last(card, scratch / "package"), ScanConfig(candidate_threshold=threshold), CORES)
    units = find_units(str(scratch / "night"))
    tables = [scanned(unit, scanner) for unit in units]
    n_rows = sum(table.num_rows for table in tables)

    def share(network: NetworkCard) -> float:
        """Return the share of the rows that a network scores."""
        name = network_column_name(network.name)
        return 1 - sum(table[name].null_count for table in tables) / n_rows

    def share_from(p_lens: float) -> float:
        """Return the share of the rows to which the committee gives at least this `p_lens`."""
        return sum((table["p_lens"].to_numpy() >= p_lens).sum() for table in tables) / n_rows

    shares, of_last = {network.name: share(network) for network in card.lens_networks}, {}
    if card.candidate_stage:
        looked_at = share_from(least_looked_at(threshold, card.candidate_stage.lens))
        shares |= dict.fromkeys((of.name for of in card.candidate_stage.networks), looked_at)
        of_last["night_share_of_candidate_network"] = looked_at
    work = [
        shares[of.name] * of.turns * mflop(ARCHITECTURES[of.architecture].build(len(of.channels)), len(of.channels))
        for of in card.all_networks
    ]
    of_committee = [shares[network.name] for network in card.networks]
    return {
        "night_rows": n_rows,
        "night_share_beyond_first_stage": max(of_committee),
        "night_share_beyond_early_exit": min(of_committee),
        "night_mflop_per_cutout": sum(work),
        **of_last,
        "night_share_of_candidates": share_from(threshold),
        **spreads(speed_runs(units, scratch, sizes)),
    }


def _without_last(card: EnsembleCard, folder: Path) -> Path:
    """Write a copy of the flagship whose rows all keep the score of the committee, or of an earlier stage."""
    states = {of.name: load_network(SHIPPED_DIR / FLAGSHIP, of).state_dict() for of in card.lens_networks}
    write_package(folder, card.model_copy(update={"candidate_stage": None}), states)
    return folder
