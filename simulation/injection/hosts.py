"""Galaxies of a unit that can host injected lenses, with the pixels that a scan scores.

Hosts look like lens galaxies: the condition `lens-hosts` on the tile's catalogue chooses them, where the catalogue has its
columns. In any case they are no candidates, as bright as that condition asks, and whole in all bands; `looks.py` then compares
them with the galaxy of each lens.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.plan import Plan
from scanner.catalogue.units import Ids, Unit
from scanner.catalogue.visible import read_columns
from scanner.explain.photometry import photometry
from scanner.scan.unit_objects import UnitObject, read_unit_objects
from scanner.sources.conditions import Condition
from scanner.sources.cutouts import Cutout
from scanner.sources.tiles import CATALOGUE, LacksColumnsError, read_tile_catalogue
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.source_presets import SOURCE_PRESETS
from simulation.injection.arcs import Host, InjectionError
from simulation.injection.looks import Look, host_look

PRESET = "lens-hosts"
FAINTEST_VIS_MAG = 22.5
"""Faintest host, the limit of `lens-hosts`."""
_READ_OF_CHOSEN, _READ_OF_ALL = 3, 12
"""Number of galaxies that are read for each host to keep: of those that the condition chose, or of all sources."""


@dataclass(frozen=True)
class MeasuredHost:
    """A galaxy that can be a host."""

    object_id: int
    host: Host
    look: Look
    vis_minus_h: float
    sky_sigma_vis_ujy: float
    zero_points_ab_mag: dict[str, float]


@dataclass(frozen=True)
class Hosts:
    """Hosts of a unit, in random order, and how they were chosen."""

    found: list[MeasuredHost]
    how: str


@dataclass(order=True)
class _Ranked:
    """An entry of the heap: the host of the highest rank is dropped first."""

    minus_rank: int
    host: MeasuredHost = field(compare=False)


def find_hosts(unit: Unit, unit_uri: str, plan: Plan, geometry: Geometry, threshold: float, most: int, rng: Generator) -> Hosts:
    """Return up to `most` hosts of a unit, at random; the same for the same generator.

    Args:
        unit: The unit.
        unit_uri: Its committed file.
        plan: The plan that it belongs to.
        geometry: Geometry of the ensemble.
        threshold: Smallest `p_lens` of objects that are candidates, which are no hosts.
        most: Largest number of hosts, >= 1; memory holds their stamps.
        rng: Source of randomness.

    Raises:
        InputChangedError: a file is missing or changed since the plan was made.
        LensscanError: the unit cannot be read.
        Rejection: the unit is damaged.
    """
    ids = _no_candidates(unit_uri, threshold)
    chosen, how = _lens_like(unit, plan)
    if chosen is not None:
        ids = ids[np.isin(ids, chosen)]
    read = rng.permutation(ids)[: most * (_READ_OF_ALL if chosen is None else _READ_OF_CHOSEN)]
    rank = {object_id: i for i, object_id in enumerate(read.tolist())}
    kept: list[_Ranked] = []
    for found in _measured(read_unit_objects(unit, read, geometry, plan.described), geometry):
        heapq.heappush(kept, _Ranked(-rank[found.object_id], found))
        if len(kept) > most:
            heapq.heappop(kept)
    return Hosts([entry.host for entry in sorted(kept, reverse=True)], how)


def _no_candidates(uri: str, threshold: float) -> Ids:
    """Return the sorted ids of the scored rows of a unit file that are no candidates; raises as `read_columns`."""
    rows = read_columns(uri, {"object_id", "status", "p_lens"}.__contains__)
    is_below = pc.less(pc.cast(rows["p_lens"], pa.float64()), threshold)
    return np.sort(rows.filter(pc.and_(pc.equal(rows["status"], SCORED), is_below))["object_id"].to_numpy())


def _lens_like(unit: Unit, plan: Plan) -> tuple[Ids | None, str]:
    """Return the ids of the sources that meet `lens-hosts`, None if that cannot be told, and how hosts are chosen."""
    if unit.kind != "tile":
        return None, "by magnitude, colours and shape on their stamps (shards have no catalogue)"
    condition = Condition(SOURCE_PRESETS[PRESET].condition)
    try:
        catalogue = read_tile_catalogue(unit.files[CATALOGUE].uri, plan.described, condition.columns)
    except LacksColumnsError as error:
        missing = ", ".join(error.missing)
        return (
            None,
            f"by magnitude, colours and shape on their stamps (the catalogue lacks {missing} for {PRESET})",
        )
    how = f"by the condition {PRESET} on the catalogue, then by magnitude, colours and shape on their stamps"
    return np.asarray(catalogue.object_ids, np.int64)[condition.mask(catalogue.others)], how


def _measured(objects: Iterator[UnitObject], geometry: Geometry) -> Iterator[MeasuredHost]:
    for found in objects:
        # Arcs would be visible in sky that pads a stamp, where a scan sees none.
        if not isinstance(found.row, Cutout) or found.row.notes:
            continue
        zero_points = {band: EUCLID[band].zero_point_ab_mag for band in EUCLID} | found.zero_points_ab_mag
        try:
            host = Host.of(found.row.stamps, zero_points)
        except InjectionError:
            continue
        if host.mag_vis > FAINTEST_VIS_MAG:
            continue
        measured = photometry(_batch(found.row.stamps), geometry, zero_points)
        vis_minus_h, y_minus_h, sigma_ujy = (
            float(measured[name][0]) for name in ("lens_vis_minus_h", "lens_y_minus_h", "sky_sigma_vis_ujy")
        )
        look = host_look(host, vis_minus_h, y_minus_h)
        if np.all(np.isfinite(look)):
            yield MeasuredHost(found.object_id, host, look, vis_minus_h, sigma_ujy, zero_points)


def _batch(stamps: Stamps) -> dict[str, NDArray[np.float32]]:
    return {band: image[None] for band, image in stamps.items()}
