"""Files of scores: Parquet, CSV, FITS or VOTable."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from infra.errors import LensscanError
from infra.quiet import without_warnings
from infra.store.files import check_replaceable, one_line, replace_whole
from scanner.catalogue.astropy_table import astropy_table

SCORE_SUFFIXES = (".parquet", ".csv", ".fits", ".vot")
"""Endings of the names of files of scores, in lower case."""
_ENSEMBLE_KEY = "lensscan.ensemble"
_MARKS = (b"object_id", b"status", b"p_lens")
"""Names of columns that the beginning of every file of scores has, except in Parquet, whose schema stands at the end."""
_BEGINNING_BYTES = 2**16


class ScoreFileError(LensscanError):
    """The scores cannot be written to the given path."""


def check_score_path(path: Path, option: str) -> None:
    """Check, before long work, that a table of scores can be written to `path`, which `option` named.

    Raises:
        ScoreFileError: the path is no local file, has another ending, cannot be written, or is a file of something else.
    """
    if "://" in option:
        raise ScoreFileError(f"--out must be a local file, got {option}")
    if path.suffix.lower() not in SCORE_SUFFIXES:
        raise ScoreFileError(f"--out must be a file that ends in {', '.join(SCORE_SUFFIXES)}, got {option}")
    if path.exists() and not _has_scores(path):
        raise ScoreFileError(f"--out {option} exists and is not a file of scores; it is not replaced")
    try:
        check_replaceable(path)
    except OSError as error:
        raise ScoreFileError(f"{option}: cannot be written: {error.strerror}") from error


def write_scores(table: pa.Table, path: Path, ensemble: str, sha256: str) -> None:
    """Write scores in the format of the path's ending, or replace such a file whole.

    All formats but CSV name the ensemble and its digest in their metadata.

    Raises:
        ScoreFileError: FITS or VOTable cannot hold a text or a name.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    with replace_whole(path) as part:
        if suffix == ".parquet":
            table = table.replace_schema_metadata({_ENSEMBLE_KEY: ensemble, f"{_ENSEMBLE_KEY}_sha256": sha256})
            pq.write_table(table, part, compression="zstd", write_page_checksum=True)
        elif suffix == ".csv":
            pa.csv.write_csv(table, part)
        else:
            found = astropy_table(_without_nulls(table))
            found.meta.update({"ENSEMBLE": ensemble, "SHA256": sha256})
            try:
                with without_warnings():
                    found.write(part, format="fits" if suffix == ".fits" else "votable", overwrite=True)
            except (ValueError, TypeError) as error:
                why = f"cannot hold this table: {one_line(error)}; Parquet and CSV can"
                raise ScoreFileError(f"{path}: a {suffix} file {why}") from error


def _has_scores(path: Path) -> bool:
    try:
        if path.suffix.lower() == ".parquet":
            return _ENSEMBLE_KEY.encode() in (pq.read_schema(path).metadata or {})
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING_BYTES)
    except (pa.ArrowInvalid, OSError):
        return False
    return all(mark in beginning for mark in _MARKS)


def _without_nulls(table: pa.Table) -> pa.Table:
    """Return the table with NaN for null in columns of floating-point numbers, and an empty text in those of texts."""
    for i, field in enumerate(table.schema):
        empty = np.nan if pa.types.is_floating(field.type) else "" if pa.types.is_string(field.type) else None
        if empty is not None:
            table = table.set_column(i, field, pc.fill_null(table[i], pa.scalar(empty, field.type)))
    return table
