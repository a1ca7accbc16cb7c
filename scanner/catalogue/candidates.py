"""The candidate file of a plan: which rows, in which order, and in which groups they are written and read."""

import io
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scanner.catalogue.columns import ORIGIN_COLUMNS, candidate_schema, has_maps, network_names
from scanner.catalogue.maps import with_maps_as
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.plan import Plan

ROWS_PER_GROUP = 1024
"""Where there are maps: a reader holds a group at a time, in which each row takes 21 kB, with maps or without."""
_ORDER = [("p_lens", "descending"), ("object_id", "ascending")]


def candidates_of(table: pa.Table, plan: Plan) -> pa.Table:
    """The rows of a unit that are candidates, with where they come from; maps in lists that take no memory where none are."""
    chosen = table.filter(candidate_mask(table, plan.config.candidate_threshold))
    for column, value in zip(ORIGIN_COLUMNS, (plan.ensemble_name, plan.plan_id), strict=True):
        chosen = chosen.append_column(column.field(), pa.array([value] * chosen.num_rows, pa.string()))
    return with_maps_as("large", chosen)


def file_schema(schema: pa.Schema) -> pa.Schema:
    """Of the candidate file for units, or candidates, of a schema."""
    return candidate_schema(network_names(schema), maps=has_maps(schema))


class Candidates:
    """Those of a plan, gathered unit by unit."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    @property
    def n_rows(self) -> int:
        return sum(part.num_rows for part in self._parts)

    def add(self, candidates: pa.Table) -> bool:
        """Those of a unit, as of `candidates_of`; false where they have other columns than those before, and are left out."""
        fits = not self._parts or candidates.schema.equals(self._parts[0].schema)
        if fits:
            self._parts.append(candidates)
        return fits

    def groups(self) -> Iterator[pa.Table]:
        """All of them, best first, as the file has them; at least one group, though it may be empty."""
        # One copy, instead of one for each group.
        self._parts = [pa.concat_tables(self._parts).combine_chunks()]
        table = self._parts[0]
        order = pc.sort_indices(table.select([name for name, _ in _ORDER]), sort_keys=_ORDER)
        n_rows = ROWS_PER_GROUP if has_maps(table.schema) else max(table.num_rows, 1)
        for start in range(0, max(table.num_rows, 1), n_rows):
            group = with_maps_as("fixed", table.take(order.slice(start, n_rows))).combine_chunks()
            yield pa.Table.from_arrays(group.columns, schema=file_schema(group.schema))


def encode_candidates(groups: Iterable[pa.Table]) -> bytes:
    """The bytes of the file; what schemas say besides names and types does not count."""
    sink, writer = io.BytesIO(), None
    for group in groups:
        schema = file_schema(group.schema)
        writer = writer or pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True)
        writer.write_table(pa.Table.from_arrays(group.combine_chunks().columns, schema=schema))
    if writer is not None:
        writer.close()
    return sink.getvalue()


def open_candidates(data: bytes) -> pq.ParquetFile:
    """A candidate file.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: it is none; so does reading it, where it is damaged.
    """
    return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)


def groups_of(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """As `Candidates.groups`: one at a time where there are maps."""
    if has_maps(file.schema_arrow) and file.metadata.num_rows:
        for i in range(file.metadata.num_row_groups):
            yield file.read_row_group(i)
    else:
        yield file.read()


def are_equal(groups: Iterable[pa.Table], others: Iterable[pa.Table]) -> bool:
    """Do both have the same rows, in the same groups?"""
    return all(one is not None and other is not None and one.equals(other) for one, other in zip_longest(groups, others))
