"""Query the catalogue with SQL: the views are `candidates` (sealed nights) and `scores` (every committed row)."""

import re
from itertools import chain

import duckdb
import pyarrow as pa

from infra.errors import LensscanError
from infra.store.listed_objects import ListedObjects
from infra.store.storage import FileInfo, is_s3, join, list_files
from scanner.catalogue.columns import MAP_COLUMNS
from scanner.catalogue.paths import CANDIDATES, UNITS

_VIEWS = {"candidates": CANDIDATES, "scores": UNITS}
"""Folder below the root for each view."""


class QueryError(LensscanError):
    """The catalogue has no files to query, or DuckDB does not accept the SQL; the message is one line."""


def query(
    root_uri: str,
    *,
    sql: str | None = None,
    min_p_lens: float = 0.0,
    night: str | None = None,
    subclass: str | None = None,
    limit: int | None = None,
    maps: bool = False,
) -> pa.Table:
    """Return candidates, best first, or the result of `sql`.

    Args:
        root_uri: The catalogue's root.
        sql: A query over the views `candidates` and `scores`, instead of the filters.
        min_p_lens: Smallest `p_lens` of the candidates.
        night: Night of the candidates, YYYY-MM-DD; None for all nights.
        subclass: Subclass of the candidates; None for all.
        limit: Largest number of rows; None for all.
        maps: Return the pixels of the candidates' maps too, 22 kB a row.

    Raises:
        QueryError: SQL and filters are given together, the SQL is wrong, or there is nothing to query.
    """
    if limit is not None and limit < 0:
        raise QueryError(f"limit must be 0 or more, got {limit}")
    if sql is None:
        filters = {"p_lens >= ?": min_p_lens, "night = ?": night, "subclass = ?": subclass}
        given = {condition: value for condition, value in filters.items() if value is not None}
        statement = f"SELECT * FROM candidates WHERE {' AND '.join(given)} ORDER BY p_lens DESC, object_id"  # noqa: S608
        return _run(root_uri, statement, list(given.values()), limit, pixels=maps)
    if min_p_lens or night is not None or subclass is not None:
        raise QueryError("give either SQL or filters, not both")
    return _run(root_uri, sql, [], limit, pixels=True)


def _run(root_uri: str, statement: str, parameters: list[object], limit: int | None, *, pixels: bool) -> pa.Table:
    # DuckDB would download an extension to read S3, so it reads through the client of the store instead.
    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as connection:
        try:
            listed = {view: list_files(join(root_uri, folder), ".parquet") for view, folder in _VIEWS.items()}
            if not any(listed.values()):
                raise QueryError(f"{root_uri}: no sealed candidates and no committed units")
            if is_s3(root_uri):
                connection.register_filesystem(ListedObjects(chain(*listed.values())))
            for view, files in listed.items():
                if files:
                    _create_view(connection, view, files, pixels=pixels)
            parsed = connection.extract_statements(statement)
            if len(parsed) != 1 or parsed[0].type is not duckdb.StatementType.SELECT:
                raise QueryError("the SQL must be one query, such as SELECT * FROM candidates")
            relation = connection.sql(statement, params=parameters)
            table: pa.Table = relation.to_arrow_table()
        except (duckdb.Error, OSError) as error:
            raise QueryError(_one_line_cause(error)) from error
    return table if limit is None else table.slice(0, limit)


def _one_line_cause(error: Exception) -> str:
    """Return the text of an error in one line; if DuckDB quotes the traceback of a failed read, the text of that failure."""
    failure = re.search(r"^Traceback \(most recent.*^[\w.]+Error: ([^\n]+)", str(error), re.DOTALL | re.MULTILINE)
    return " ".join((failure[1] if failure else str(error)).split())[:400]


def _create_view(connection: duckdb.DuckDBPyConnection, view: str, files: list[FileInfo], *, pixels: bool) -> None:
    """Define the view over the files, with or without the pixels of maps."""
    quoted = ", ".join("'" + file.uri.replace("'", "''") + "'" for file in files)
    # The folder's name holds the plan of a score; candidates hold it as a column.
    hive = str(view == "scores").lower()
    options = f"union_by_name = true, hive_partitioning = {hive}, hive_types_autocast = false"
    source = f"read_parquet([{quoted}], {options})"
    columns = "*" if pixels else _all_but_maps(connection.sql(f"FROM {source}").columns)
    connection.execute(f"CREATE VIEW {view} AS SELECT {columns} FROM {source}")  # noqa: S608


def _all_but_maps(columns: list[str]) -> str:
    left_out = {column.name for column in MAP_COLUMNS}
    return ", ".join(f'"{name}"' for name in columns if name not in left_out)
