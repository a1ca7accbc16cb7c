"""Candidates as a file: a table, records, or regions that DS9 shows over an image."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from infra.errors import LensscanError
from infra.json_values import finite
from infra.store.files import replace_whole
from scanner.catalogue.astropy_table import described
from scanner.catalogue.table_files import TABLE_SUFFIXES, check_path, write_table

JSON_SUFFIX, REGIONS_SUFFIX = ".json", ".reg"
EXPORT_SUFFIXES = (*TABLE_SUFFIXES, JSON_SUFFIX, REGIONS_SUFFIX)
"""Endings of the names of files, in lower case."""
REGION_RADIUS_ARCSEC = 3.0
"""Radius of a candidate's circle in a file of regions."""
_NUMBERS = ("ra", "dec", "p_lens")
"""Columns of numbers that a file of regions needs."""
_ROWS_AT_A_TIME = 4096
"""Number of rows that are Python objects at once."""


class ExportError(LensscanError):
    """The rows cannot be written to the given path."""


def export_path(name: str, option: str, *, overwrite: bool = False, suffixes: Sequence[str] = EXPORT_SUFFIXES) -> Path:
    """Return the path of a name, after a check that rows can be written there.

    Args:
        name: Name of the file.
        option: Option or argument of the command that gave it, for messages.
        overwrite: Whether the file may exist.
        suffixes: Endings that the name may have.

    Raises:
        ExportError: the path is no local file, has another ending, exists, or cannot be written.
    """
    path = Path(name)
    if path.is_dir():
        raise ExportError(f"{option} {name} is a folder, must be a file")
    if path.exists() and not overwrite:
        raise ExportError(f"{option} {name} exists; it is not replaced without --overwrite")
    try:
        check_path(path, name, suffixes, option)
    except ValueError as error:
        raise ExportError(str(error)) from error
    return path


def export(table: pa.Table, path: Path, source: str) -> int:
    """Write rows of the catalogue, with their units and descriptions where the format has them; return how many.

    A file of regions leaves out rows without a position.

    Args:
        table: Rows; a file of regions needs their columns `ra`, `dec`, `p_lens`, and `candidate_id` or `object_id`.
        path: File whose ending says the format.
        source: Catalogue that the rows come from, which the file's metadata name.

    Raises:
        ExportError: the format cannot hold the rows.
    """
    n = table.num_rows
    try:
        if path.suffix.lower() == REGIONS_SUFFIX:
            circles = _regions(table)
            with replace_whole(path) as part:
                part.write_text("\n".join(["# Region file format: DS9 version 4.1", "icrs", *circles, ""]), encoding="utf-8")
            n = len(circles)
        elif path.suffix.lower() == JSON_SUFFIX:
            with replace_whole(path) as part, part.open("w", encoding="utf-8") as file:
                file.writelines(_records(table))
        else:
            write_table(described(table), path, {"catalogue": source})
    except (ValueError, OSError) as error:
        raise ExportError(str(error)) from error
    return n


def _records(table: pa.Table) -> Iterator[str]:
    """Yield a JSON list with an object for each row, one a line; unknown numbers are null, and other values are texts."""
    before = "[\n"
    for batch in table.to_batches(_ROWS_AT_A_TIME):
        for row in batch.to_pylist():
            yield before + json.dumps(finite(row), default=str, ensure_ascii=False, allow_nan=False)
            before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def _regions(table: pa.Table) -> list[str]:
    """Return a circle for each row with a position, named by its candidate or else its object, and its score."""
    _check_regions(table)
    ids = [name for name in ("candidate_id", "object_id") if name in table.column_names]
    circles = []
    for row in table.select([*_NUMBERS, *ids]).to_pylist():
        if row["ra"] is not None and row["dec"] is not None:
            known = [str(row[name]) for name in ids if row[name] is not None][:1]
            score = [] if row["p_lens"] is None else [_score(row["p_lens"])]
            name = " ".join(known + score)
            circles.append(f'circle({row["ra"]:.7f},{row["dec"]:.7f},{REGION_RADIUS_ARCSEC:g}") # text={{{name}}}')
    return circles


def _score(p_lens: float) -> str:
    """Return a score with three digits; one that would round to 1 is given as a limit, as everywhere."""
    text = f"{p_lens:.3g}"
    return "p_lens>0.999" if text == "1" else f"p_lens={text}"


def _check_regions(table: pa.Table) -> None:
    needed = ("ra", "dec", "candidate_id", "p_lens")
    # An object's own id names it where it has no other name.
    there = {*table.column_names, *(["candidate_id"] if "object_id" in table.column_names else [])}
    if lacking := [name for name in needed if name not in there]:
        raise ValueError(f"a file of regions needs the columns {', '.join(needed)}, these rows lack {', '.join(lacking)}")
    for name in _NUMBERS:
        kind = table.schema.field(name).type
        if not any(is_such(kind) for is_such in (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)):
            raise ValueError(f"a file of regions needs numbers in {name}, got {kind}")
