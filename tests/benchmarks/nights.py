"""Tiles and shards to scan, and crews that scan them with one ensemble."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scanner.catalogue.find_units import find_units
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.open_unit import open_unit
from scanner.scan.scoring import open_scanner
from scanner.sources.shards import ROWS_PER_SHARD, encode_shard, shard_table
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Stamps
from scanner.vocabulary.network_columns import network_column_name
from tests.benchmarks.crews import Crew
from tests.benchmarks.sizes import Sizes
from tests.scanner.scanned import scanned
from tests.tiles import write_tiles


@dataclass(frozen=True)
class Night:
    """The tiles and shards on which one ensemble is timed."""

    name: str
    """The ensemble's name."""
    units: dict[str, list[Unit]]
    """Units of `tiles`, all of equal size, and of `shards`."""
    stamps: Stamps
    """The stamps of the first rows of a tile."""
    shares: dict[str, float]
    """Network to the share of a tile's rows that it scores: 1 for all without stages."""
    scratch: Path
    sizes: Sizes

    @property
    def package(self) -> Path:
        return SHIPPED_DIR / self.name

    @property
    def config(self) -> ScanConfig:
        """The default settings of a scan, without maps."""
        return ScanConfig(candidate_threshold=read_card(self.package).candidate_threshold)

    def crew(self, config: ScanConfig, workers: int, *kinds: str) -> Crew:
        units = {kind: self.units[kind] for kind in kinds}
        return Crew(self.package, config, units, workers, self.scratch, self.sizes.scan_s)


def made_night(name: str, scratch: Path, sizes: Sizes) -> Night:
    """Write tiles and as many shards, each with the first rows of one of the tiles under different ids."""
    tiles, shards = scratch / f"tiles-{name}", scratch / f"shards-{name}"
    size = sizes.tiles[name]
    write_tiles(tiles, size.n, size.n_sources, n_pixels=size.n_pixels)
    units = find_units(str(tiles))
    geometry = GEOMETRIES[read_card(SHIPPED_DIR / name).geometry]
    stamps = stamps_of(units[0], geometry, ROWS_PER_SHARD)
    n = len(stamps["VIS"])
    for number in range(size.n):
        write_shard(shards, number, np.arange(n) + number * n, stamps, geometry)
    return Night(
        name, {"tiles": units, "shards": find_units(str(shards))}, stamps, scored_shares(name, units[0]), scratch, sizes
    )


def scored_shares(name: str, unit: Unit) -> dict[str, float]:
    """Return the share of a unit's rows that each network of an ensemble scores in a scan: 1 without stages.

    A candidate network is left out: it looks at the candidates alone.
    """
    package = SHIPPED_DIR / name
    networks = [network.name for network in read_card(package).lens_networks]
    if read_card(package).first is None:
        return dict.fromkeys(networks, 1.0)
    table = scanned(unit, open_scanner(package, ScanConfig()))
    return {of: 1 - table[network_column_name(of)].null_count / table.num_rows for of in networks}


def stamps_of(unit: Unit, geometry: Geometry, n: int) -> Stamps:
    """Return the first `n` stamps of a unit, band to `[row, y, x]`."""
    return next(open_unit(unit, geometry, n).batches).stamps


def write_shard(folder: Path, number: int, ids: np.ndarray, stamps: Stamps, geometry: Geometry) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"shard-{number:05d}.parquet").write_bytes(encode_shard(shard_table(ids, stamps, {}, geometry)))
