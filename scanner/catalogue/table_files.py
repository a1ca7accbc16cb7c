"""Tables as files that other programs open: Parquet, CSV, FITS or VOTable."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info
from astropy.table import Table

from infra.quiet import without_warnings
from infra.spreadsheet_texts import protected_table
from infra.store.files import check_replaceable, one_line, replace_whole
from scanner.catalogue.astropy_table import astropy_table

TABLE_SUFFIXES = (".parquet", ".csv", ".fits", ".vot")
"""Endings of the names of files, in lower case."""
PARQUET_PREFIX = "lensscan."
"""Beginning of the names of facts in the metadata of Parquet files."""


def check_path(path: Path, name: str, suffixes: Sequence[str] = TABLE_SUFFIXES, option: str = "--out") -> None:
    """Check, before long work, that a file of one of some formats can be written to `path`, which an option gave as `name`.

    Raises:
        ValueError: the path is no local file, has another ending, or cannot be written.
    """
    if "://" in name:
        raise ValueError(f"{option} must be a local file, got {name}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{option} must be a file that ends in {', '.join(suffixes)}, got {name}")
    try:
        check_replaceable(path)
    except OSError as error:
        raise ValueError(f"{name}: cannot be written: {error.strerror}") from error


def write_table(table: pa.Table, path: Path, facts: Mapping[str, str]) -> None:
    """Write a table in the format of the path's ending, or replace such a file whole.

    Args:
        table: The rows. FITS and VOTable hold NaN for null in columns of floating-point numbers, and an empty text for a text.
        path: File to write.
        facts: Facts about the whole table by name, which all formats but CSV keep in their metadata.

    Raises:
        ValueError: FITS or VOTable cannot hold a text or a name.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    with replace_whole(path) as part:
        if suffix == ".parquet":
            kept = {f"{PARQUET_PREFIX}{name}": value for name, value in facts.items()}
            pq.write_table(table.replace_schema_metadata(kept), part, compression="zstd", write_page_checksum=True)
        elif suffix == ".csv":
            write_csv(table, part)
        else:
            try:
                with without_warnings():
                    (_write_fits if suffix == ".fits" else _write_votable)(astropy_table(_without_nulls(table)), part, facts)
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"{path}: a {suffix} file cannot hold this table: {one_line(error)}; Parquet and CSV can"
                ) from error


def write_csv(table: pa.Table, target: Path | BinaryIO) -> None:
    """Write a table as CSV in UTF-8, in which no cell is a formula."""
    pa.csv.write_csv(protected_table(table), target)


def _write_fits(table: Table, path: Path, facts: Mapping[str, str]) -> None:
    table.meta.update({name.upper(): value for name, value in facts.items()})
    table.write(path, format="fits", overwrite=True)


def _write_votable(table: Table, path: Path, facts: Mapping[str, str]) -> None:
    document = from_table(table)
    # Astropy's own writer drops the metadata of the table.
    document.resources[0].infos.extend(Info(name=name, value=value) for name, value in facts.items())
    document.to_xml(str(path))


def _without_nulls(table: pa.Table) -> pa.Table:
    """Return the table with NaN for null in columns of floating-point numbers, and an empty text in those of texts."""
    for i, field in enumerate(table.schema):
        empty = np.nan if pa.types.is_floating(field.type) else "" if pa.types.is_string(field.type) else None
        if empty is not None:
            table = table.set_column(i, field, pc.fill_null(table[i], pa.scalar(empty, field.type)))
    return table
