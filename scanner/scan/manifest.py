"""Score the cutouts of a manifest, or of other rows with ids, into a table with one row per object."""

from collections.abc import Callable, Iterable

import pyarrow as pa

from infra.progress import Progress, no_progress
from scanner.catalogue.columns import score_schema
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import Row, batches_of
from scanner.sources.manifests import manifest_cutouts, read_manifest


def score_manifest(manifest_uri: str, scanner: CutoutScanner, progress: Progress = no_progress) -> pa.Table:
    """Return one row of `score_schema` per row of the manifest, in its order; `progress` gets numbers of rows.

    Raises:
        ManifestError: the manifest itself cannot be used; unusable rows are rejected in the table instead.
    """
    manifest = read_manifest(manifest_uri)
    return score_rows(manifest.object_ids, lambda: manifest_cutouts(manifest, scanner.geometry), scanner, progress)


def score_rows(
    object_ids: pa.Array, rows: Callable[[], Iterable[Row]], scanner: CutoutScanner, progress: Progress = no_progress
) -> pa.Table:
    """Return one row of `score_schema` for each of the rows that `rows()` gives in the scanner's geometry, in their order."""
    reader = BatchReader(
        lambda: batches_of(rows(), scanner.geometry, scanner.batch_size), progress=progress, n_rows=len(object_ids)
    )
    scores = scanner.score_batches(reader)
    schema = score_schema(object_ids.type, scanner.network_names)
    return pa.Table.from_arrays([object_ids, *scores.columns], schema=schema)
