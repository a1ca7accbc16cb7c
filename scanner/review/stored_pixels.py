"""Read the pixels of chosen candidates from the files of their plans; memory holds those of one row group."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.store.storage import StorageError, join, open_read
from scanner.catalogue.paths import sealed_path, unit_uri
from scanner.catalogue.visible import VisibleError
from scanner.review.candidate import PIXEL_COLUMNS, CandidatePixels, pixel_rows, pixels_of


def stored_pixels(root_uri: str, rows: pa.Table) -> Iterator[tuple[int, CandidatePixels]]:
    """Yield the number and the pixels of those rows that have any, in no order.

    Args:
        root_uri: The catalogue's root.
        rows: Candidates with `plan_id`, `object_id` and `tile`; of each plan, no object twice.

    Raises:
        VisibleError: a file is damaged.
        StorageError: the store failed.
    """
    plan_ids, tiles = (np.asarray(rows[name].to_pylist(), object) for name in ("plan_id", "tile"))
    object_ids = rows["object_id"].to_numpy()
    for plan_id in dict.fromkeys(plan_ids.tolist()):
        of_plan = np.flatnonzero(plan_ids == plan_id)
        try:
            yield from _in_file(join(root_uri, sealed_path(plan_id)), of_plan, object_ids)
        except FileNotFoundError:
            # The plan is not sealed: its units have the pixels.
            for tile in dict.fromkeys(tiles[of_plan].tolist()):
                yield from _in_unit(unit_uri(root_uri, plan_id, tile), of_plan[tiles[of_plan] == tile], object_ids)


def _in_unit(uri: str, rows: NDArray[np.int64], object_ids: NDArray[np.int64]) -> Iterator[tuple[int, CandidatePixels]]:
    try:
        yield from _in_file(uri, rows, object_ids)
    except FileNotFoundError:
        # The plan was forgotten a moment ago.
        return


def _in_file(uri: str, rows: NDArray[np.int64], object_ids: NDArray[np.int64]) -> Iterator[tuple[int, CandidatePixels]]:
    """Yield the pixels of some rows from a file of candidates; only row groups that hold one of them are read."""
    row_of = dict(zip(object_ids[rows].tolist(), rows.tolist(), strict=True))
    try:
        with open_read(uri) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            names = [name for name in PIXEL_COLUMNS if name in file.schema_arrow.names]
            for i in range(file.num_row_groups if names else 0):
                if not row_of:
                    return
                ids = file.read_row_group(i, ["object_id"])["object_id"].to_pylist()
                wanted = {place: row_of.pop(object_id) for place, object_id in enumerate(ids) if object_id in row_of}
                if wanted:
                    yield from _of_group(file.read_row_group(i, names), wanted)
    except (FileNotFoundError, StorageError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VisibleError(f"{uri}: cannot be read: {' '.join(str(error).split())[:200]}") from error


def _of_group(group: pa.Table, wanted: dict[int, int]) -> Iterator[tuple[int, CandidatePixels]]:
    chosen = group.take(pa.array(list(wanted)))
    for row, values in zip(wanted.values(), pixel_rows(chosen), strict=True):
        if (pixels := pixels_of(values)) is not None:
            yield row, pixels
