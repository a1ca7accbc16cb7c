"""Score the cutouts of a manifest into a table with one row per object."""

import pyarrow as pa

from infra.progress import Progress, no_progress
from scanner.catalogue.columns import score_schema
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import batches_of
from scanner.sources.manifests import manifest_cutouts, read_manifest


def score_manifest(manifest_uri: str, scanner: CutoutScanner, progress: Progress = no_progress) -> pa.Table:
    """Return one row of `score_schema` per row of the manifest, in its order; `progress` gets numbers of rows.

    Raises:
        ManifestError: the manifest itself cannot be used; unusable rows are rejected in the table instead.
    """
    manifest = read_manifest(manifest_uri)
    geometry = scanner.geometry
    reader = BatchReader(
        lambda: batches_of(manifest_cutouts(manifest, geometry), geometry, scanner.batch_size),
        progress=progress,
        n_rows=len(manifest),
    )
    scores = scanner.score_batches(reader)
    schema = score_schema(manifest.object_ids.type, scanner.network_names)
    return pa.Table.from_arrays([manifest.object_ids, *scores.columns], schema=schema)
