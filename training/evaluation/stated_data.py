"""Read what shards state of the data sets that they belong to: seed, preset and geometry of a simulation."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq

from scanner.sources.shards import DATA_SET_KEY
from scanner.vocabulary.geometry import GEOMETRIES, MER_PIXEL_ARCSEC, Grid
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError

_LEAST_SHARE_OF_SIDE = 0.98
"""66 pixels of 0.3 arcsec, of NISP's bands, show 1 % less than the 20 arcsec of a geometry."""
FOR_TRAINING = ("broad", "any_host")
"""Presets of populations that no sky has: they hold as many objects of a rare kind as of a frequent one."""


def check_stated(uri: str, footer: pq.FileMetaData) -> None:
    """Check that the other functions can read what a shard states.

    Raises:
        TrainingError: the description of the data set is no JSON object.
    """
    stated = (footer.metadata or {}).get(DATA_SET_KEY, b"{}")
    try:
        is_object = isinstance(json.loads(stated.decode()), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise TrainingError(f"{uri}: its metadata {DATA_SET_KEY.decode()} must be a JSON object, got {stated[:60]!r}")


def data_sets(footers: Iterable[pq.FileMetaData]) -> str:
    """Return `n=20000, seed=900001, geometry mer, preset euclid` for each data set, as far as its shards state them."""
    sizes: Counter[bytes] = Counter()
    for footer in footers:
        sizes[(footer.metadata or {}).get(DATA_SET_KEY, b"{}")] += footer.num_rows
    return "; ".join(", ".join([f"n={n}", *_stated(json.loads(spec))]) for spec, n in sizes.items())


def presets(footers: Iterable[pq.FileMetaData]) -> set[str]:
    """Return the presets that shards state; shards that state none add nothing."""
    return _values("preset", footers)


def simulations(footers: Iterable[pq.FileMetaData]) -> tuple[str, ...]:
    """Return the descriptions of simulated data sets that shards state, each once."""
    stated = ((footer.metadata or {}).get(DATA_SET_KEY) for footer in footers)
    return tuple(dict.fromkeys(spec.decode() for spec in stated if spec is not None))


def same_objects(stated: Iterable[str], known: Iterable[str]) -> str | None:
    """Return what of `stated` shares objects with a data set among `known`: those of one seed, whatever their other settings.

    Object i draws from the seed and i alone, so that many objects stay the same with other kinds, pixels, Einstein radii or
    numbers, and of the presets `broad` and `any_host`.
    """
    seeds = {_seed(spec) for spec in known}
    return next((_shown(spec) for spec in stated if _seed(spec) in seeds), None)


def _seed(spec: str) -> str:
    """Return the seed in a description, or the whole of a description without one."""
    return str(json.loads(spec).get("seed", spec))


def _shown(spec: str) -> str:
    return ", ".join(_stated(json.loads(spec)))


def other_pixels(footers: Iterable[pq.FileMetaData], geometry: str) -> str | None:
    """Return a geometry that shards state and whose stamps are no scan's for `geometry`: too small, or on other pixels.

    Pixels of MER mosaics suit every geometry: a scan cuts its stamps of such mosaics, and regrids them as it regrids shards.
    """
    wanted = GEOMETRIES[geometry].grids
    for name in sorted(_values("geometry", footers) & GEOMETRIES.keys()):
        grids = GEOMETRIES[name].grids
        if not all(_as_in_a_scan(grids[band], of) for band, of in wanted.items()):
            return name
    return None


def _as_in_a_scan(grid: Grid, wanted: Grid) -> bool:
    """Return whether stamps of a band cover the wanted grid, on its pixels or on those of MER mosaics."""
    scales = (wanted.pixel_scale_arcsec, MER_PIXEL_ARCSEC)
    return grid.pixel_scale_arcsec in scales and grid.side_arcsec >= wanted.side_arcsec


def smaller_stamps(footers: Iterable[pq.FileMetaData], geometry: str) -> str | None:
    """Return a geometry that shards state and whose stamps show less of the sky than those of `geometry`."""
    wanted = GEOMETRIES[geometry].grids
    for name in sorted(_values("geometry", footers) & GEOMETRIES.keys()):
        sides = {band: grid.side_arcsec for band, grid in GEOMETRIES[name].grids.items()}
        if any(sides[band] < _LEAST_SHARE_OF_SIDE * of.side_arcsec for band, of in wanted.items()):
            return name
    return None


def picked_by_hand(footers: Iterable[pq.FileMetaData]) -> str | None:
    """Return what shards state of objects that were picked by hand, so that they are no natural draws; None if nothing.

    The shares of non-lenses and of each kind of lens may be any.
    """
    for spec in _specs(footers):
        if spec.get("pairs"):
            return "each lens again without its arcs"
        if least := spec.get("min_einstein_radius_arcsec"):
            return f"lenses with an Einstein radius of at least {least} arcsec"
        if picked := [name for name in _drawn(spec.get("kinds")) if name not in KINDS]:
            return f"look-alikes chosen by name: {', '.join(picked)}"
    return None


def _drawn(kinds: Any) -> list[str]:
    """Return the kinds that a description gives a share; none if it is that of another program, in another form."""
    pairs = [entry for entry in kinds if isinstance(entry, list) and len(entry) == 2] if isinstance(kinds, list) else []
    return [str(name) for name, share in pairs if share]


def _values(key: str, footers: Iterable[pq.FileMetaData]) -> set[str]:
    return {str(spec[key]) for spec in _specs(footers) if key in spec}


def _specs(footers: Iterable[pq.FileMetaData]) -> list[dict[str, Any]]:
    """Return the descriptions that shards state, each once, in the order of the shards."""
    return [json.loads(spec) for spec in dict.fromkeys((of.metadata or {}).get(DATA_SET_KEY, b"{}") for of in footers)]


def _stated(spec: Mapping[str, Any]) -> Iterator[str]:
    texts = {"seed": "seed={}", "geometry": "geometry {}", "preset": "preset {}"}
    return (text.format(spec[key]) for key, text in texts.items() if key in spec)
