"""`lensscan query --like`: the objects that the networks see most like one."""

import pyarrow as pa

from scanner.catalogue.query import QueryError
from scanner.catalogue.wanted import Wanted
from scanner.review.embeddings.rows import most_like

N_LIKE = 20
"""Number of objects by default."""


def rows_like(root_uri: str, name: str, wanted: Wanted, *, sql: str | None, grades: bool) -> pa.Table:
    """Return the objects most like the one with an `object_id` or `candidate_id`; arguments and errors as for `most_like`.

    Raises:
        QueryError: SQL or the columns of grades are asked for, too.
    """
    if sql is not None or grades:
        raise QueryError(f"give either --like or {'--sql' if sql is not None else '--grades'}, not both")
    return most_like(root_uri, name, N_LIKE if wanted.limit is None else wanted.limit, wanted)
