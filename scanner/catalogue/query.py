"""Query the catalogue with SQL: the views are `candidates` and `scores` (every row), each object once in a night."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import LensscanError
from infra.store.storage import FileInfo, is_s3, join, list_files
from scanner.catalogue.carried import joined_columns
from scanner.catalogue.columns import EMBEDDING, unit_schema
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.night_rows import Found, wanted_rows
from scanner.catalogue.paths import SEALED, plan_id_of_sealed
from scanner.catalogue.plan import load_plan
from scanner.catalogue.selection import Circle
from scanner.catalogue.shown import ShownPlan, shown_plans
from scanner.catalogue.visible import rows_of, selected_plans, unit_files_of, visible_candidates
from scanner.catalogue.wanted import EVERY_CANDIDATE, Wanted
from scanner.vocabulary.skips import SKIPPED_PREFIX

if TYPE_CHECKING:
    # Not imported: only SQL needs it, and it takes as long as the best hundred rows.
    import duckdb

Views = Mapping[str, Callable[[], pa.Table]]
"""Further views by name, and the functions that read them."""
_NO_VIEWS: Views = {}
# DuckDB would download an extension to read S3, so it reads through the client of the store instead. It would also take the
# names of this module's variables for tables.
_SANDBOX = {"autoinstall_known_extensions": False, "autoload_known_extensions": False, "python_enable_replacements": False}
_DATED = "* REPLACE (TRY_CAST(night AS DATE) AS night)"
"""All columns, the night as a date; null for a scan without a night."""


class QueryError(LensscanError):
    """There is nothing to query, or DuckDB does not accept the SQL; the message is one line."""


def query(
    root_uri: str,
    wanted: Wanted = EVERY_CANDIDATE,
    *,
    sql: str | None = None,
    maps: bool = False,
    views: Views = _NO_VIEWS,
) -> pa.Table:
    """Return candidates, best first, or the result of `sql`.

    Args:
        root_uri: The catalogue's root.
        wanted: The candidates; with `sql`, the plans whose rows are in the views, and the largest number of rows.
        sql: A query over the views `candidates` and `scores`, instead of conditions.
        maps: Return the pixels of the candidates' maps too, 73 kB a row, and their embeddings.
        views: Further views for `sql`; only those are read whose name occurs in it.

    Raises:
        QueryError: SQL and conditions are given together, both one plan and all plans are wanted, or the SQL is wrong.
        VisibleError: no scan is complete, or a file is damaged.
        PlanError: no plan, or more than one, begins with `wanted.plan`, or a plan cannot be read.
    """
    return find(root_uri, wanted, sql=sql, maps=maps, views=views).rows


def find(
    root_uri: str,
    wanted: Wanted = EVERY_CANDIDATE,
    *,
    sql: str | None = None,
    maps: bool = False,
    views: Views = _NO_VIEWS,
) -> Found:
    """Return the rows of `query` and, but for `sql`, their number without a limit; arguments and errors as there."""
    if wanted.limit is not None and wanted.limit < 0:
        raise QueryError(f"limit must be 0 or more, got {wanted.limit}")
    if wanted.plan is not None and wanted.all_plans:
        raise QueryError("give either one plan or all plans, not both")
    if sql is None:
        quick = None if wanted.plan is not None or wanted.all_plans else _of_nights(root_uri, wanted, maps=maps)
        if quick is not None:
            return quick
        chosen = _chosen(root_uri, wanted, maps=maps)
    elif wanted.has_conditions:
        raise QueryError("give either SQL or filters, not both")
    else:
        plans = selected_plans(root_uri, plan=wanted.plan, all_plans=wanted.all_plans)
        chosen = _run(root_uri, sql, plans, views, wanted.limit)
    return Found(chosen if wanted.limit is None else chosen.slice(0, wanted.limit), chosen.num_rows)


def _chosen(root_uri: str, wanted: Wanted, *, maps: bool) -> pa.Table:
    """Return all candidates that meet the conditions, from the files of the plans."""
    table = visible_candidates(
        root_uri, night=wanted.night, plan=wanted.plan, all_plans=wanted.all_plans, min_p_lens=wanted.min_p_lens, maps=maps
    )
    if not maps and EMBEDDING.name in table.column_names:
        table = table.drop_columns([EMBEDDING.name])
    chosen = table if wanted.subclass is None else table.filter(pc.equal(table["subclass"], wanted.subclass))
    return chosen if wanted.circle is None else chosen.filter(_inside(wanted.circle, chosen))


def _of_nights(root_uri: str, wanted: Wanted, *, maps: bool) -> Found | None:
    """Return the wanted rows from the nights' files; None if these do not hold them."""
    nights = {label: plans for label, plans in shown_plans(root_uri, wanted.night or "").items() if plans}
    least = max((shown.threshold for plans in nights.values() for shown in plans), default=0.0)
    if not nights or (wanted.min_p_lens is not None and wanted.min_p_lens < least):
        return None
    return wanted_rows(root_uri, nights, wanted, maps=maps)


def _inside(circle: Circle, table: pa.Table) -> pa.Array:
    """Return which rows lie in the circle; a row without a position does not."""
    ra, dec = (table[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
    return pa.array(circle.contains(ra, dec))


def _run(root_uri: str, statement: str, plans: list[ShownPlan], views: Views, limit: int | None) -> pa.Table:
    import duckdb

    from infra.store.listed_objects import ListedObjects

    with (
        TemporaryDirectory(prefix="lensscan-") as spill,
        duckdb.connect(config={**_SANDBOX, "temp_directory": spill}) as connection,
    ):
        try:
            parsed = connection.extract_statements(statement)
            if len(parsed) != 1 or parsed[0].type is not duckdb.StatementType.SELECT:
                raise QueryError("the SQL must be one query, such as SELECT * FROM candidates")
            parts = _parts(root_uri, plans) if "scores" in statement.lower() else None
            sealed = _sealed_files(root_uri, plans) if "candidates" in statement.lower() else None
            files = [*chain(*(parts or {}).values()), *(sealed or ())]
            if is_s3(root_uri):
                connection.register_filesystem(ListedObjects(files))
            for name in views:
                if name in statement.lower():
                    connection.register(name, views[name]())
            if sealed is not None:
                connection.register("_candidates", rows_of(root_uri, plans))
                _create_candidates(connection, sealed)
            if parts:
                _create_scores(connection, parts)
            elif parts is not None:
                connection.register("_scores", _no_scores(root_uri, plans))
                connection.execute(f"CREATE VIEW scores AS SELECT {_DATED} FROM _scores")  # noqa: S608
            connection.execute(
                f"SET allowed_paths = {_list(files)}; SET enable_external_access = false; SET lock_configuration = true"
            )
            # DuckDB takes a COPY inside WITH for a query, which may write to the allowed files; a view may hold none.
            connection.execute(f"CREATE TEMP VIEW _asked AS\n{statement}")
            found = connection.sql(statement)
            if repeated := sorted(name for name, n in Counter(found.columns).items() if n > 1):
                raise QueryError(f"columns must have different names, got {', '.join(repeated)} twice: name them with AS")
            result: pa.Table = (found if limit is None else found.limit(limit)).to_arrow_table()
        except (duckdb.Error, OSError, MemoryError) as error:
            raise QueryError(_cause(error, ("candidates", "scores", *views))) from error
    return result


def _cause(error: Exception, views: Iterable[str]) -> str:
    """Return the text of an error in one line; DuckDB proposes its own tables for one that is not there, this the views."""
    cause, proposal, _ = _one_line_cause(error).partition(' Did you mean "')
    is_table = cause.startswith("Catalog Error: Table")
    return f"{cause} The views are {', '.join(views)}." if is_table and proposal else _one_line_cause(error)


def _one_line_cause(error: Exception) -> str:
    """Return the text of an error in one line; if DuckDB quotes the traceback of a failed read, the text of that failure."""
    failure = re.search(r"^Traceback \(most recent.*^[\w.]+Error: ([^\n]+)", str(error), re.DOTALL | re.MULTILINE)
    return " ".join((failure[1] if failure else str(error)).split())[:400]


def _sealed_files(root_uri: str, plans: list[ShownPlan]) -> list[FileInfo]:
    """Return the candidate files of the plans, which have the maps; an unsealed plan has none."""
    ids = {shown.plan_id for shown in plans}
    return [file for file in list_files(join(root_uri, SEALED)) if plan_id_of_sealed(file.uri) in ids]


class _Place(NamedTuple):
    """The place of a plan in its night."""

    n_newer: int
    """Number of newer plans; the objects that these looked at are left out of its rows."""
    hides: bool
    """Whether there are older plans."""


def _parts(root_uri: str, plans: list[ShownPlan]) -> dict[_Place, list[FileInfo]]:
    """Return the unit files whose rows are shown, by the place of their plan."""
    parts: dict[_Place, list[FileInfo]] = {}
    hiding = {newer for shown in plans for newer in shown.newer}
    for shown in plans:
        parts.setdefault(_Place(len(shown.newer), shown in hiding), []).extend(unit_files_of(root_uri, shown))
    return {place: files for place, files in parts.items() if files}


def _create_candidates(connection: "duckdb.DuckDBPyConnection", sealed: list[FileInfo]) -> None:
    """Define the view of candidates: all numbers from the registered table, and maps from the files."""
    source = _source(sealed) if sealed else "_candidates"
    maps = [column.name for column in MAP_COLUMNS if column.name in connection.sql(f"FROM {source}").columns]
    columns = ", ".join(["plan_id", "object_id", *maps])
    pixels = f"LEFT JOIN (SELECT {columns} FROM {source}) USING (plan_id, object_id)"  # noqa: S608
    connection.execute(f"CREATE VIEW candidates AS SELECT {_DATED} FROM _candidates {pixels if maps else ''}")  # noqa: S608


def _create_scores(connection: "duckdb.DuckDBPyConnection", parts: dict[_Place, list[FileInfo]]) -> None:
    """Define the view of all rows; where no other plan of a night hides objects, it is a plain read of the unit files."""
    n_places, some_hide = 1 + max(place.n_newer for place in parts), any(place.hides for place in parts)
    has_skipped = some_hide and _create_first(connection, parts, n_places)
    selections = []
    for place, files in parts.items():
        own = f"own.night = f.night AND own.object_id = f.object_id AND f.rank < {_rank('own.', place, n_places)}"
        hidden = f"ANTI JOIN _first f ON {own}" if (some_hide and place.n_newer) or (place.hides and has_skipped) else ""
        selections.append(f"SELECT own.* FROM {_source(files, names=True)} own {hidden}")  # noqa: S608
    rows = " UNION ALL BY NAME ".join(selections)
    # The last such folder of a path is the catalogue's own, wherever the catalogue lies.
    plan = "regexp_extract(filename, '.*/plan=([^/]*)/', 1) AS plan_id"
    with_plan = f"SELECT * EXCLUDE (filename), {plan} FROM ({rows})"  # noqa: S608
    connection.execute(f"CREATE VIEW scores AS SELECT {_DATED} FROM ({with_plan})")  # noqa: S608


def _create_first(connection: "duckdb.DuckDBPyConnection", parts: dict[_Place, list[FileInfo]], n_places: int) -> bool:
    """Create the table of the row of each object that hides its others in a night; return whether any row is skipped.

    The ids of plans that hide others are read once. Those of the oldest plans are read only where newer plans skipped rows,
    because an older row of an object that was looked at takes the place of these.
    """
    ids = " UNION ALL ".join(
        f"SELECT night, object_id, {_rank('', place, n_places)} AS rank FROM {_source(files)}"  # noqa: S608
        for place, files in parts.items()
        if place.hides
    )
    ranks = "min(rank) AS rank, max(rank) AS last"
    connection.execute(f"CREATE TEMP TABLE _first AS SELECT night, object_id, {ranks} FROM ({ids}) GROUP BY night, object_id")  # noqa: S608
    has_skipped = bool(connection.sql(f"FROM _first WHERE last >= {n_places} LIMIT 1").fetchall())
    for place, files in parts.items():
        if has_skipped and place.n_newer and not place.hides:
            skipped = f"(SELECT night, object_id FROM _first WHERE rank >= {n_places})"  # noqa: S608
            older = f"{_source(files)} SEMI JOIN {skipped} USING (night, object_id) WHERE NOT {_is_skipped('')}"
            connection.execute(f"INSERT INTO _first SELECT night, object_id, {place.n_newer}, 0 FROM {older}")  # noqa: S608
    return has_skipped


def _rank(table: str, place: _Place, n_places: int) -> str:
    """Return the SQL of a row's rank among those of its object: rows of newer plans come first, and skipped ones last."""
    return f"({place.n_newer} + CASE WHEN {_is_skipped(table)} THEN {n_places} ELSE 0 END)"


def _is_skipped(table: str) -> str:
    return f"starts_with({table}status, '{SKIPPED_PREFIX}')"


def _no_scores(root_uri: str, plans: list[ShownPlan]) -> pa.Table:
    """Return the view of all rows where no unit is committed: no plan names its networks, so their columns are absent."""
    known = [load_plan(root_uri, shown.plan_id) for shown in plans]
    schema = unit_schema(
        (),
        maps=any(plan.config.maps_per_unit for plan in known),
        carried=[column.field for column in joined_columns(chain.from_iterable(plan.columns for plan in known))],
        embeddings=any(plan.config.reference_sha256 for plan in known),
    )
    return schema.append(pa.field("plan_id", pa.string())).empty_table()


def _source(files: list[FileInfo], *, names: bool = False) -> str:
    """Return the SQL that reads the files; with `names`, the path of its file is a column of each row."""
    # Else a folder above the catalogue, such as night=2026-01-01, would give a column its value.
    options = f"union_by_name = true, hive_partitioning = false, filename = {str(names).lower()}"
    return f"read_parquet({_list(files)}, {options})"


def _list(files: list[FileInfo]) -> str:
    return "[" + ", ".join("'" + file.uri.replace("'", "''") + "'" for file in files) + "]"
