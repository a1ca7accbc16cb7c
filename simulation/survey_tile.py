"""A small piece of a survey: galaxies and lenses painted into one mosaic per band, written as Euclid MER does."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from pydantic import BaseModel, ConfigDict, Field

from infra.storage import CreateOutcome, create_if_absent, exists, join, read_bytes
from scanner.pixels.bands import EUCLID
from scanner.pixels.geometry import MER, Image
from simulation.galaxies import FineGrid, Light, draw, extent_arcsec
from simulation.mer_files import (
    CATALOGUE,
    MOSAICS,
    Pointing,
    catalogue_bytes,
    file_name,
    mosaic_bytes,
    object_ids,
    read_truth_spec,
    truth_bytes,
)
from simulation.observation import Optics, add_noise
from simulation.population import Kind, draw_field_galaxy, draw_galaxy, field_mag
from simulation.render import SimulationError, total_mag, visible_scene

PIXEL_SCALE_ARCSEC = 0.1
MARGIN_PIXELS = 125
"""Objects keep this from the edges, so that their 20 arcsec cutouts are whole."""
SEPARATION_PIXELS = 40
"""Between any two objects of the catalogue: leaves the arcs of lenses free."""
_BRIGHT_SHARE = 0.25
"""Of the plain galaxies: as bright as lens galaxies. The rest follow the counts of the field."""
_FIELD_VIS_MAGS = (19.0, 25.0)
_STAMP_PIXELS = (40, 60, 100, 150, 200)
"""Few sizes, so that transforms of the PSF are shared."""
_TAPER_FROM = 0.7
"""Fraction of a stamp's half side from which light fades out."""
_MAX_DRAWS = 5000
TRUTH_FILE = "truth.parquet"


class TileSpec(BaseModel):
    """What a tile holds. Its catalogue lists all `n_galaxies + n_single + n_compound` objects."""

    model_config = ConfigDict(frozen=True)

    tile_id: str = Field(pattern=r"^\d{9}$")
    n_galaxies: int = Field(ge=0)
    """Plain galaxies; about 30 per square arcminute is the sky's density."""
    n_single: int = Field(default=0, ge=0)
    n_compound: int = Field(default=0, ge=0)
    """Half of them arcs, half double rings."""
    side_pixels: int = Field(default=1800, ge=300, le=19200)
    seed: int = Field(default=0, ge=0)

    @property
    def pointing(self) -> Pointing:
        """Where the tile lies: tiles of consecutive numbers are neighbours that do not touch."""
        row, column = divmod(int(self.tile_id), 600)
        return Pointing(0.6 * column, -60.0 + 0.06 * (row % 2000), self.side_pixels)


@dataclass(frozen=True)
class _Object:
    """A rendered object in the mosaic; `x` and `y` are the galaxy's centre in pixels from 0."""

    x: float
    y: float
    truth: dict[str, Any]
    flux_vis_ujy: float


def simulate_tile(spec: TileSpec, out_uri: str) -> list[str]:
    """Write a tile's mosaics, catalogue and truth into the folder `out_uri/<tile_id>`; the bytes depend on the spec alone.

    The truth comes last: where it lies the tile is complete, and is kept.

    Returns:
        URIs of all files.

    Raises:
        SimulationError: objects do not fit, a lens could not be made, or the folder holds another tile.
    """
    folder = join(out_uri, spec.tile_id)
    described = json.dumps(spec.model_dump(), sort_keys=True)
    names = [file_name(product, spec.tile_id, described) for product in (*MOSAICS.values(), CATALOGUE)]
    uris = [join(folder, name) for name in (*names, TRUTH_FILE)]
    if exists(uris[-1]):
        if read_truth_spec(read_bytes(uris[-1])) != described:
            raise SimulationError(f"{uris[-1]} belongs to a tile with another spec than {described}")
        return uris
    mosaics, objects = _paint(spec)
    ids = object_ids(spec.pointing, [o.x for o in objects], [o.y for o in objects])
    if len(set(ids.tolist())) != len(ids):
        raise SimulationError(f"tile {spec.tile_id}: two objects have one position")
    contents = [mosaic_bytes(mosaics[band], band, spec.pointing) for band in MOSAICS]
    contents.append(
        catalogue_bytes(ids, spec.pointing, [o.x for o in objects], [o.y for o in objects], [o.flux_vis_ujy for o in objects])
    )
    contents.append(truth_bytes(ids, [o.truth for o in objects], described))
    for uri, content in zip(uris, contents, strict=True):
        if create_if_absent(uri, content, "simulate-tile") is CreateOutcome.EXISTS:
            raise SimulationError(f"{uri} exists with other content")
    return uris


def _paint(spec: TileSpec) -> tuple[dict[str, Image], list[_Object]]:
    """Noisy mosaics and the objects in them, lenses first."""
    rng = default_rng(SeedSequence(spec.seed, spawn_key=(int(spec.tile_id),)))
    kinds: list[Kind] = ["single"] * spec.n_single
    kinds += ["compound_arc" if i % 2 == 0 else "double_ring" for i in range(spec.n_compound)]
    corners = _positions(spec, len(kinds), rng)
    optics = Optics(MER, float(rng.uniform(0, 360)))
    mosaics = {band: np.zeros((spec.side_pixels, spec.side_pixels), np.float32) for band in EUCLID}
    objects: list[_Object] = []
    for index, (x, y) in enumerate(corners):
        painted = (
            _paint_lens(mosaics, kinds[index], x, y, optics, rng)
            if index < len(kinds)
            else _paint_galaxy(mosaics, x, y, optics, rng)
        )
        objects.append(replace(painted, truth={**painted.truth, "index": index}))
    return add_noise(mosaics, MER, rng), objects


def _positions(spec: TileSpec, n_lenses: int, rng: Generator) -> list[tuple[int, int]]:
    """`(x, y)` pixels of all objects, lenses first: one rule for every kind, else places would tell lenses from galaxies."""
    placed: list[tuple[int, int]] = []
    for index in range(n_lenses + spec.n_galaxies):
        for _ in range(_MAX_DRAWS):
            x, y = (int(p) for p in rng.integers(MARGIN_PIXELS, spec.side_pixels - MARGIN_PIXELS, 2))
            apart = np.hypot(*(np.array(placed).T - [[x], [y]])) if placed else np.array([])
            if np.all(apart >= SEPARATION_PIXELS):
                placed.append((x, y))
                break
        else:
            raise SimulationError(f"tile {spec.tile_id}: no room for object {index} in {spec.side_pixels} pixels a side")
    return placed


def _paint_lens(mosaics: dict[str, Image], kind: Kind, x: int, y: int, optics: Optics, rng: Generator) -> _Object:
    """Neighbours come from the tile itself, so the lens brings none."""
    system, scene = visible_scene(kind, MER.name, rng, optics.detector_angle_deg, with_neighbours=False)
    clean = scene.clean
    for band, stamp in clean.items():
        _add(mosaics[band], stamp, x, y)
    flux = EUCLID["VIS"].flux_ujy(float(clean["VIS"].sum()))
    return _located(system.galaxy[0], x, y, {"kind": kind, **scene.truth}, flux)


def _paint_galaxy(mosaics: dict[str, Image], x: int, y: int, optics: Optics, rng: Generator) -> _Object:
    if rng.random() < _BRIGHT_SHARE:
        z, lights = draw_galaxy(rng)
    else:
        dx, dy = rng.uniform(-0.5, 0.5, 2) * PIXEL_SCALE_ARCSEC
        z = float(rng.uniform(0.1, 1.5))
        lights = draw_field_galaxy(rng, float(dx), float(dy), field_mag(rng, _FIELD_VIS_MAGS))
    needed = 2 * max(extent_arcsec(light) for light in lights) / PIXEL_SCALE_ARCSEC
    n_pixels = next((n for n in _STAMP_PIXELS if n >= needed), _STAMP_PIXELS[-1])
    for band, fine in draw(lights, FineGrid(2 * n_pixels)).items():
        _add(mosaics[band], optics.observe(band, fine), x, y)
    mag = total_mag(lights, "VIS")
    truth = {"kind": "nonlens", "z_lens": z, "lens_mag_vis": mag, "detector_angle_deg": optics.detector_angle_deg}
    flux = sum(EUCLID["VIS"].flux_ujy(light.sed.flux_adu_per_s("VIS")) for light in lights)
    return _located(lights[0], x, y, truth, flux)


def _located(light: Light, x: int, y: int, truth: dict[str, Any], flux_vis_ujy: float) -> _Object:
    """Stamps have an even number of pixels: their centre is half a pixel above and to the right of pixel `(x, y)`."""
    centre_x = x + 0.5 + light.x_arcsec / PIXEL_SCALE_ARCSEC
    centre_y = y + 0.5 + light.y_arcsec / PIXEL_SCALE_ARCSEC
    return _Object(centre_x, centre_y, truth, flux_vis_ujy)


def _add(mosaic: Image, stamp: Image, x: int, y: int) -> None:
    """Add a stamp whose two central pixels are `x`, `x + 1` (and `y`, `y + 1`); what hangs over the edge is lost."""
    n, half = len(mosaic), len(stamp) // 2
    stamp = stamp * _taper(len(stamp))
    left, bottom = x - half + 1, y - half + 1
    rows = slice(max(bottom, 0), min(bottom + len(stamp), n))
    columns = slice(max(left, 0), min(left + len(stamp), n))
    mosaic[rows, columns] += stamp[rows.start - bottom : rows.stop - bottom, columns.start - left : columns.stop - left]


@lru_cache(maxsize=len(_STAMP_PIXELS))
def _taper(n_pixels: int) -> Image:
    """1 in the middle, falling smoothly to 0 over the outer part: large galaxies do not end in a visible edge."""
    distance = (np.abs(np.arange(n_pixels) - (n_pixels - 1) / 2) + 0.5) / (n_pixels / 2)
    ramp = 0.5 * (1 + np.cos(np.pi * np.clip((distance - _TAPER_FROM) / (1 - _TAPER_FROM), 0, 1)))
    return np.asarray(np.outer(ramp, ramp), np.float32)
