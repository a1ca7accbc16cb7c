"""Write Parquet files whose metadata contradict their content, byte by byte: no Parquet writer produces them."""

import io
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scanner.catalogue.find_units import find_units
from scanner.catalogue.units import PlanError
from scanner.sources.manifests import ManifestError, read_manifest
from scanner.sources.shards import open_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE

DATA, DICTIONARY = 0, 2
PLAIN = 0


def shard(n=3, ids=None):
    rng = np.random.default_rng(0)
    stamps = {band: rng.normal(size=(n, grid.n_pixels, grid.n_pixels)) for band, grid in CHALLENGE.grids.items()}
    return shard_table(np.arange(n) if ids is None else np.array(ids), stamps, {}, CHALLENGE)


def manifest(n=3, **columns):
    return pa.table({"object_id": np.arange(n), "VIS": ["a.fits"] * n} | columns)


def pieces(path):
    for _ in open_shard(lambda: pa.OSFile(str(path))).pieces(2):
        pass


def refusal(read, *arguments):
    """Return the message of the documented refusal; any other error is raised."""
    promised = {find_units: PlanError, read_manifest: ManifestError}.get(read, ValueError)
    try:
        read(*arguments)
    except promised as error:
        return str(error)
    return "was read"


def zigzag(value):
    """Encode a number in Thrift's compact protocol."""
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def page_header(unpacked, stored, *, kind=DATA, encoding=PLAIN, n_values=1):
    def number(value):
        return b"\x15" + zigzag(value)

    own = number(n_values) + number(encoding) + (number(3) + number(3) if kind == DATA else b"")
    return number(kind) + number(unpacked) + number(stored) + (b"\x2c" if kind == DATA else b"\x4c") + own + b"\0\0"


def written(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "zstd", "use_dictionary": False, **options})
    return sink.getvalue()


def column_chunk(data, column):
    """Return the offset of a column's first page and the total size of its pages, in bytes."""
    group = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    (chunk,) = [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] == column]
    return chunk.dictionary_page_offset or chunk.data_page_offset, chunk.total_compressed_size


def with_page(data, column, unpacked, payload=b"", **header):
    """Return the file with one page in place of a column's own pages; frames that zstd skips fill the remaining space."""
    start, n_bytes = column_chunk(data, column)
    own = page_header(unpacked, n_bytes, **header)
    own = page_header(unpacked, n_bytes - len(own), **header)
    n_left = n_bytes - len(own) - len(payload)
    filling = struct.pack("<II", 0x184D2A50, n_left - 8) + bytes(n_left - 8) if payload else bytes(n_left)
    changed = data[:start] + own + payload + filling + data[start + n_bytes :]
    assert len(changed) == len(data)
    return changed


def zeros(n_bytes):
    """Return `n_bytes` zeros, compressed."""
    return pa.Codec("zstd", compression_level=1).compress(bytes(n_bytes), asbytes=True)


def with_footer(data, change):
    """Return the file with its footer changed."""
    n_footer = int.from_bytes(data[-8:-4], "little")
    footer = change(data[-8 - n_footer : -8])
    return data[: -8 - n_footer] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def claiming_rows(data, n_rows, claimed):
    """Return the file with another number of rows wherever it is stated."""
    return with_footer(data, lambda footer: footer.replace(b"\x16" + zigzag(n_rows), b"\x16" + zigzag(claimed)))


def mutated(data, rng):
    """Return the bytes after random damage, mostly to the footer."""
    out = bytearray(data)
    n_footer = int.from_bytes(out[-8:-4], "little") + 8 if data.endswith(b"PAR1") else len(out)
    first = len(out) - n_footer if rng.random() < 0.7 else 0
    for at in rng.integers(first, len(out), rng.integers(1, 8)):
        out[at] = rng.integers(256) if rng.random() < 0.6 else out[at] ^ 1 << rng.integers(8)
    at, n = rng.integers(len(out)), rng.integers(1, 50)
    match rng.integers(10):
        case 0:
            del out[at:]
        case 1:
            del out[at : at + n]
        case 2:
            out[at:at] = rng.bytes(n)
    return bytes(out)
