"""`lensscan explain`: objects in, a figure of what the networks see in them out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flows.terminal import Report
from infra.errors import LensscanError
from infra.settings import Settings
from infra.storage import absolute
from scanner.catalogue.units import find_units
from scanner.explain.explanation import NetworkMaps, explain
from scanner.explain.figures import explanation_figure, figure_bytes
from scanner.networks.locate import find_package
from scanner.networks.package import load_package
from scanner.pixels.cutouts import Cutout
from scanner.pixels.geometry import Geometry, Stamps
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
    """Draw a figure of some objects of a manifest, of tiles or of shards.

    Raises:
        ExplainError: objects that are not there or too many, none that can be looked at, or no file to write to.
        LensscanError: the images or the ensemble cannot be read.
    """
    if out.suffix.lower() not in _KINDS or out.is_dir():
        raise ExplainError(f"--out must be a file that ends in {' or '.join(_KINDS)}, got {out}")
    settings = Settings.read()
    folder = find_package(ensemble or settings.ensemble, settings.ensembles_dir)
    package = load_package(folder)
    found = _found(absolute(images), objects, package.geometry)
    cutouts = {name: row for name, row in found.items() if isinstance(row, Cutout)}
    if not cutouts:
        reasons = "; ".join(f"{name}: {row}" for name, row in found.items()) or "there are no objects"
        raise ExplainError(f"{images}: nothing to look at: {reasons}")
    stamps = {band: np.stack([cutout.stamps[band] for cutout in cutouts.values()]) for band in package.geometry.grids}
    maps = explain(folder, package.card, stamps, networks, report)
    p_lens = package.score(stamps).p_lens
    figure = explanation_figure(list(cutouts), p_lens, stamps, package.geometry, maps)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(figure_bytes(figure, out.suffix.lower()[1:]))
    said = {name: _said(i, float(p_lens[i]), maps) for i, name in enumerate(cutouts)}
    rejected = {name: str(row) for name, row in found.items() if isinstance(row, Rejection)}
    return {"ensemble": package.name, "figure": str(out), "objects": said, "rejected": rejected}


def _said(i: int, p_lens: float, maps: Sequence[NetworkMaps]) -> dict[str, Any]:
    """The numbers of one object: what each network says, and how far from the middle the strongest evidence lies."""
    networks = {
        of_network.network: {
            "p_lens": float(of_network.p_lens[i]),
            "strongest_occlusion_arcsec": _from_middle(-of_network.occlusion[i], of_network.occlusion_side_arcsec, of_network),
            "strongest_guided_arcsec": _from_middle(of_network.guided[i], of_network.side_arcsec, of_network),
        }
        for of_network in maps
    }
    return {"p_lens": p_lens, "networks": networks}


def _from_middle(shown: Any, covered_arcsec: float, maps: NetworkMaps) -> float:
    """Distance of the highest value of a map from the middle of the stamp."""
    n = len(shown)
    y, x = (
        place * covered_arcsec / n - maps.side_arcsec / 2
        for place in np.add(np.unravel_index(shown.argmax(), shown.shape), 0.5)
    )
    return float(np.hypot(x, y))


def _found(images: str, objects: Sequence[str], geometry: Geometry) -> dict[str, Cutout | Rejection]:
    """Each object by its id, in the order that was asked for; all of a manifest where none are named."""
    if len(objects) > MOST_OBJECTS:
        raise ExplainError(f"a figure shows at most {MOST_OBJECTS} objects, got {len(objects)}")
    if images.lower().endswith(_MANIFEST_SUFFIXES):
        found = dict(_of_manifest(images, objects, geometry))
    elif objects:
        found = dict(_of_units(images, objects, geometry))
    else:
        raise ExplainError("name the objects of tiles or shards with --objects")
    if missing := [name for name in objects if name not in found]:
        raise ExplainError(f"{images}: has no object {', '.join(missing)}")
    return {name: found[name] for name in objects or found}


def _of_manifest(uri: str, objects: Sequence[str], geometry: Geometry) -> Iterator[Found]:
    manifest = read_manifest(uri)
    names = [str(name) for name in manifest.object_ids.to_pylist()]
    if not objects and len(names) > MOST_OBJECTS:
        raise ExplainError(f"{uri}: has {len(names)} objects, a figure shows {MOST_OBJECTS}: choose with --objects")
    chosen = [i for i, name in enumerate(names) if not objects or name in objects]
    yield from zip([names[i] for i in chosen], manifest_cutouts(manifest.rows(chosen), geometry), strict=True)


def _of_units(uri: str, objects: Sequence[str], geometry: Geometry) -> Iterator[Found]:
    for unit in find_units(uri):
        ids = np.asarray(open_unit(unit, geometry, 1, np.empty(0, np.int64)).identity["object_id"]).astype(str)
        places = np.flatnonzero(np.isin(ids, list(objects)))
        if not len(places):
            continue
        for batch in open_unit(unit, geometry, MOST_OBJECTS, places).first:
            for i, place in enumerate(batch.places):
                yield ids[places[place]], Cutout(_stamps(batch.stamps, i), batch.notes[i])
            for place, rejection in batch.rejected:
                yield ids[places[place]], rejection


def _stamps(stamps: Stamps, i: int) -> dict[str, Any]:
    return {band: images[i] for band, images in stamps.items()}
