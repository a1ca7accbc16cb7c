"""Read some objects, named by their ids, from manifests, FITS files, tiles, shards or images in memory."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from infra.errors import LensscanError
from infra.store.storage import absolute, exists, join
from scanner.catalogue.find_units import find_units
from scanner.catalogue.paths import PLANS
from scanner.catalogue.plan import load_plan
from scanner.catalogue.unit_inputs import planned_ids
from scanner.catalogue.units import Ids, Unit
from scanner.catalogue.visible import selected_plans, visible_candidates
from scanner.scan.unit_objects import read_unit_objects
from scanner.sources.array_files import open_arrays
from scanner.sources.batches import Row
from scanner.sources.cutouts import Cutout
from scanner.sources.image_arguments import names_cutouts, names_file, read_images
from scanner.sources.images import Images
from scanner.sources.manifests import Manifest, manifest_cutouts
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.vocabulary.geometry import Geometry, Stamps
from scanner.vocabulary.rejections import Rejection

NamedRow = tuple[str, Row]


class ObjectsError(LensscanError):
    """Objects are missing, too many, or all unusable."""


@dataclass(frozen=True)
class ChosenObjects:
    """Usable objects, and the reasons of the others."""

    ids: list[str]
    stamps: Stamps
    """`[object, y, x]` by band, in the order of `ids`."""
    notes: list[tuple[str, ...]]
    """Changes made to the pixels of each object, such as `padded: VIS`."""
    rejected: dict[str, str]
    """Reasons of the other objects by id."""


def read_objects(
    images: str | Sequence[str] | Images,
    objects: Sequence[str],
    geometry: Geometry,
    most: int,
    survey: Survey = EUCLID_MER,
    bands: str | None = None,
) -> ChosenObjects:
    """Return the usable objects in the order of `objects`, and the reasons of the others.

    Args:
        images: Manifests, FITS files and folders of them, or one folder or `s3://` prefix of tiles, of
            shards or of a catalogue; or images in this geometry.
        objects: Different ids; without any, all objects of manifests, of FITS files or of images are read.
        geometry: Geometry of the stamps.
        most: Largest number of objects, because their stamps are held in memory.
        survey: Survey that tiles are of; with any other than Euclid's, a folder holds tiles.
        bands: Bands of the planes, in order, separated by commas, if the images are array files and FITS cubes.

    Raises:
        ObjectsError: objects are missing or more than `most`, or no object is usable.
        LensscanError: the images cannot be read.
    """
    if len(objects) > most:
        raise ObjectsError(f"{len(objects)} objects are named, more than the limit of {most}")
    named = [images] if isinstance(images, str) else images
    if bands is not None and not isinstance(named, Images):
        named = open_arrays(named, bands).images(geometry)
    label = "the images" if isinstance(named, Images) else ", ".join(named)
    found = (
        _rows_of_images(named, objects, most)
        if isinstance(named, Images)
        else _rows_of_files(label, [absolute(name) for name in named], objects, geometry, most, survey)
    )
    rows = _by_id(label, found, objects)
    cutouts = {name: row for name, row in rows.items() if isinstance(row, Cutout)}
    if not cutouts:
        reasons = "; ".join(f"{name}: {row}" for name, row in rows.items()) or "there are no objects"
        raise ObjectsError(f"{label}: no usable object: {reasons}")
    stamps = {band: np.stack([cutout.stamps[band] for cutout in cutouts.values()]) for band in geometry.grids}
    rejected = {name: str(row) for name, row in rows.items() if isinstance(row, Rejection)}
    return ChosenObjects(list(cutouts), stamps, [cutout.notes for cutout in cutouts.values()], rejected)


def _by_id(label: str, found: Iterator[NamedRow], objects: Sequence[str]) -> dict[str, Row]:
    """Return each object by its id, in the order of `objects`, or all objects in their own order if `objects` is empty."""
    rows: dict[str, Row] = {}
    for name, row in found:
        if name in rows:
            raise ObjectsError(f"{label}: has several objects {name}")
        rows[name] = row
    if missing := [name for name in objects if name not in rows]:
        raise ObjectsError(f"{label}: has no object {', '.join(missing)}{_by_name(missing)}")
    return {name: rows[name] for name in objects or rows}


def _by_name(missing: Sequence[str]) -> str:
    """Return where to find the ids of objects that are named as candidates are, such as `EUCL J160229.19-200158.0`."""
    if not any(re.search(r"J\d{6}", name) for name in missing):
        return ""
    return '; an object has an object_id: `lensscan query CATALOGUE --sql "select candidate_id, object_id from candidates"`'


def _rows_of_files(
    label: str, images: Sequence[str], objects: Sequence[str], geometry: Geometry, most: int, survey: Survey
) -> Iterator[NamedRow]:
    # A folder may hold tiles of this survey, whatever they are called.
    if survey != EUCLID_MER and (len(images) != 1 or names_file(images[0])):
        raise ObjectsError(f"{label}: --survey describes tiles, not cutouts; name one folder or prefix of tiles")
    if len(images) != 1 or (survey == EUCLID_MER and names_cutouts(images[0])):
        return _rows_of_list(label, read_images(images), objects, geometry, most)
    if not objects:
        raise ObjectsError(
            f"{label}: is no FITS file, manifest or folder of FITS files; name the objects of tiles or a catalogue (--objects)"
        )
    if exists(join(images[0], PLANS)):
        return _rows_of_catalogue(images[0], objects, geometry)
    return _rows_of_units(((unit, survey) for unit in find_units(images[0], survey=survey)), objects, geometry)


def _rows_of_catalogue(root_uri: str, objects: Sequence[str], geometry: Geometry) -> Iterator[NamedRow]:
    """Yield objects that readers see, named by their ids or as candidates, from the files that their scans read."""
    candidates = visible_candidates(root_uri).select(["candidate_id", "object_id"]).to_pydict()
    ids = dict(zip(candidates["candidate_id"], map(str, candidates["object_id"]), strict=True))
    names = {ids.get(name, name): name for name in objects}
    plans = [load_plan(root_uri, shown.plan_id) for shown in selected_plans(root_uri)]
    units = ((unit, plan.described) for plan in plans for unit in plan.units)
    yield from ((names[name], row) for name, row in _rows_of_units(units, list(names), geometry))


def _rows_of_images(images: Images, objects: Sequence[str], most: int) -> Iterator[NamedRow]:
    names = [str(name) for name in images.object_ids.to_pylist()]
    if not objects and len(names) > most:
        raise ObjectsError(f"{len(names)} objects are given, more than the limit of {most}: choose some")
    return ((name, row) for name, row in zip(names, images.rows(), strict=True) if not objects or name in objects)


def _rows_of_list(label: str, manifest: Manifest, objects: Sequence[str], geometry: Geometry, most: int) -> Iterator[NamedRow]:
    names = [str(name) for name in manifest.object_ids.to_pylist()]
    chosen = [i for i, name in enumerate(names) if not objects or name in objects]
    if len(chosen) > most:
        raise ObjectsError(f"{label}: has {len(chosen)} such objects, more than the limit of {most}: choose some (--objects)")
    yield from zip([names[i] for i in chosen], manifest_cutouts(manifest.rows(chosen), geometry), strict=True)


def _rows_of_units(units: Iterable[tuple[Unit, Survey]], objects: Sequence[str], geometry: Geometry) -> Iterator[NamedRow]:
    left = set(objects)
    for unit, survey in units:
        ids = planned_ids(unit, survey)
        asked = np.isin([str(i) for i in ids.tolist()], list(left))
        if asked.any():
            left -= {str(i) for i in ids[asked].tolist()}
            yield from _rows_of_unit(unit, ids[asked], geometry, survey)
        if not left:
            return


def _rows_of_unit(unit: Unit, ids: Ids, geometry: Geometry, survey: Survey) -> Iterator[NamedRow]:
    """Yield some rows of a unit by their ids; damage rejects all of them, as in a scan."""
    try:
        rows: dict[int, Row] = {found.object_id: found.row for found in read_unit_objects(unit, ids, geometry, survey)}
    except Rejection as rejection:
        rows = dict.fromkeys(ids.tolist(), rejection)
    yield from ((str(object_id), row) for object_id, row in rows.items())
