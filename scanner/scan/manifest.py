"""Score the cutouts of a manifest, or images in memory, into a table with one row per object."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from infra.progress import Progress, no_progress
from scanner.catalogue.object_table import object_table
from scanner.scan.batch_reader import BatchReader
from scanner.scan.row_groups import MissingBands, RowGroup, score_groups
from scanner.scan.scoring import CutoutScanner
from scanner.sources.array_files import ArrayFiles
from scanner.sources.batches import CutoutBatch, batches_of
from scanner.sources.image_arguments import read_images
from scanner.sources.images import Images
from scanner.sources.manifests import Centres, Manifest, manifest_cutouts
from scanner.vocabulary.geometry import Geometry, Stamps


def score_manifest(
    manifest: str | Manifest, scanner: CutoutScanner, progress: Progress = no_progress, missing: MissingBands | None = None
) -> pa.Table:
    """Return one row of `score_schema` per row of the manifest, in its order, and behind it the manifest's other columns.

    Args:
        manifest: The manifest or its URI.
        scanner: Scorer of the objects that have images in all bands.
        progress: Callback that gets numbers of rows.
        missing: Scorer of the objects that lack bands; without it, they are rejected.

    Raises:
        ManifestError: the manifest itself cannot be used; unusable rows are rejected in the table instead.
    """
    if isinstance(manifest, str):
        manifest = read_images([manifest])
    found: Centres = {}
    scores = score_groups(_groups(manifest, found), scanner, progress, missing)
    ra, dec = (values or [None] * len(manifest) for values in (manifest.ra, manifest.dec))
    for row, (row_ra, row_dec) in found.items():
        if ra[row] is None or dec[row] is None:
            ra[row], dec[row] = row_ra, row_dec
    return object_table(manifest.object_ids, scores, ra, dec, manifest.others)


def score_images(
    images: Images | ArrayFiles, scanner: CutoutScanner, progress: Progress = no_progress, missing: MissingBands | None = None
) -> pa.Table:
    """Return one row of `score_schema` per object of images in memory or in array files, in their order, without positions."""
    n_objects = len(images.object_ids)
    bands = images.bands if isinstance(images, ArrayFiles) else frozenset(scanner.geometry.grids)

    def begin(geometry: Geometry, batch_size: int) -> Iterator[CutoutBatch]:
        found = images.images(geometry) if isinstance(images, ArrayFiles) else images
        return batches_of(found.rows(), geometry, batch_size)

    scores = score_groups([RowGroup(range(n_objects), bands, begin)], scanner, progress, missing)
    nowhere = [None] * n_objects
    return object_table(images.object_ids, scores, nowhere, nowhere, {})


def score_stamps(stamps: Stamps, scanner: CutoutScanner) -> pa.Table:
    """Return one row of `score_fields` per object of stamps, band to `[object, y, x]`, that are in the scanner's geometry."""
    n = len(next(iter(stamps.values())))

    def begin() -> Iterator[CutoutBatch]:
        for start in range(0, n, scanner.batch_size):
            rows = np.arange(start, min(start + scanner.batch_size, n))
            yield CutoutBatch(rows, {band: images[rows] for band, images in stamps.items()}, [()] * len(rows))

    return scanner.score_batches(BatchReader(begin, n_ahead=0))


def _groups(manifest: Manifest, found: Centres) -> list[RowGroup]:
    """Return the objects by the bands that they name; reading fills `found` with positions by row of the manifest."""
    rows: dict[frozenset[str], list[int]] = {}
    for row in range(len(manifest)):
        rows.setdefault(manifest.bands(row), []).append(row)
    return [RowGroup(of_group, bands, partial(_begin, manifest, of_group, found)) for bands, of_group in rows.items()]


def _begin(
    manifest: Manifest, rows: Sequence[int], found: Centres, geometry: Geometry, batch_size: int
) -> Iterator[CutoutBatch]:
    in_group: Centres = {}
    yield from batches_of(manifest_cutouts(manifest.rows(rows), geometry, in_group), geometry, batch_size)
    found.update({rows[i]: position for i, position in in_group.items()})
