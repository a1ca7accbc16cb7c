"""Simulate a small piece of a survey: galaxies and lenses in one mosaic per band, in the layout of Euclid MER."""

import json
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from pydantic import Field, model_validator

from infra.frozen import Frozen
from infra.store.storage import CreateOutcome, create_if_absent, exists, join, read_bytes
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.choices import PopulationPreset
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Image
from simulation.optics.observation import draw_conditions
from simulation.population.field import draw_field_galaxy, field_mag
from simulation.products.mer_files import (
    CATALOGUE_PRODUCT,
    MOSAICS,
    Pointing,
    catalogue_bytes,
    file_name,
    mosaic_bytes,
    object_ids,
    read_truth_spec,
    truth_bytes,
)
from simulation.products.mosaic import SimulatedMosaic
from simulation.products.render import SimulationError, render, visible_system
from simulation.products.truth import truth_row
from simulation.systems import ARCLESS_LENS, Kind, Light, System

MARGIN_PIXELS = 125
"""Smallest distance of objects from the edges, so that their 20 arcsec cutouts are whole."""
SEPARATION_PIXELS = 40
"""Smallest distance between two objects of the catalogue, which keeps the arcs of lenses clear."""
_BRIGHT_SHARE = 0.25
"""Share of the plain galaxies that are as bright as lens galaxies. The others follow the counts of the field."""
_FIELD_VIS_MAGS = (19.0, 24.5)
_BACKGROUND_VIS_MAGS = (24.5, 27.0)
"""Range of galaxies between those of the catalogue, which does not list them."""
_MAX_DRAWS = 5000
_RA_STEP_DEG = 0.6
"""Difference in right ascension of tiles with consecutive numbers."""
TRUTH_FILE = "truth.parquet"


class TileSpec(Frozen):
    """Specification of a tile. Its catalogue lists all `n_galaxies + n_single + n_compound + n_arcless` objects."""

    tile_id: str = Field(pattern=r"^\d{9}$")
    n_galaxies: int = Field(ge=0)
    """Number of plain galaxies; the sky's density is about 30 per square arcminute."""
    n_single: int = Field(default=0, ge=0)
    n_compound: int = Field(default=0, ge=0)
    """Number of compound lenses, half of them arcs, half double rings."""
    side_pixels: int = Field(default=1800, ge=300, le=19200)
    """Side of the square mosaics, at most `largest_side_pixels` of the tile's declination."""
    seed: int = Field(default=0, ge=0)
    n_arcless: int = Field(default=0, ge=0, exclude_if=lambda value: value == 0)
    """Number of galaxies like those of the lenses that are no lenses, as nearly all are on the sky."""
    preset: PopulationPreset = Field(default="euclid", exclude_if=lambda value: value == "euclid")
    """Population of the lenses and of galaxies like theirs; it and `n_arcless` are not stored if they have their defaults, so
    that the bytes of tiles stay as they were."""

    @property
    def pointing(self) -> Pointing:
        """Pointing of the tile: tiles with consecutive numbers are neighbours that do not touch."""
        row, column = divmod(int(self.tile_id), 600)
        return Pointing(_RA_STEP_DEG * column, -60.0 + 0.06 * (row % 2000), self.side_pixels)

    @model_validator(mode="after")
    def _keeps_apart(self) -> Self:
        dec_deg = self.pointing.dec_deg
        if self.side_pixels > (largest := largest_side_pixels(dec_deg)):
            raise ValueError(
                f"side_pixels must be <= {largest} at the declination of tile {self.tile_id}, {dec_deg:.2f} degrees, "
                f"so that tiles with consecutive numbers do not touch, got {self.side_pixels}"
            )
        return self


def largest_side_pixels(dec_deg: float) -> int:
    """Return the largest side of tiles about this declination that do not touch: 10751 at 60 degrees.

    A tile is widest in right ascension at its corners nearest the pole.
    """
    half_step, dec = np.tan(np.radians(_RA_STEP_DEG / 2)), np.radians(abs(dec_deg))
    half_side_deg = np.degrees(half_step * np.cos(dec) / (1 + half_step * np.sin(dec)))
    return int(2 * half_side_deg * 3600 / MER_PIXEL_ARCSEC)


@dataclass(frozen=True)
class _Object:
    """A rendered object in the mosaic; `x` and `y` are the galaxy's centre in pixels from 0."""

    x: float
    y: float
    truth: dict[str, Any]
    flux_ujy: dict[str, float]
    """Total flux by band."""


def simulate_tile(spec: TileSpec, out_uri: str) -> list[str]:
    """Write a tile's mosaics, catalogue and truth into the folder `out_uri/<tile_id>`; the bytes depend on the spec alone.

    The truth is written last: if it exists, the tile is complete and is kept.

    Returns:
        URIs of all files.

    Raises:
        SimulationError: objects do not fit, a lens could not be made, or the folder holds another tile.
    """
    folder = join(out_uri, spec.tile_id)
    described = json.dumps(spec.model_dump(), sort_keys=True)
    names = [file_name(product, spec.tile_id, described) for product in (*MOSAICS.values(), CATALOGUE_PRODUCT)]
    uris = [join(folder, name) for name in (*names, TRUTH_FILE)]
    if exists(uris[-1]):
        if read_truth_spec(read_bytes(uris[-1])) != described:
            raise SimulationError(f"{uris[-1]} belongs to a tile with another spec than {described}")
        return uris
    mosaics, objects = _paint(spec)
    ids = object_ids(spec.pointing, [o.x for o in objects], [o.y for o in objects])
    if len(set(ids.tolist())) != len(ids):
        raise SimulationError(f"tile {spec.tile_id}: two objects have the same position")
    contents = [mosaic_bytes(mosaics[band], band, spec.pointing) for band in MOSAICS]
    fluxes = {band: [o.flux_ujy[band] for o in objects] for band in MOSAICS}
    contents.append(catalogue_bytes(ids, spec.pointing, [o.x for o in objects], [o.y for o in objects], fluxes))
    contents.append(truth_bytes(ids, [o.truth for o in objects], described))
    for uri, content in zip(uris, contents, strict=True):
        if create_if_absent(uri, content, "simulate-tile") is CreateOutcome.EXISTS:
            raise SimulationError(f"{uri} exists with other content")
    return uris


def _paint(spec: TileSpec) -> tuple[dict[str, Image], list[_Object]]:
    """Paint a tile: return noisy mosaics and the objects in them: lenses, galaxies like theirs, then plain galaxies."""
    rng = default_rng(SeedSequence(spec.seed, spawn_key=(int(spec.tile_id),)))
    kinds: list[Kind] = ["single"] * spec.n_single
    kinds += ["compound_arc" if i % 2 == 0 else "double_ring" for i in range(spec.n_compound)]
    corners = _positions(spec, rng)
    mosaic = SimulatedMosaic(spec.side_pixels, draw_conditions(rng, float(rng.uniform(0, 360))))
    objects: list[_Object] = []
    for index, (x, y) in enumerate(corners):
        if index < len(kinds):
            painted = _paint_lens(mosaic, kinds[index], spec.preset, x, y, rng)
        elif index < len(kinds) + spec.n_arcless:
            painted = _paint_system(mosaic, visible_system(ARCLESS_LENS, mosaic.optics, rng, spec.preset)[0], x, y)
        else:
            painted = _paint_galaxy(mosaic, x, y, rng)
        objects.append(replace(painted, truth={**painted.truth, "index": index}))
    mosaic.paint_field(_BACKGROUND_VIS_MAGS, rng)
    return mosaic.observed(rng), objects


def _positions(spec: TileSpec, rng: Generator) -> list[tuple[int, int]]:
    """Draw `(x, y)` pixels of all objects by one rule, so that positions do not reveal which ones are lenses."""
    placed: list[tuple[int, int]] = []
    for index in range(spec.n_single + spec.n_compound + spec.n_arcless + spec.n_galaxies):
        for _ in range(_MAX_DRAWS):
            x, y = (int(p) for p in rng.integers(MARGIN_PIXELS, spec.side_pixels - MARGIN_PIXELS, 2))
            apart = np.hypot(*(np.array(placed).T - [[x], [y]])) if placed else np.array([])
            if np.all(apart >= SEPARATION_PIXELS):
                placed.append((x, y))
                break
        else:
            raise SimulationError(f"tile {spec.tile_id}: no room for object {index} in {spec.side_pixels} pixels a side")
    return placed


def _paint_lens(mosaic: SimulatedMosaic, kind: Kind, preset: PopulationPreset, x: int, y: int, rng: Generator) -> _Object:
    """Paint a lens without neighbours: the tile itself provides them."""
    system, lensed = visible_system(kind, mosaic.optics, rng, preset)
    scene = render(system, mosaic.optics, lensed)
    for band, stamp in scene.clean.items():
        mosaic.add(band, stamp, x, y)
    flux = {band: EUCLID[band].flux_ujy(float(scene.clean[band].sum())) for band in MOSAICS}
    return _located(system.galaxy[0], x, y, dict(scene.truth), flux)


def _paint_galaxy(mosaic: SimulatedMosaic, x: int, y: int, rng: Generator) -> _Object:
    if rng.random() < _BRIGHT_SHARE:
        system, _ = visible_system("nonlens", mosaic.optics, rng)
    else:
        dx, dy = (rng.uniform(-0.5, 0.5, 2) * MER_PIXEL_ARCSEC).tolist()
        light = draw_field_galaxy(rng, dx, dy, field_mag(rng, _FIELD_VIS_MAGS))
        angle = mosaic.optics.conditions.detector_angle_deg
        system = System("nonlens", "faint", float(rng.uniform(0.1, 1.5)), None, None, (), light, (), (), (), None, angle)
    return _paint_system(mosaic, system, x, y)


def _paint_system(mosaic: SimulatedMosaic, system: System, x: int, y: int) -> _Object:
    """Paint a system without arcs, with the light of its cluster if it has one, as a lens is painted."""
    lights = (*system.galaxy, *system.neighbours)
    mosaic.paint(lights, x, y)
    flux = {band: sum(EUCLID[band].flux_ujy(light.sed.flux_adu_per_s(band)) for light in lights) for band in MOSAICS}
    return _located(system.galaxy[0], x, y, truth_row(system, None), flux)


def _located(light: Light, x: int, y: int, truth: dict[str, Any], flux_ujy: dict[str, float]) -> _Object:
    """Locate an object: stamps have an even number of pixels, so their centre is half a pixel above and right of `(x, y)`."""
    centre_x = x + 0.5 + light.x_arcsec / MER_PIXEL_ARCSEC
    centre_y = y + 0.5 + light.y_arcsec / MER_PIXEL_ARCSEC
    return _Object(centre_x, centre_y, truth, flux_ujy)
