"""Files of scores: Parquet, CSV, FITS or VOTable."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import LensscanError
from scanner.catalogue.table_files import PARQUET_PREFIX, TABLE_SUFFIXES, check_path, write_table

SCORE_SUFFIXES = TABLE_SUFFIXES
"""Endings of the names of files of scores, in lower case."""
_ENSEMBLE = "ensemble"
_MARKS = (b"object_id", b"status", b"p_lens")
"""Names of columns that the beginning of every file of scores has, except in Parquet, whose schema stands at the end."""
_BEGINNING_BYTES = 2**16


class ScoreFileError(LensscanError):
    """The scores cannot be written to the given path."""


def check_score_path(path: Path, option: str, *, overwrite: bool = False) -> None:
    """Check, before long work, that a table of scores can be written to `path`, which `option` named.

    Args:
        path: File to write.
        option: The same as the user wrote it.
        overwrite: Whether the file may hold scores, which are replaced.

    Raises:
        ScoreFileError: the path is no local file, has another ending, cannot be written, is a file of something else, or exists
            and may not be replaced.
    """
    if path.exists() and path.suffix.lower() in SCORE_SUFFIXES:
        if not _has_scores(path):
            raise ScoreFileError(f"--out {option} exists and is not a file of scores; it is not replaced")
        if not overwrite:
            raise ScoreFileError(f"--out {option} exists; it is not replaced without --overwrite")
    try:
        check_path(path, option)
    except ValueError as error:
        raise ScoreFileError(str(error)) from error


def write_scores(table: pa.Table, path: Path, ensemble: str, sha256: str) -> None:
    """Write scores in the format of the path's ending, or replace such a file whole.

    All formats but CSV name the ensemble and its digest in their metadata.

    Raises:
        ScoreFileError: FITS or VOTable cannot hold a text or a name.
        OSError: the file cannot be written.
    """
    try:
        write_table(table, path, {_ENSEMBLE: ensemble, "sha256": sha256})
    except ValueError as error:
        raise ScoreFileError(str(error)) from error


def _has_scores(path: Path) -> bool:
    try:
        if path.suffix.lower() == ".parquet":
            return f"{PARQUET_PREFIX}{_ENSEMBLE}".encode() in (pq.read_schema(path).metadata or {})
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING_BYTES)
    except (pa.ArrowInvalid, OSError):
        return False
    return all(mark in beginning for mark in _MARKS)
