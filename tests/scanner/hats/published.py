"""Small catalogues to publish, and collections read without the code that writes them."""

import csv
from pathlib import Path

import pyarrow.dataset as ds

from scanner.catalogue.known_lenses import read_known
from tests.scanner.catalogue_parts import finished

NIGHTS = ("2026-11-24", "2026-11-25", "2026-11-26")
PLACES = (1, 2, 60)
"""Degrees of RA of the objects: the ids of objects at one place differ by 360."""

LONG_REFERENCE = " ".join(["doi:1"] * 40)
"""Text that is longer than most."""


def p_lens_of(first, n, of=PLACES):
    """Return a `p_lens` above 0.5 for `n` objects at each place; the ids of other values of `first` are others."""
    return {place + 360 * (first * n + k): 0.5 + (k + 1) / 1000 for place in of for k in range(n)}


def add_night(root, i, n=4, **options):
    """Add the night `NIGHTS[i]` to a catalogue, with other objects than the other nights and an overlap of two."""
    ids = p_lens_of(i, n)
    shared = p_lens_of(9, 1, PLACES[:2])
    return finished(root, {f"{i}": {**ids, **shared}, "t": {500 + i: 0.1}}, night=NIGHTS[i], **options)


def known_lenses(folder, name="Nearest"):
    """Return known lenses about `PLACES`: `name` and a farther one at RA 1, one too far at RA 2, one within reach at RA 60."""
    path = Path(folder, "lenses.csv")
    path.write_text(
        "name,ra,dec,grade,reference\n"
        f"Second,1.0,{1 + 2 / 3600},B,doi:2\n"
        f"{name},1.0,{1 - 1 / 3600},A,{LONG_REFERENCE}\n"
        f"Too far,2.0,{1 + 3.2 / 3600},A,doi:3\n"
        f"Edge,60.0,{1 + 2.9 / 3600},,\n"
    )
    return read_known(str(path))


def properties(path):
    lines = [line.partition("=") for line in Path(path).read_text().splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in lines}


def current(collection):
    """Return the folder of the version that the pointer names."""
    return Path(collection) / properties(Path(collection) / "collection.properties")["hats_primary_table_url"]


def read(version, columns=None):
    """Return all rows of a version, from the partitions that it lists."""
    with (version / "partition_info.csv").open() as file:
        pixels = [row["Npix"] for row in csv.DictReader(file)]
    paths = [path for pixel in pixels for path in sorted(version.glob(f"dataset/Norder=5/Dir=*/Npix={pixel}/*.parquet"))]
    schema = ds.dataset(version / "dataset" / "_common_metadata", format="parquet").schema
    return ds.dataset([str(path) for path in paths], schema=schema, format="parquet").to_table(columns=columns)


def in_order(table):
    """Return rows in one order, without metadata, so that equal rows are equal tables."""
    order = [("night", "ascending"), ("object_id", "ascending")]
    return table.sort_by(order).combine_chunks().replace_schema_metadata(None)


def ids_by_night(table):
    """Return the ids of each night, with repetitions."""
    found = {}
    for night, object_id in zip(table["night"].to_pylist(), table["object_id"].to_pylist(), strict=True):
        found.setdefault(night, []).append(object_id)
    return {night: sorted(ids) for night, ids in found.items()}
