"""`lensscan explain`: draw a figure with the networks' attribution maps of some objects."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.terminal import Report
from infra.errors import LensscanError
from infra.settings import Settings
from infra.store.files import check_replaceable, replace_whole
from infra.store.storage import absolute
from scanner.catalogue.planned_ids import planned_ids
from scanner.catalogue.units import Unit, find_units
from scanner.explain.explanation import NetworkMaps, chosen_networks, explain
from scanner.explain.figures import Shown, explanation_figure, figure_bytes
from scanner.networks.locate import find_package
from scanner.networks.package import load_package
from scanner.scan.unit import open_unit
from scanner.sources.cutouts import Cutout
from scanner.sources.manifests import manifest_cutouts, read_manifest
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.rejections import Rejection

MOST_OBJECTS = 24
"""Largest number of objects in one figure."""
_MANIFEST_SUFFIXES = (".csv", ".parquet")
_KINDS = (".png", ".pdf")

Found = tuple[str, Cutout | Rejection]


class ExplainError(LensscanError):
    """Objects are missing or unusable, or the figure cannot be written."""


def explain_to_file(
    images: str, out: Path, objects: Sequence[str], ensemble: str | None, networks: Sequence[str] | None, report: Report
) -> dict[str, Any]:
    """Draw a figure of some objects of a manifest, of tiles or of shards; an existing file is replaced atomically.

    Raises:
        ExplainError: objects are missing or too many, no object is usable, or the file cannot be written.
        LensscanError: the images or the ensemble cannot be read, or the ensemble has no such network.
    """
    objects = list(dict.fromkeys(objects))
    check_out(out)
    if len(objects) > MOST_OBJECTS:
        raise ExplainError(f"a figure shows at most {MOST_OBJECTS} objects, got {len(objects)}")
    settings = Settings.read()
    folder = find_package(ensemble or settings.ensemble, settings.ensembles_dir)
    package = load_package(folder)
    names = chosen_networks(package.card, networks)
    ids, stamps, rejected = read_objects(images, objects, package.geometry, MOST_OBJECTS)
    maps = explain(folder, package.card, stamps, names, report)
    p_lens = package.score(stamps).p_lens
    shown = Shown(ids, stamps, package.geometry, package.name, p_lens)
    write_whole(out, figure_bytes(explanation_figure(shown, maps), kind_of(out)))
    said = {name: _said(i, float(p_lens[i]), maps) for i, name in enumerate(ids)}
    return {"ensemble": package.name, "figure": str(out), "objects": said, "rejected": rejected}


def check_out(out: Path) -> None:
    """Check that a figure can be written to `out`, before the long work begins.

    Raises:
        ExplainError: `out` is not a PNG or PDF file, or cannot be written.
    """
    if out.suffix.lower() not in _KINDS or out.is_dir():
        raise ExplainError(f"--out must be a file that ends in {' or '.join(_KINDS)}, got {out}")
    try:
        check_replaceable(out)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error


def kind_of(out: Path) -> str:
    """Return the file type of `out`: `png` or `pdf`."""
    return out.suffix.lower()[1:]


def write_whole(out: Path, content: bytes) -> None:
    """Write a file, or replace it whole.

    Raises:
        ExplainError: the file cannot be written.
    """
    try:
        with replace_whole(out) as part:
            part.write_bytes(content)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error


def _said(i: int, p_lens: float, maps: Sequence[NetworkMaps]) -> dict[str, Any]:
    """Return the numbers of one object: each network's `p_lens`, and the distance of its strongest evidence from the middle."""
    networks = {
        one.network: {
            "p_lens": float(one.p_lens[i]),
            "strongest_occlusion_arcsec": from_middle(
                -one.occlusion[i], one.occlusion_side_arcsec, one, one.occlusion_start_arcsec
            ),
            "strongest_guided_arcsec": from_middle(one.guided[i], one.side_arcsec, one),
        }
        for one in maps
    }
    return {"p_lens": p_lens, "networks": networks}


def from_middle(
    shown: NDArray[np.floating], covered_arcsec: float, maps: NetworkMaps, start_arcsec: float = 0.0
) -> float | None:
    """Return the distance in arcsec of a map's highest value from the middle of the stamp; None if no value supports a lens.

    The cells `[y, x]` fill a square of side `covered_arcsec` that begins `start_arcsec` from the stamp's edge.
    """
    if not shown.max() > 0:
        return None
    place = np.add(np.unravel_index(shown.argmax(), shown.shape), 0.5)
    return float(np.hypot(*(start_arcsec + place * covered_arcsec / len(shown) - maps.side_arcsec / 2)))


def read_objects(
    images: str, objects: Sequence[str], geometry: Geometry, most: int
) -> tuple[list[str], Stamps, dict[str, str]]:
    """Return ids and stamps `[object, y, x]` of the usable objects, and the reasons of the others by id.

    A manifest may yield at most `most` objects.

    Raises:
        ExplainError: objects are missing or too many, or no object is usable.
        LensscanError: the images cannot be read.
    """
    found = _found(absolute(images), objects, geometry, most)
    cutouts = {name: row for name, row in found.items() if isinstance(row, Cutout)}
    if not cutouts:
        reasons = "; ".join(f"{name}: {row}" for name, row in found.items()) or "there are no objects"
        raise ExplainError(f"{images}: no usable object: {reasons}")
    stamps = {band: np.stack([cutout.stamps[band] for cutout in cutouts.values()]) for band in geometry.grids}
    return list(cutouts), stamps, {name: str(row) for name, row in found.items() if isinstance(row, Rejection)}


def _found(images: str, objects: Sequence[str], geometry: Geometry, most: int) -> dict[str, Cutout | Rejection]:
    """Return each object by its id, in the order of `objects`; all objects of a manifest if `objects` is empty."""
    found: dict[str, Cutout | Rejection] = {}
    if images.lower().endswith(_MANIFEST_SUFFIXES):
        rows = _of_manifest(images, objects, geometry, most)
    elif objects:
        rows = _of_units(images, objects, geometry)
    else:
        raise ExplainError("name the objects of tiles or shards with --objects")
    for name, row in rows:
        if name in found:
            raise ExplainError(f"{images}: has several objects {name}")
        found[name] = row
    if missing := [name for name in objects if name not in found]:
        raise ExplainError(f"{images}: has no object {', '.join(missing)}")
    return {name: found[name] for name in objects or found}


def _of_manifest(uri: str, objects: Sequence[str], geometry: Geometry, most: int) -> Iterator[Found]:
    manifest = read_manifest(uri)
    names = [str(name) for name in manifest.object_ids.to_pylist()]
    chosen = [i for i, name in enumerate(names) if not objects or name in objects]
    if len(chosen) > most:
        raise ExplainError(f"{uri}: has {len(chosen)} such objects, more than the limit of {most}: choose with --objects")
    yield from zip([names[i] for i in chosen], manifest_cutouts(manifest.rows(chosen), geometry), strict=True)


def _of_units(uri: str, objects: Sequence[str], geometry: Geometry) -> Iterator[Found]:
    left = set(objects)
    for unit in find_units(uri):
        ids = np.array([str(name) for name in planned_ids(unit)])
        places = np.flatnonzero(np.isin(ids, list(left)))
        if len(places):
            left -= set(ids[places])
            yield from _of_unit(unit, ids, places, geometry)
        if not left:
            return


def _of_unit(unit: Unit, ids: NDArray[np.str_], places: NDArray[np.int64], geometry: Geometry) -> Iterator[Found]:
    rows: dict[str, Cutout | Rejection] = {}
    try:
        with closing(open_unit(unit, geometry, MOST_OBJECTS, places).first) as batches:
            for batch in batches:
                for i, place in enumerate(batch.places):
                    stamps = {band: images[i] for band, images in batch.stamps.items()}
                    rows[ids[places[place]]] = Cutout(stamps, batch.notes[i])
                rows |= {ids[places[place]]: rejection for place, rejection in batch.rejected}
    except Rejection as rejection:
        # Damage rejects the whole unit, as in a scan.
        rows = {ids[place]: rejection for place in places}
    yield from rows.items()
