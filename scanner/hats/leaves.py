"""Write the leaves of a collection: rows sorted by their pixel, described for every reader, a few of them in memory."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scanner.catalogue.candidates import ROWS_PER_GROUP
from scanner.catalogue.carried import CarriedColumn
from scanner.catalogue.columns import HEALPIX, has_maps, published_schema
from scanner.catalogue.paths import night_label
from scanner.catalogue.spool import Spool
from scanner.hats.manifest import Leaf, Part
from scanner.hats.paths import MERGED, NAME, leaf_path
from scanner.hats.sky import partition_of
from scanner.hats.votable import with_votable

_ORDER = [(HEALPIX.name, "ascending"), ("object_id", "ascending"), ("night", "ascending")]
_LIGHT_ROWS_PER_GROUP = 65536
"""Rows of a row group without maps."""


def night_leaves(spool: Spool, label: str, schema: pa.Schema, folder: Path) -> list[Leaf]:
    """Write the rows of one night, which have the columns of `schema`, below a folder: one leaf for each partition."""
    light = spool.light()
    order = pc.sort_indices(light.select([name for name, _ in _ORDER]), sort_keys=_ORDER).to_numpy()
    pixels = partition_of(light[HEALPIX.name].to_numpy())[order]
    starts = np.flatnonzero(np.diff(pixels, prepend=-1))
    leaves = []
    for start, end in zip(starts, [*starts, len(order)][1:], strict=True):
        pixel, path = int(pixels[start]), folder / leaf_path(int(pixels[start]), label)
        rows = _Rows(spool.groups(order[start:end], rows_per_group(schema), schema))
        stored = _write(rows, schema, path, light.take(pa.array(order[start:end])))
        part = Part(night=label, n_rows=int(end - start), sha256=rows.sha256)
        leaves.append(Leaf(pixel=pixel, name=label, parts=(part,), **stored))
    return leaves


def merged_leaf(files: Iterable[tuple[Leaf, pq.ParquetFile]], nights: Iterable[str], schema: pa.Schema, folder: Path) -> Leaf:
    """Write one leaf with the rows of some nights that the leaves of one partition hold.

    Args:
        files: The leaves, and their open files.
        nights: Labels of the nights; at least one is in the files.
        schema: Columns of all the files together; those that a file lacks are null in its rows.
        folder: Folder of the new leaf's version.
    """
    wanted, parts, pixel = frozenset(nights), [], 0
    with Spool(str(folder)) as spool:
        for leaf, file in files:
            pixel = leaf.pixel
            parts += [part for part in leaf.parts if part.night in wanted]
            for i in range(file.metadata.num_row_groups):
                group = file.read_row_group(i)
                is_wanted = [night_label(night) in wanted for night in group["night"].to_pylist()]
                spool.add(conformed(group.filter(pa.array(is_wanted, pa.bool_())), schema))
        light = spool.light()
        order = pc.sort_indices(light.select([name for name, _ in _ORDER]), sort_keys=_ORDER).to_numpy()
        name = parts[0].night if len(parts) == 1 else MERGED
        groups = spool.groups(order, rows_per_group(schema), schema)
        stored = _write(groups, schema, folder / leaf_path(pixel, name), light)
    return Leaf(pixel=pixel, name=name, parts=tuple(sorted(parts, key=lambda part: part.night)), **stored)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema, null where it has none; a text is empty then, because of astropy."""
    columns = [table[f.name] if f.name in table.column_names else pa.nulls(table.num_rows, f.type) for f in schema]
    filled = [
        pc.fill_null(column, "") if pa.types.is_string(f.type) else column for f, column in zip(schema, columns, strict=True)
    ]
    return pa.table([column.cast(f.type) for f, column in zip(schema, filled, strict=True)], schema=schema)


def rows_per_group(schema: pa.Schema) -> int:
    """Return the largest number of rows of a row group."""
    return ROWS_PER_GROUP if has_maps(schema) else _LIGHT_ROWS_PER_GROUP


def leaf_schema(networks: Iterable[str], *, maps: bool, carried: Iterable[CarriedColumn] = ()) -> pa.Schema:
    """Return the schema of a leaf, with the description of its columns as a VOTable."""
    fields = [column.field for column in carried]
    return with_votable(published_schema(tuple(networks), maps=maps, carried=fields), NAME)


def _write(groups: Iterable[pa.Table], schema: pa.Schema, path: Path, light: pa.Table) -> dict[str, Any]:
    """Write the groups, which are the rows of `light` with their maps; return the fields of `StoredFile`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"compression": "zstd", "write_page_checksum": True, "write_page_index": True}
    columns = schema.with_metadata(_text_lengths(light))
    with pq.ParquetWriter(path, columns, **options) as writer:
        # Arrow would put the metadata of a schema into the file twice.
        writer.add_key_value_metadata(schema.metadata)
        for group in groups:
            writer.write_table(group.replace_schema_metadata(None))
    with path.open("rb") as file:
        return {"n_bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _text_lengths(rows: pa.Table) -> dict[str, str]:
    """Return metadata with the longest text of each column; astropy warns about a column of texts without it."""
    texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    return {f"table::len::{name}": str(max(pc.max(pc.utf8_length(rows[name])).as_py() or 0, 1)) for name in texts}


class _Rows:
    """Groups of rows whose digest is known once all have been read; the same rows in other files have the same digest."""

    def __init__(self, groups: Iterable[pa.Table]) -> None:
        self._groups, self._sha256 = groups, hashlib.sha256()

    def __iter__(self) -> Iterator[pa.Table]:
        for group in self._groups:
            for field in group.schema:
                column = group[field.name].combine_chunks()
                self._sha256.update(f"{field.name} {field.type} {len(column)}\n".encode())
                self._sha256.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes())
                for data in _bytes_of(column.drop_null()):
                    self._sha256.update(data)
            yield group

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def _bytes_of(column: pa.Array) -> Iterator[bytes]:
    """Yield the values of a column without nulls as bytes, which do not depend on how Arrow keeps them."""
    if pa.types.is_string(column.type):
        yield pc.binary_length(column).to_numpy().tobytes()
        yield "".join(column.to_pylist()).encode()
    else:
        values = column.flatten() if pa.types.is_list(column.type) else column
        yield values.to_numpy(zero_copy_only=False).tobytes()
