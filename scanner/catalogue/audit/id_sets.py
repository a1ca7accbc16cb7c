"""Compare sets of ids that are too large for memory, exactly, in a scratch database of DuckDB."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from infra.errors import LensscanError
from infra.frozen import Frozen
from scanner.catalogue.units import MAX_EXAMPLES, Ids

MEMORY_LIMIT = "1GB"
"""Memory of the database; larger tables spill to disk."""
_ROWS_AT_ONCE = 2**18
_ROWS_PER_PART = 100
"""Overhead of a waiting table, counted in rows."""


class Difference(Frozen):
    """Number of items in error, and the first few as examples."""

    n: int = 0
    examples: tuple[str, ...] = ()


class ScratchError(LensscanError):
    """The scratch database failed, most likely because the folder for temporary files is full."""


class IdSets:
    """Planned and found ids, unit by unit."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, unit_ids: list[str]) -> None:
        self._connection = connection
        self._waiting: dict[str, list[pa.Table]] = {}
        self._n_waiting = 0
        connection.execute("CREATE TABLE planned (unit INTEGER, object_id BIGINT)")
        connection.execute("CREATE TABLE found (unit INTEGER, object_id BIGINT)")
        connection.execute("CREATE TABLE known (unit INTEGER)")
        connection.execute("CREATE TABLE names (unit INTEGER, name VARCHAR)")
        self.add_rows("names", pa.table({"unit": pa.array(range(len(unit_ids)), pa.int32()), "name": unit_ids}))

    def add_planned(self, unit: int, ids: Ids) -> None:
        """Add all ids that a unit must hold."""
        self.add_rows("known", pa.table({"unit": pa.array([unit], pa.int32())}))
        self.add_rows("planned", _rows(unit, ids))

    def add_found(self, unit: int, ids: Ids) -> None:
        """Add all ids that the file of a unit holds."""
        self.add_rows("found", _rows(unit, ids))

    def missing(self) -> Difference:
        """Return the ids that are planned and not found in their unit."""
        return self._difference("SELECT unit, object_id FROM planned ANTI JOIN found USING (unit, object_id)")

    def extra(self) -> Difference:
        """Return the ids that are found in a unit and not planned there, for units whose planned ids are known."""
        return self._difference(
            "SELECT unit, object_id FROM found SEMI JOIN known USING (unit) ANTI JOIN planned USING (unit, object_id)"
        )

    def duplicate(self) -> Difference:
        """Return the ids that are found more than once, in one unit or in several."""
        return self._difference("SELECT min(unit) AS unit, object_id FROM found GROUP BY object_id HAVING count(*) > 1")

    def add_rows(self, table: str, rows: pa.Table) -> None:
        """Add whole rows to the table with a name, for `rows_lacking`."""
        self._waiting.setdefault(table, []).append(rows)
        # Each insertion is a transaction, so small tables are gathered first.
        self._n_waiting += rows.num_rows + _ROWS_PER_PART
        if self._n_waiting >= _ROWS_AT_ONCE:
            self._insert()

    def _insert(self) -> None:
        for table, parts in self._waiting.items():
            self._connection.register("incoming", pa.concat_tables(parts))
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM incoming LIMIT 0")
            self._connection.execute(f"INSERT INTO {table} FROM incoming")
            self._connection.unregister("incoming")
        self._waiting, self._n_waiting = {}, 0

    def rows_lacking(self, table: str, other: str) -> Difference:
        """Return the rows of one table, by `object_id`, that the other table lacks or has less often; all columns count."""
        lacking = f"SELECT object_id FROM (SELECT * FROM {table} EXCEPT ALL SELECT * FROM {other})"  # noqa: S608
        return self._counted(f"SELECT object_id::VARCHAR AS example, object_id FROM ({lacking})", "object_id")  # noqa: S608

    def _difference(self, query: str) -> Difference:
        named = f"SELECT name || ': ' || object_id AS example, unit, object_id FROM ({query}) JOIN names USING (unit)"  # noqa: S608
        return self._counted(named, "unit, object_id")

    def _counted(self, query: str, order: str) -> Difference:
        self._insert()
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE answer AS {query}")
        counted: Any = self._connection.execute("SELECT count(*) FROM answer").fetchone()
        first = self._connection.execute(f"SELECT example FROM answer ORDER BY {order} LIMIT {MAX_EXAMPLES}")  # noqa: S608
        return Difference(n=counted[0], examples=tuple(example for (example,) in first.fetchall()))


@contextmanager
def id_sets(unit_ids: list[str]) -> Iterator[IdSets]:
    """Open empty sets in a scratch folder, which is removed afterwards.

    Raises:
        ScratchError: there is no space left, or the database fails otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="lensscan-") as folder:
        config: dict[str, Any] = {"memory_limit": MEMORY_LIMIT, "temp_directory": str(Path(folder) / "spill")}
        config |= {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        try:
            with duckdb.connect(str(Path(folder) / "ids.duckdb"), config=config) as connection:
                yield IdSets(connection, unit_ids)
        except duckdb.Error as error:
            raise ScratchError(f"temporary files: {' '.join(str(error).split())[:300]}") from error


def _rows(unit: int, ids: Ids) -> pa.Table:
    return pa.table({"unit": pa.repeat(pa.scalar(unit, pa.int32()), len(ids)), "object_id": pa.array(ids, pa.int64())})
