"""Put the rows that a selection of sources leaves out between the scored ones."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.vocabulary.skips import SkipCode
from scanner.vocabulary.stages import NO_STAGE


def with_skipped_rows(scores: pa.Table, is_selected: NDArray[np.bool_]) -> pa.Table:
    """Return one row for each row of a unit, in the order of its files.

    Args:
        scores: The selected rows, in the order of the files, with `score_fields` and perhaps maps.
        is_selected: Mask of the selected rows among all rows that the unit owns, `[n]`.
    """
    n_skipped = len(is_selected) - scores.num_rows
    if not n_skipped:
        return scores
    known = {"status": pa.scalar(SkipCode.SELECTION.status), "stage": pa.scalar(NO_STAGE)}
    columns = [_repeated(known.get(field.name), field.type, n_skipped) for field in scores.schema]
    order = np.empty(len(is_selected), np.int64)
    order[is_selected] = np.arange(scores.num_rows)
    order[~is_selected] = scores.num_rows + np.arange(n_skipped)
    skipped = pa.Table.from_arrays(columns, schema=scores.schema)
    return pa.concat_tables([scores, skipped]).combine_chunks().take(pa.array(order))


def _repeated(value: pa.Scalar | None, kind: pa.DataType, n: int) -> pa.Array:
    """Return a column of one value: null, or an empty text, where none is given."""
    if value is None and not pa.types.is_string(kind):
        return pa.nulls(n, kind)
    return pa.repeat(pa.scalar("") if value is None else value, n).cast(kind)
