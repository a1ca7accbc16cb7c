"""Write the file of a night that people read: the candidates that the night shows, each once, in `candidates/`.

The file follows from the sealed plans and the records of what is shown. Its metadata say which record it was made from, so a
scan notices a file that is missing or old and writes it again.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import pyarrow as pa
import pyarrow.parquet as pq

from infra.provenance import canonical_json
from infra.store.replacement import replace
from infra.store.storage import StorageError, join, list_files, open_read
from scanner.catalogue.candidates import ROWS_PER_GROUP
from scanner.catalogue.columns import ORIGIN_COLUMNS
from scanner.catalogue.gate import asked, is_waiting
from scanner.catalogue.journal import Entry
from scanner.catalogue.maps import with_maps_as
from scanner.catalogue.night_maps import NightMaps
from scanner.catalogue.paths import CANDIDATES, label_of_night_file, night_label, night_uri
from scanner.catalogue.plan import Plan
from scanner.catalogue.shown import ShownPlan, record_shown, replaced_by, show_records, shown_plans
from scanner.catalogue.visible import VisibleError, rows_of
from scanner.purity import PurityTable

_KEY = b"lensscan.shown"
_LIGHT_ROWS_PER_GROUP = 2**14
"""Rows of a row group in files without maps: readers of the best rows read the first group alone."""


class NightFault(StrEnum):
    """The reason why a night's file is wrong."""

    OLD = "is missing or old"
    DAMAGED = "is damaged"
    WITHOUT_PLAN = "belongs to a night that shows no plan"


def show(plan: Plan, root_uri: str, threshold: float | None = None, purity: PurityTable | None = None) -> str:
    """Make a sealed plan the newest one that its night shows, write the night's file, and return the URI of this file.

    A plan that is the newest already is not recorded again, and a file that is up to date is not written again. After an
    interruption, the same call finishes the work.

    Args:
        plan: A sealed plan.
        root_uri: The catalogue's root.
        threshold: Smallest `p_lens` that is shown; by default the one that the plan's newest scan asked for.
        purity: Expected purity of the plan's ensemble; by default what that scan stated.

    Raises:
        JournalError: an entry of the night is damaged.
        SealError: a seal is damaged.
        VisibleError: a candidate file is damaged.
        StorageError: the store failed.
    """
    label = night_label(plan.night)
    entry = asked(plan, root_uri)
    if threshold is None:
        threshold = entry.threshold if entry else plan.config.candidate_threshold
    written = record_shown(root_uri, label, plan.plan_id, threshold, purity or (entry.purity if entry else None))
    write_night(root_uri, label, written)
    return night_uri(root_uri, label)


def show_once(plan: Plan, root_uri: str, purity: PurityTable | None = None, *, replacing: bool = False) -> str | None:
    """Show a sealed plan unless its night has shown it before; write the night's file and return its URI; raises as `show`.

    A plan that no record names may be older than the plans that are shown. So if one of them holds its units, the plan is not
    shown, and the result is None; with `replacing`, it is shown all the same. A plan that waits for its promotion is not shown.
    """
    if is_waiting(plan, root_uri):
        return None
    label = night_label(plan.night)
    is_new = all(record.plan_id != plan.plan_id for record in show_records(root_uri, label).get(label, ()))
    if is_new and (replacing or not replaced_by(plan, root_uri)):
        return show(plan, root_uri, purity=purity)
    write_night(root_uri, label)
    return None if is_new else night_uri(root_uri, label)


@contextmanager
def open_night(root_uri: str, label: str, plans: list[ShownPlan]) -> Iterator[pq.ParquetFile]:
    """Open the file of a night that shows exactly these plans, newest first; write it first where it is missing or old.

    Raises:
        VisibleError: the night shows other plans by now.
        OSError, pyarrow.ArrowException: the file is damaged; a read may raise the same.
        LensscanError: as for `show`.
    """
    uri = night_uri(root_uri, label)
    if _state_of_file(uri) != _state(plans):
        write_night(root_uri, label)
    with open_read(uri) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
        if json.loads((file.metadata.metadata or {}).get(_KEY, b"null")) != _state(plans):
            raise VisibleError(f"{uri}: shows other scans than a moment ago; run the same command again")
        yield file


@contextmanager
def open_if_current(root_uri: str, label: str, plans: list[ShownPlan]) -> Iterator[pq.ParquetFile | None]:
    """Open the file of a night that shows these plans, newest first; give None where it is missing or old.

    Raises:
        OSError, pyarrow.ArrowException: the file is damaged; a read may raise the same.
        StorageError: the store failed.
    """
    try:
        source = open_read(night_uri(root_uri, label))
    except FileNotFoundError:
        yield None
        return
    with source, pq.ParquetFile(source, page_checksum_verification=True) as file:
        written = json.loads((file.metadata.metadata or {}).get(_KEY, b"null"))
        yield file if written == _state(plans) else None


def write_night(root_uri: str, label: str, entry: Entry | None = None) -> None:
    """Write the file of a night again if it does not show what the records say; raises as `show`.

    The file holds the caller's own `entry`, too, if a listing does not have it yet. A writer looks at the records once more
    after it has written. If a newer record came meanwhile, the newer file may be overwritten, so the writer writes that state
    too.
    """
    uri = night_uri(root_uri, label)
    written = _state_of_file(uri)
    while (plans := shown_plans(root_uri, label, written=entry).get(label)) and _state(plans) != written:
        written = _state(plans)
        replace(uri, _encode(root_uri, plans, written))


def was_written_with(plan_id: str, root_uri: str, label: str) -> bool:
    """Return whether the file of a night was written while the night showed a plan; false for a damaged or missing file."""
    written = _state_of_file(night_uri(root_uri, label))
    return isinstance(written, list) and any(shown["plan_id"] == plan_id for shown in written)


def wrong_night_files(root_uri: str, *, deep: bool = False) -> dict[str, NightFault]:
    """Return the URIs of night files that do not show what the records say, and why; with `deep`, also compare all rows.

    Raises:
        JournalError: a record is damaged.
        SealError: a seal is damaged.
        VisibleError: a plan's own candidate file is damaged.
        StorageError: the store failed.
    """
    there = {label_of_night_file(file.uri) for file in list_files(join(root_uri, CANDIDATES))}

    def fault(uri: str, plans: list[ShownPlan], *, is_there: bool) -> NightFault | None:
        if not plans or not is_there:
            return (NightFault.OLD if plans else NightFault.WITHOUT_PLAN) if plans or is_there else None
        written = _state_of_file(uri)
        if written is not None and written != _state(plans):
            return NightFault.OLD
        is_good = written is not None and (not deep or _has_rows(uri, rows_of(root_uri, plans, maps=True)))
        return None if is_good else NightFault.DAMAGED

    nights = {(label, night_uri(root_uri, label)): plans for label, plans in shown_plans(root_uri).items()}
    found = {uri: fault(uri, plans, is_there=label in there) for (label, uri), plans in nights.items()}
    return {uri: why for uri, why in found.items() if why}


def _state(plans: list[ShownPlan]) -> list[dict[str, object]]:
    """Return what a night shows, to be kept in the metadata of its file; `plans` are newest first."""
    return [{"plan_id": shown.plan_id, "threshold": shown.threshold, "record": shown.record} for shown in plans]


def _has_rows(uri: str, table: pa.Table) -> bool:
    """Return whether a night's file is readable and holds exactly these rows."""
    try:
        with open_read(uri) as source:
            found = pq.read_table(source, partitioning=None, page_checksum_verification=True)
        return bool(with_maps_as("large", found).replace_schema_metadata(None).equals(table))
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError):
        return False


def _state_of_file(uri: str) -> object:
    """Return the state that a night's file was made from; None if the file is missing or damaged."""
    try:
        with open_read(uri) as source:
            return json.loads((pq.read_metadata(source).metadata or {}).get(_KEY, b"null"))
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError):
        return None


def _encode(root_uri: str, plans: list[ShownPlan], state: object) -> bytes:
    """Return the bytes of a night's file: maps in lists of fixed size, in row groups that a reader can hold.

    Memory holds the rows without their maps, and the maps of one group.
    """
    rows = rows_of(root_uri, plans)
    maps = NightMaps(root_uri, plans, rows)
    n_rows = ROWS_PER_GROUP if maps.are_there else _LIGHT_ROWS_PER_GROUP
    sink, writer = io.BytesIO(), None
    for start in range(0, max(rows.num_rows, 1), n_rows):
        group = rows.slice(start, n_rows)
        if maps.are_there:
            group = _with_maps(group, maps.columns(start, start + group.num_rows))
        schema = group.schema.with_metadata({_KEY: canonical_json(state)})
        writer = writer or pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True)
        writer.write_table(pa.Table.from_arrays(group.combine_chunks().columns, schema=schema))
    if writer is not None:
        writer.close()
    return sink.getvalue()


def _with_maps(rows: pa.Table, maps: pa.Table) -> pa.Table:
    """Put the maps where the catalogue has them, before the origin of the rows."""
    at = rows.column_names.index(ORIGIN_COLUMNS[0].name)
    for i, field in enumerate(maps.schema):
        rows = rows.add_column(at + i, field, maps[field.name])
    return rows
