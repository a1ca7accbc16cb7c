"""`lensscan explain`: objects in, a figure of what the networks see in them out."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.terminal import Report
from infra.errors import LensscanError
from infra.settings import Settings
from infra.storage import absolute
from scanner.catalogue.planned_ids import planned_ids
from scanner.catalogue.units import Unit, find_units
from scanner.explain.explanation import NetworkMaps, chosen_networks, explain
from scanner.explain.figures import explanation_figure, figure_bytes
from scanner.networks.locate import find_package
from scanner.networks.package import load_package
from scanner.pixels.cutouts import Cutout
from scanner.pixels.geometry import Geometry
from scanner.pixels.manifests import manifest_cutouts, read_manifest
from scanner.pixels.rejections import Rejection
from scanner.scan import open_unit

MOST_OBJECTS = 24
"""In one figure."""
_MANIFEST_SUFFIXES = (".csv", ".parquet")
_KINDS = (".png", ".pdf")

Found = tuple[str, Cutout | Rejection]


class ExplainError(LensscanError):
    """Objects that are not there or cannot be looked at, or a figure that cannot be written."""


def explain_to_file(
    images: str, out: Path, objects: Sequence[str], ensemble: str | None, networks: Sequence[str] | None, report: Report
) -> dict[str, Any]:
    """Draw a figure of some objects of a manifest, of tiles or of shards; one that is there is replaced, whole.

    Raises:
        ExplainError: objects that are not there or too many, none that can be looked at, or no file to write to.
        LensscanError: the images or the ensemble cannot be read, or it has no such network.
    """
    objects = list(dict.fromkeys(objects))
    _check(out, objects)
    settings = Settings.read()
    folder = find_package(ensemble or settings.ensemble, settings.ensembles_dir)
    package = load_package(folder)
    names = chosen_networks(package.card, networks)
    found = _found(absolute(images), objects, package.geometry)
    cutouts = {name: row for name, row in found.items() if isinstance(row, Cutout)}
    if not cutouts:
        reasons = "; ".join(f"{name}: {row}" for name, row in found.items()) or "there are no objects"
        raise ExplainError(f"{images}: nothing to look at: {reasons}")
    stamps = {band: np.stack([cutout.stamps[band] for cutout in cutouts.values()]) for band in package.geometry.grids}
    maps = explain(folder, package.card, stamps, names, report)
    p_lens = package.score(stamps).p_lens
    _write(out, figure_bytes(explanation_figure(list(cutouts), p_lens, stamps, package.geometry, maps), out.suffix.lower()[1:]))
    said = {name: _said(i, float(p_lens[i]), maps) for i, name in enumerate(cutouts)}
    rejected = {name: str(row) for name, row in found.items() if isinstance(row, Rejection)}
    return {"ensemble": package.name, "figure": str(out), "objects": said, "rejected": rejected}


def _check(out: Path, objects: Sequence[str]) -> None:
    """Before anything long is done."""
    if out.suffix.lower() not in _KINDS or out.is_dir():
        raise ExplainError(f"--out must be a file that ends in {' or '.join(_KINDS)}, got {out}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error
    if len(objects) > MOST_OBJECTS:
        raise ExplainError(f"a figure shows at most {MOST_OBJECTS} objects, got {len(objects)}")


def _write(out: Path, content: bytes) -> None:
    part = out.with_name(f"{out.name}.part")
    try:
        part.write_bytes(content)
        part.replace(out)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error


def _said(i: int, p_lens: float, maps: Sequence[NetworkMaps]) -> dict[str, Any]:
    """The numbers of one object: what each network says, and how far from the middle the strongest evidence lies."""
    networks = {
        of_network.network: {
            "p_lens": float(of_network.p_lens[i]),
            "strongest_occlusion_arcsec": from_middle(-of_network.occlusion[i], of_network.occlusion_side_arcsec, of_network),
            "strongest_guided_arcsec": from_middle(of_network.guided[i], of_network.side_arcsec, of_network),
        }
        for of_network in maps
    }
    return {"p_lens": p_lens, "networks": networks}


def from_middle(shown: NDArray[np.floating], covered_arcsec: float, maps: NetworkMaps) -> float | None:
    """Distance of the highest value of a map from the middle of the stamp; None where nothing speaks for a lens."""
    if not shown.max() > 0:
        return None
    place = np.add(np.unravel_index(shown.argmax(), shown.shape), 0.5)
    return float(np.hypot(*(place * covered_arcsec / len(shown) - maps.side_arcsec / 2)))


def _found(images: str, objects: Sequence[str], geometry: Geometry) -> dict[str, Cutout | Rejection]:
    """Each object by its id, in the order that was asked for; all of a manifest where none are named."""
    found: dict[str, Cutout | Rejection] = {}
    if images.lower().endswith(_MANIFEST_SUFFIXES):
        rows = _of_manifest(images, objects, geometry)
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


def _of_manifest(uri: str, objects: Sequence[str], geometry: Geometry) -> Iterator[Found]:
    manifest = read_manifest(uri)
    names = [str(name) for name in manifest.object_ids.to_pylist()]
    chosen = [i for i, name in enumerate(names) if not objects or name in objects]
    if len(chosen) > MOST_OBJECTS:
        raise ExplainError(f"{uri}: has {len(chosen)} such objects, a figure shows {MOST_OBJECTS}: choose with --objects")
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
        # Damage voids the whole unit, as in a scan.
        rows = {ids[place]: rejection for place in places}
    yield from rows.items()
