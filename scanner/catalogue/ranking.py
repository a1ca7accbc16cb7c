"""Rank rows by `p_lens`, and say how pure the list down to each row should be."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scanner.catalogue.columns import RANK_COLUMNS
from scanner.purity import PurityTable


def with_rank_and_purity(table: pa.Table, purity: PurityTable | None) -> pa.Table:
    """Append `RANK_COLUMNS` to rows with `p_lens` and `object_id`.

    Ranks begin at 1 in each night; a table without a column `night` has one night. A row whose `p_lens` is null has nulls.

    Args:
        table: Rows in any order, which they keep.
        purity: Expected purity of the ensemble that scored the rows; None where unknown: the purities are null then.
    """
    p_lens = table["p_lens"].to_numpy().astype(np.float64)
    is_scored = np.isfinite(p_lens)
    values = [_ranks(table), *(purity.at(p_lens) if purity else np.zeros((3, len(p_lens))))]
    for column, found in zip(RANK_COLUMNS, values, strict=True):
        is_known = is_scored & (column.name == "rank" or purity is not None)
        table = table.append_column(column.field(), pa.array(found, mask=~is_known).cast(column.type))
    return table


def _ranks(table: pa.Table) -> NDArray[np.int64]:
    """Return the place of each row in its night, `[row]`."""
    night = table["night"].cast(pa.string()) if "night" in table.column_names else pa.nulls(table.num_rows, pa.string())
    rows = pa.table({"night": night, "p_lens": table["p_lens"], "object_id": table["object_id"]})
    order = pc.sort_indices(rows, [("night", "ascending"), ("p_lens", "descending"), ("object_id", "ascending")]).to_numpy()
    sorted_nights = np.asarray(rows["night"].fill_null("").take(pa.array(order)))
    is_first = np.append(True, sorted_nights[1:] != sorted_nights[:-1])[: len(order)]
    place = np.arange(len(order))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = place - np.maximum.accumulate(np.where(is_first, place, 0)) + 1
    return ranks
