"""Rank rows by `p_lens`, and say how pure the list down to each row should be."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scanner.catalogue.columns import PURITY_COLUMNS, RANK
from scanner.purity import PurityTable


def with_purity(table: pa.Table, purity: PurityTable | None) -> pa.Table:
    """Append the purity of the list down to each row, with its limits, to rows of one ensemble; null where it is unknown.

    It is unknown below the lowest cut at which the ensemble was evaluated.

    Args:
        table: Rows in any order, which they keep; a row whose `p_lens` is null has nulls.
        purity: Expected purity of the ensemble that scored the rows; None where unknown.
    """
    p_lens = table["p_lens"].to_numpy().astype(np.float64)
    is_known = np.isfinite(p_lens) & (purity is not None)
    values = purity.at(p_lens) if purity else np.zeros((3, len(p_lens)))
    for column, found in zip(PURITY_COLUMNS, values, strict=True):
        table = table.append_column(column.field(), pa.array(found, mask=~(is_known & np.isfinite(found))).cast(column.type))
    return table


def with_rank(table: pa.Table) -> pa.Table:
    """Append the rank of each row by `p_lens`, then `object_id`, to rows in any order; null where `p_lens` is null.

    Ranks begin at 1 in each night; a table without a column `night` has one night.
    """
    is_scored = table["p_lens"].is_valid().to_numpy()
    return table.append_column(RANK.field(), pa.array(_ranks(table), mask=~is_scored).cast(RANK.type))


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
