"""Make gold subjects: arcs painted into galaxies that a scan found to be no lenses, and such galaxies as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from infra.progress import Progress, no_progress
from infra.provenance import digest
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.plan import Plan
from scanner.catalogue.unitfile import unit_files
from scanner.catalogue.units import Unit
from scanner.catalogue.visible import read_columns
from scanner.explain.cutout_pixels import cutout_pixels
from scanner.explain.map_grid import PICTURE_PIXELS
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.review.vetting.gold import Gold, GoldAnswer, GoldRole
from scanner.scan.unit_objects import read_unit_objects
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Geometry, Image
from simulation.injection.arcs import Injected, InjectionError, inject_arcs
from simulation.injection.cutouts import draw_arcs_kind

MOST_UNITS = 3
"""Largest number of tiles that are read: each is read from its beginning."""
TRIES = 6
"""Number of galaxies that are read for each subject: half of them are too faint to be lenses."""
_CLEARLY_NO_LENS = 0.1
"""Largest `p_lens` of a host, in units of the smallest `p_lens` of a candidate."""
_OUTLINED_SIGMA = 1.0
"""Smallest brightness of the pixels of an arc that the page outlines, in sigma of the sky."""
_LEAST_OUTLINED_PIXELS = 5
"""Smallest area of an outline: fewer pixels than the PSF covers would not show as an arc in the picture."""
_CLEAR_SIGMA, _CLEAR_PIXELS, _CLEAR_ARCSEC = 3.0, 150, 0.6
"""Lenses of the training have arcs of this area, brighter than the host and than noise, and this Einstein radius at least."""
_MOST_UNCLEAR = 24
"""Largest number of hosts that the training passes over for clearer ones: about one lens in five is clear."""


@dataclass(frozen=True)
class _Host:
    unit_id: str
    object_id: int
    stamps: dict[str, Image]
    zero_points_ab_mag: dict[str, float]


def make_gold(
    root_uri: str, plan: Plan, geometry: Geometry, roles: Sequence[GoldRole], seed: int, progress: Progress = no_progress
) -> list[Gold]:
    """Return a subject for each role, as long as there are hosts; the same for the same plan, roles and seed.

    Lenses and non-lenses have hosts of the same kind: galaxies in which arcs of a simulated lens would be visible.

    Args:
        root_uri: The catalogue's root.
        plan: The plan whose units hold the hosts.
        geometry: Geometry of the ensemble, in which the candidates' pixels were cut out.
        roles: What each subject is for.
        seed: >= 0.
        progress: Called with the number of subjects.

    Raises:
        InjectionError: the pixels of the geometry are not those of MER images.
        InputChangedError: a file of the plan is gone or has changed.
        LensscanError: the catalogue or the images cannot be read.
        Rejection: the images are damaged.
    """
    if any(grid.pixel_scale_arcsec != MER_PIXEL_ARCSEC for grid in geometry.grids.values()):
        raise InjectionError(f"arcs are painted into pixels of {MER_PIXEL_ARCSEC} arcsec, not into those of {geometry.name}")
    rng = default_rng([seed, int(plan.plan_id[:12], 16)])
    made: list[Gold] = []
    spare: list[_Host] = []
    hosts = _hosts(root_uri, plan, geometry, len(roles), rng)
    # Hosts that the training passed over become subjects if no others are left.
    for host, is_spare in chain(((host, False) for host in hosts), ((host, True) for host in spare)):
        if len(made) == len(roles):
            break
        progress(len(made), len(roles))
        own = int(digest([seed, host.unit_id, host.object_id])[:12], 16)
        try:
            kind, draws = draw_arcs_kind(own)
            injected = inject_arcs(host.stamps, kind, draws, zero_points_ab_mag=host.zero_points_ab_mag)
        except InjectionError:
            continue
        arcs = _outlined(host, injected)
        if arcs.sum() < _LEAST_OUTLINED_PIXELS:
            continue
        if (
            roles[len(made)] == "training_lens"
            and not is_spare
            and len(spare) < _MOST_UNCLEAR
            and not _is_clear(host, injected)
        ):
            spare.append(host)
        else:
            made.append(_subject(host, injected, arcs, roles[len(made)], own, geometry))
    return made


def bytes_to_read(plan: Plan, seed: int) -> int:
    """Return the size of the files that `make_gold` may read."""
    return sum(
        file.size for unit in _units(plan, default_rng([seed, int(plan.plan_id[:12], 16)])) for file in unit.files.values()
    )


def _units(plan: Plan, rng: Generator) -> list[Unit]:
    return [plan.units[i] for i in rng.permutation(len(plan.units))[:MOST_UNITS]]


def _hosts(root_uri: str, plan: Plan, geometry: Geometry, n: int, rng: Generator) -> Iterator[_Host]:
    """Yield galaxies that are no lenses, at random, from a unit after the other."""
    files = unit_files(root_uri, plan.plan_id)
    units = [unit for unit in _units(plan, rng) if unit.unit_id in files]
    for unit in units:
        ids = _clearly_no_lenses(files[unit.unit_id].uri, _CLEARLY_NO_LENS * plan.config.candidate_threshold)
        chosen = rng.permutation(ids)[: TRIES * n]
        hosts = list(_read(unit, plan, geometry, chosen))
        for i in rng.permutation(len(hosts)):
            yield hosts[i]


def _clearly_no_lenses(uri: str, most: float) -> NDArray[np.int64]:
    """Return the ids of a unit's rows with a low score, in ascending order; raises as `read_columns`."""
    rows = read_columns(uri, {"object_id", "status", "p_lens"}.__contains__)
    is_low = pc.and_(pc.equal(rows["status"], SCORED), pc.less_equal(rows["p_lens"], pa.scalar(most, pa.float32())))
    return np.sort(rows.filter(is_low)["object_id"].to_numpy())


def _read(unit: Unit, plan: Plan, geometry: Geometry, ids: NDArray[np.int64]) -> Iterator[_Host]:
    for found in read_unit_objects(unit, ids, geometry, plan.described):
        if isinstance(found.row, Cutout):
            yield _Host(unit.unit_id, found.object_id, dict(found.row.stamps), found.zero_points_ab_mag)


def _outlined(host: _Host, injected: Injected) -> NDArray[np.bool_]:
    """Return `[y, x]` of the picture, true where the arcs are bright enough in VIS."""
    low = (host.stamps["VIS"].shape[0] - PICTURE_PIXELS) // 2
    middle = slice(low, low + PICTURE_PIXELS)
    return injected.arcs["VIS"][middle, middle] > _OUTLINED_SIGMA * _sigma(host)


def _is_clear(host: _Host, injected: Injected) -> bool:
    """Return whether nobody doubts the lens: beginners learn from it."""
    radius_arcsec = injected.truth.get("einstein_radius1_arcsec") or 0.0
    light = np.maximum(_CLEAR_SIGMA * _sigma(host), host.stamps["VIS"])
    return bool((injected.arcs["VIS"] > light).sum() >= _CLEAR_PIXELS) and float(radius_arcsec) >= _CLEAR_ARCSEC


def _sigma(host: _Host) -> float:
    return float(sky_level_and_sigma(host.stamps["VIS"][None])[1][0])


def _subject(host: _Host, injected: Injected, arcs: NDArray[np.bool_], role: GoldRole, number: int, geometry: Geometry) -> Gold:
    is_lens = role.endswith("_lens")
    stamps = injected.stamps if is_lens else host.stamps
    pixels, unit = cutout_pixels({band: image[None] for band, image in stamps.items()}, geometry)
    radius = injected.truth.get("einstein_radius1_arcsec")
    answer = GoldAnswer(
        name=f"gold:{2 * number + is_lens}",
        role=role,
        kind=str(injected.truth["kind"]) if is_lens else "",
        einstein_radius_arcsec=float(radius) if is_lens and radius is not None else None,
        host=f"{host.unit_id} {host.object_id}",
        step=float(np.float32(unit[0])),
    )
    return Gold(answer, pixels[0], arcs & is_lens)
