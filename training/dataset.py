"""Shards brought once to what the networks read, kept as arrays that every fit maps into memory."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from infra.provenance import digest, sha256_bytes
from infra.storage import FileInfo, list_files, open_read, read_bytes
from scanner.networks.architectures import ARCHITECTURES, BAND_ORDER
from scanner.pixels.geometry import CHALLENGE
from scanner.pixels.inputs import network_input
from scanner.pixels.shards import KINDS, Shard, decode_shard
from training.errors import TrainingError

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
INPUT_SIZES = tuple(sorted({a.input_pixels for a in ARCHITECTURES.values()}))
_CHUNK_ROWS = 100


@dataclass(frozen=True)
class Dataset:
    """Every object of a shards folder."""

    inputs: dict[int, NDArray[np.float16]]
    """Input side in pixels to `[object, band, y, x]`: bands in `BAND_ORDER`, min-max scaled, rounded by 2.5e-4 at most."""
    kinds: NDArray[np.int8]
    """Index into `KINDS`."""
    object_ids: NDArray[np.int64]
    digest: str
    """SHA-256 over the SHA-256 of each shard, in the order of their names."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of the two-class networks: 1 where something is lensed."""
        return (self.kinds != KINDS.index("nonlens")).astype(np.int64)

    def rows(self, split: Split, validation_fraction: float, test_fraction: float) -> NDArray[np.int64]:
        """Rows of a split: decided by the object id alone, so an object never changes sides however rows are arranged."""
        place = hashed_fraction(self.object_ids)
        is_test = place < test_fraction
        is_validation = ~is_test & (place < test_fraction + validation_fraction)
        chosen = {"test": is_test, "validation": is_validation, "train": ~is_test & ~is_validation}[split]
        return np.flatnonzero(chosen)

    def kind_counts(self, rows: NDArray[np.int64]) -> dict[str, int]:
        counts = np.bincount(self.kinds[rows], minlength=len(KINDS))
        return dict(zip(KINDS, counts.tolist(), strict=True))


def hashed_fraction(object_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform on [0, 1), from the id alone, the same on every machine."""
    hashes = [hashlib.sha256(str(object_id).encode()).digest()[:8] for object_id in object_ids.tolist()]
    return np.array([int.from_bytes(h, "big") for h in hashes], dtype=np.float64) / 2.0**64


def prepare_dataset(shards_uri: str, folder: Path) -> Dataset:
    """Read all shards under `shards_uri` into arrays in `folder` (kept: a second call with the same shards opens them).

    Raises:
        TrainingError: no shards, a shard without truth or of another geometry than `challenge`, or an object twice.
    """
    files = list_files(shards_uri, ".parquet")
    if not files:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
    listing = digest([asdict(file) for file in files])
    manifest = folder / "dataset.json"
    if manifest.exists() and json.loads(manifest.read_text())["listing"] == listing:
        return open_dataset(folder)
    folder.mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)
    data_digest = _write_arrays(files, folder)
    # Written last: arrays without it are incomplete.
    manifest.write_text(json.dumps({"listing": listing, "digest": data_digest}))
    return open_dataset(folder)


def open_dataset(folder: Path) -> Dataset:
    """The arrays that `prepare_dataset` left in `folder`, mapped, not read."""
    inputs = {n: np.load(folder / f"inputs_{n}.npy", mmap_mode="r") for n in INPUT_SIZES}
    data_digest = json.loads((folder / "dataset.json").read_text())["digest"]
    return Dataset(inputs, np.load(folder / "kinds.npy"), np.load(folder / "object_ids.npy"), data_digest)


def _write_arrays(files: list[FileInfo], folder: Path) -> str:
    n_rows = sum(_count_rows(file.uri) for file in files)
    shape = {n: (n_rows, len(BAND_ORDER), n, n) for n in INPUT_SIZES}
    inputs = {n: open_memmap(folder / f"inputs_{n}.npy", "w+", np.float16, shape[n]) for n in INPUT_SIZES}
    kinds: list[NDArray[np.int8]] = []
    object_ids: list[NDArray[np.int64]] = []
    shard_digests: list[str] = []
    start = 0
    for file in files:
        data = read_bytes(file.uri)
        shard_digests.append(sha256_bytes(data))
        shard = _training_shard(file.uri, data)
        kinds.append(_kind_indices(file.uri, shard))
        object_ids.append(shard.object_ids)
        for first in range(0, len(shard.object_ids), _CHUNK_ROWS):
            stamps = {band: images[first : first + _CHUNK_ROWS] for band, images in shard.stamps.items()}
            n_chunk = len(stamps["VIS"])
            for n_pixels, array in inputs.items():
                array[start : start + n_chunk] = network_input(stamps, BAND_ORDER, n_pixels)
            start += n_chunk
    for array in inputs.values():
        array.flush()
    ids = np.concatenate(object_ids)
    if len(np.unique(ids)) != len(ids):
        raise TrainingError(f"object ids must be unique, {len(ids) - len(np.unique(ids))} of {len(ids)} repeat")
    np.save(folder / "kinds.npy", np.concatenate(kinds))
    np.save(folder / "object_ids.npy", ids)
    return digest(shard_digests)


def _count_rows(uri: str) -> int:
    try:
        with open_read(uri) as file:
            return int(pq.read_metadata(file).num_rows)
    except pa.ArrowInvalid as error:
        raise TrainingError(f"{uri}: not a readable Parquet shard: {error}") from error


def _training_shard(uri: str, data: bytes) -> Shard:
    try:
        shard = decode_shard(data)
    except ValueError as error:
        raise TrainingError(f"{uri}: {error}") from error
    if shard.geometry.name != CHALLENGE.name:
        raise TrainingError(f"{uri}: networks train in the {CHALLENGE.name} geometry, got {shard.geometry.name}")
    return shard


def _kind_indices(uri: str, shard: Shard) -> NDArray[np.int8]:
    kinds = shard.truth["kind"].to_pylist()
    unknown = sorted({str(kind) for kind in kinds if kind not in KINDS})
    if unknown:
        raise TrainingError(f"{uri}: kind must be one of {KINDS} in every row, got {unknown}")
    return np.array([KINDS.index(kind) for kind in kinds], dtype=np.int8)
