"""The table of scores of a list of objects, with the other columns of the list behind them."""

from collections.abc import Mapping, Sequence
from itertools import chain

import pyarrow as pa

from scanner.catalogue.columns import CANDIDATE, network_names, score_schema
from scanner.catalogue.outcomes import candidate_mask

RENAMED = "input_"
"""Beginning of the new name of a column of the list that has the name of a column of scores."""


def object_table(
    object_ids: pa.Array,
    scores: pa.Table,
    ra: pa.Array | Sequence[float | None],
    dec: pa.Array | Sequence[float | None],
    *others: Mapping[str, pa.ChunkedArray],
) -> pa.Table:
    """Return one row of `score_schema` per object, then the columns of each of `others`; `scores` has `score_fields`.

    One of these, `[n]` each, that has the name of an earlier column, in any case, gets a name with `input_` in front.
    """
    schema = score_schema(object_ids.type, network_names(scores.schema))
    columns = [object_ids, *scores.columns, *(pa.array(values, pa.float64()) for values in (ra, dec))]
    table = pa.Table.from_arrays(columns, schema=schema)
    # FITS and SQL ignore case.
    taken = {CANDIDATE.name, *(name.lower() for name in table.column_names)}
    for name, column in chain.from_iterable(mapping.items() for mapping in others):
        new = name
        while new.lower() in taken:
            new = f"{RENAMED}{new}"
        taken.add(new.lower())
        table = table.append_column(new, column)
    return table


def with_candidates(table: pa.Table, threshold: float) -> pa.Table:
    """Return the table with the column `candidate` behind `p_lens`: whether it reaches the threshold."""
    at = table.column_names.index("p_lens") + 1
    return table.add_column(at, CANDIDATE.field(), candidate_mask(table, threshold))
