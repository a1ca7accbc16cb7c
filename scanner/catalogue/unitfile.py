"""Write and read unit files: Parquet tables with page checksums, and with a footer that names the plan and the unit."""

import base64
import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json, code_version, sha256_bytes
from infra.store.storage import FileInfo, list_files, read_bytes
from scanner.catalogue.columns import unit_schema_like
from scanner.catalogue.embeddings import EmbeddingError, check_embeddings
from scanner.catalogue.maps import MapError, check_maps
from scanner.catalogue.outcomes import SCORED, SKIPPED, candidate_mask, count_statuses
from scanner.catalogue.paths import UNIT_SUFFIX, unit_id_of, unit_uri, units_uri
from scanner.catalogue.plan import Plan
from scanner.catalogue.skipped import SelectionError, check_source_selection
from scanner.catalogue.units import Unit, id_digest

_FOOTER_KEY = b"lensscan.unit"


class UnitFileError(LensscanError):
    """A unit file is damaged, or is not the result of the unit it is named for."""


class Footer(Frozen):
    """Metadata of a unit file about its origin and its rows."""

    plan_id: str
    unit_id: str
    attempt: str
    n_rows: int
    n_scored: int
    n_rejected: int
    n_skipped: int = 0
    """Number of rows that the selection of sources leaves out."""
    n_candidates: int
    id_digest: str
    ensemble_sha256: str
    code_version: str


@dataclass(frozen=True)
class UnitFile:
    """Content of a unit file."""

    table: pa.Table
    footer: Footer
    sha256: str


def unit_files(root_uri: str, plan_id: str) -> dict[str, FileInfo]:
    """Return the files of the committed units of a plan by unit id, from a fresh listing.

    Raises:
        StorageError: the store failed.
    """
    # A file in a subfolder is not a committed unit.
    files = list_files(units_uri(root_uri, plan_id), UNIT_SUFFIX)
    return {unit_id: file for file in files if (unit_id := unit_id_of(file.uri, plan_id)) is not None}


def make_footer(table: pa.Table, unit: Unit, plan: Plan, attempt: str) -> Footer:
    """Return the footer for a table of `unit_schema`."""
    counts = count_statuses(table)
    n_scored, n_skipped = counts.get(SCORED, 0), counts.get(SKIPPED, 0)
    return Footer(
        plan_id=plan.plan_id,
        unit_id=unit.unit_id,
        attempt=attempt,
        n_rows=table.num_rows,
        n_scored=n_scored,
        n_rejected=table.num_rows - n_scored - n_skipped,
        n_skipped=n_skipped,
        n_candidates=candidate_mask(table, plan.config.candidate_threshold).to_pylist().count(True),
        id_digest=id_digest(table["object_id"].to_numpy()),
        ensemble_sha256=plan.ensemble_sha256,
        code_version=plan.code_version,
    )


def encode_unit(table: pa.Table, footer: Footer) -> bytes:
    """Return Parquet bytes; equal tables and footers give equal bytes."""
    return encode_table(table.replace_schema_metadata({_FOOTER_KEY: canonical_json(footer.model_dump())}))


def encode_table(table: pa.Table) -> bytes:
    """Return Parquet bytes with the compression and page checksums of a unit file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def read_back(data: bytes, where: str) -> UnitFile:
    """Read a unit file, verify its page checksums and the names of its columns; the footer is not checked.

    Raises:
        UnitFileError: the file is damaged or no unit file; the message starts with `where`.
    """
    try:
        # Opened once: a survey has 56 000 small files, and `read_table` takes twice as long for one.
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            table, about = file.read(), file.metadata.metadata
        footer = Footer.model_validate_json((table.schema.metadata or {}).get(_FOOTER_KEY, b""))
        table = table.replace_schema_metadata(None)
        # Page checksums do not cover the schema, which the file holds twice.
        columns = unit_schema_like(table.schema)
        if not table.schema.equals(columns) or table.schema.names != _names_for_arrow(about):
            raise UnitFileError(f"{where}: its columns are not those of a unit file")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UnitFileError(f"{where}: not a readable unit file: {' '.join(str(error).split())[:200]}") from error
    return UnitFile(table, footer, sha256_bytes(data))


def decode_unit(data: bytes, unit: Unit, plan: Plan, where: str) -> UnitFile:
    """Read a unit file with `read_back`, and recompute its footer from its rows.

    Raises:
        UnitFileError: the file is damaged or is not the result of `unit` of `plan`; the message starts with `where`.
    """
    stored = read_back(data, where)
    table, footer = stored.table, stored.footer
    try:
        if table["object_id"].null_count or table["status"].null_count:
            raise UnitFileError(f"{where}: has rows without id or status")
        check_maps(table, plan.config)
        check_embeddings(table, plan.config)
        check_source_selection(table, unit, plan)
        expected = make_footer(table, unit, plan, footer.attempt)
    except (EmbeddingError, MapError, SelectionError) as error:
        raise UnitFileError(f"{where}: {error}") from error
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UnitFileError(f"{where}: not a readable unit file: {' '.join(str(error).split())[:200]}") from error
    if footer != expected:
        wrong = [name for name, value in footer if value != getattr(expected, name)]
        raise UnitFileError(f"{where}: its footer does not fit its rows or plan {plan.plan_id[:12]}: {', '.join(wrong)}")
    if (footer.n_rows, footer.id_digest) != (unit.n_rows, unit.id_digest):
        raise UnitFileError(f"{where}: holds other rows than the plan: {footer.n_rows} against {unit.n_rows} planned")
    return stored


def encode_again(found: UnitFile) -> bytes:
    """Encode the rows of a unit file once more."""
    schema = unit_schema_like(found.table.schema)
    return encode_unit(pa.Table.from_arrays(found.table.combine_chunks().columns, schema=schema), found.footer)


def is_as_written(data: bytes, again: bytes, code: str) -> bool | None:
    """Return whether a readable file, written by `code`, equals its rows encoded `again`; None if that is undecidable.

    Different bytes show damage only if the same program and Parquet writer encoded both. The comparison is needed because
    page checksums cover neither the statistics, by which readers skip rows, nor the metadata of the columns.
    """
    if data == again:
        return True
    try:
        written_by = pq.read_metadata(pa.BufferReader(data)).created_by
    except UnicodeDecodeError:
        return False
    same = code == code_version() and written_by == f"parquet-cpp-arrow version {pa.cpp_version}"
    return False if same else None


def _names_for_arrow(about: dict[bytes, bytes] | None) -> list[str]:
    """Return the column names of the Arrow schema in Parquet's metadata, which is stored next to Parquet's own schema."""
    schema = base64.b64decode((about or {})[b"ARROW:schema"])
    names: list[str] = pa.ipc.read_schema(pa.py_buffer(schema)).names
    return names


def read_unit(root_uri: str, unit: Unit, plan: Plan, data: bytes | None = None) -> UnitFile:
    """Read a committed unit, once more if its bytes are wrong, because they may have changed on the way from a store.

    Args:
        root_uri: The catalogue's root.
        unit: A unit of `plan`.
        plan: The plan.
        data: Bytes of the file, if they were read already.

    Raises:
        FileNotFoundError: the unit is not committed.
        UnitFileError: the file is damaged or is not the result of the unit.
    """
    uri = unit_uri(root_uri, plan.plan_id, unit.unit_id)
    data = read_bytes(uri) if data is None else data
    try:
        return decode_unit(data, unit, plan, uri)
    except UnitFileError:
        if (again := read_bytes(uri)) == data:
            raise
        return decode_unit(again, unit, plan, uri)
