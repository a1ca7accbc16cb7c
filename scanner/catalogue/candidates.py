"""Select, sort, write and read the rows of a plan's candidate file, in row groups."""

import io
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scanner.catalogue.columns import ORIGIN_COLUMNS, candidate_schema_like, has_maps
from scanner.catalogue.maps import with_maps_as
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.plan import Plan
from scanner.catalogue.spool import Spool

ROWS_PER_GROUP = 256
"""Rows of a row group in files with maps: a reader holds one group, in which each row takes 73 kB, with maps or without."""
ORDER = [("p_lens", "descending"), ("object_id", "ascending")]


def candidates_of(table: pa.Table, plan: Plan) -> pa.Table:
    """Return the candidates of a unit with `ORIGIN_COLUMNS`, and with maps in lists that take no memory for null."""
    return with_maps_as("large", with_origin(table.filter(candidate_mask(table, plan.config.candidate_threshold)), plan))


def with_origin(table: pa.Table, plan: Plan) -> pa.Table:
    """Return rows of a unit of the plan with `ORIGIN_COLUMNS`."""
    for column, value in zip(ORIGIN_COLUMNS, (plan.ensemble_name, plan.plan_id), strict=True):
        table = table.append_column(column.field(), pa.array([value] * table.num_rows, pa.string()))
    return table


def file_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of the candidate file for units, or candidates, with a schema."""
    return candidate_schema_like(schema)


class Candidates:
    """The candidates of a plan, gathered unit by unit; memory holds no maps."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._schema: pa.Schema | None = None

    @property
    def n_rows(self) -> int:
        return self._spool.n_rows

    def add(self, candidates: pa.Table) -> bool:
        """Add a unit's candidates from `candidates_of`, or return False if their columns differ from those added before."""
        fits = self._schema is None or candidates.schema.equals(self._schema)
        if fits:
            self._schema = candidates.schema
            self._spool.add(candidates)
        return fits

    def groups(self) -> Iterator[pa.Table]:
        """Yield all candidates in the groups of the file, best first; at least one group, which may be empty."""
        table = self._spool.light()
        order = pc.sort_indices(table.select([name for name, _ in ORDER]), sort_keys=ORDER).to_numpy()
        schema = file_schema(self._schema or table.schema)
        yield from self._spool.groups(order, ROWS_PER_GROUP if has_maps(schema) else max(len(order), 1), schema)


def encode_candidates(groups: Iterable[pa.Table]) -> bytes:
    """Return the bytes of the file; schema metadata of the groups has no effect on them."""
    sink, writer = io.BytesIO(), None
    for group in groups:
        schema = file_schema(group.schema)
        writer = writer or pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True)
        writer.write_table(pa.Table.from_arrays(group.combine_chunks().columns, schema=schema))
    if writer is not None:
        writer.close()
    return sink.getvalue()


def open_candidates(data: bytes) -> pq.ParquetFile:
    """Open a candidate file.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: `data` is no Parquet file; reading a damaged file raises the same.
    """
    return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)


def groups_of(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yield the groups of a file as `Candidates.groups` does: one row group at a time if there are maps."""
    if has_maps(file.schema_arrow) and file.metadata.num_rows:
        for i in range(file.metadata.num_row_groups):
            yield file.read_row_group(i)
    else:
        yield file.read()


def are_equal(groups: Iterable[pa.Table], others: Iterable[pa.Table]) -> bool:
    """Return whether both have the same rows in the same groups."""
    return all(one is not None and other is not None and one.equals(other) for one, other in zip_longest(groups, others))
