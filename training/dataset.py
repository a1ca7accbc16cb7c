"""Convert shards to network inputs once, and keep them as arrays that every fit maps into memory."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from infra.provenance import digest, sha256_bytes
from infra.store.storage import FileInfo, list_files, read_bytes
from scanner.networks.architectures import LENS_OR_NOT, NetworkSpec
from scanner.preprocess.channel import Channel
from scanner.preprocess.network_inputs import network_input
from scanner.sources.cutouts import to_cutout
from scanner.sources.shards import Shard
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Image
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.rejections import Rejection
from training.errors import TrainingError
from training.evaluation.known_shards import decoded, footer_of, kind_counts, kinds_in
from training.evaluation.stated_data import simulations
from training.markers import read_marker, write_marker

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_CHUNK_ROWS = 100


@dataclass(frozen=True)
class PreparedInputs:
    """Inputs of all networks with the same input size."""

    channels: tuple[Channel, ...]
    pixels: NDArray[np.float16]
    """`[object, channel, y, x]`, scaled; rounded by 2.5e-4 below 1 and by 2e-3 at most.

    In the file, all objects of a channel lie together: a network reads no pages of channels that it does not use, so the pages
    that it will read again need less memory.
    """


@dataclass(frozen=True)
class Dataset:
    """Inputs and kinds of all objects of a folder of shards."""

    inputs: dict[int, PreparedInputs]
    """Prepared inputs by input side in pixels."""
    kinds: NDArray[np.int8]
    """`[object]`, index into `KINDS`."""
    group_ids: NDArray[np.int64]
    """`[object]`, equal for rows that show the same object, such as a galaxy without and with injected arcs."""
    digest: str
    """SHA-256 over the SHA-256 of each shard, in the order of their names."""
    data_sets: tuple[str, ...] = ()
    """Digests of the shards without grades, of those of each folder, and of those that were graded, each as `digest`."""
    simulations: tuple[str, ...] = ()
    """Descriptions of the simulated data sets among them, as their shards state them."""
    kind_targets: NDArray[np.float32] | None = None
    """`[object, kind]`: probabilities that networks learn instead of the kinds, if there is a teacher."""
    n_graded: int = 0
    """Number of graded objects, which are the last ones; they are in no split."""

    def labels(self, classes: tuple[str, ...]) -> NDArray[np.int64]:
        """Return `[object]` indices into the classes of a network."""
        if classes == LENS_OR_NOT:
            return (self.kinds != KINDS.index("nonlens")).astype(np.int64)
        return np.array([classes.index(kind) for kind in KINDS])[self.kinds]

    def targets(self, classes: tuple[str, ...]) -> NDArray[np.int64] | NDArray[np.float32]:
        """Return what a network learns: labels `[object]`, or with a teacher a probability of each class `[object, class]`."""
        if self.kind_targets is None:
            return self.labels(classes)
        if classes == LENS_OR_NOT:
            nonlens = self.kind_targets[:, KINDS.index("nonlens")]
            return np.stack([nonlens, 1 - nonlens], axis=1)
        return self.kind_targets[:, [KINDS.index(name) for name in classes]]

    def rows(self, split: Split, validation_fraction: float, test_fraction: float) -> NDArray[np.int64]:
        """Return the rows of a split; the group alone decides, so an object is in one split only, in any order of rows.

        Graded objects are in none: the splits tell how well networks do on the others.
        """
        fraction = hashed_fraction(self.group_ids[: len(self.group_ids) - self.n_graded])
        is_test = fraction < test_fraction
        is_validation = ~is_test & (fraction < test_fraction + validation_fraction)
        chosen = {"test": is_test, "validation": is_validation, "train": ~is_test & ~is_validation}[split]
        return np.flatnonzero(chosen)

    @property
    def graded_rows(self) -> NDArray[np.int64]:
        """Rows of the graded objects."""
        return np.arange(len(self.kinds) - self.n_graded, len(self.kinds))

    def kind_counts(self, rows: NDArray[np.int64]) -> dict[str, int]:
        """Return the number of these rows of each kind."""
        return kind_counts(self.kinds[rows])


def hashed_fraction(ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hash ids `[object]` to numbers uniform on [0, 1), which depend on the id alone and are equal on every machine."""
    hashes = [hashlib.sha256(str(number).encode()).digest()[:8] for number in ids.tolist()]
    return np.array([int.from_bytes(h, "big") for h in hashes], dtype=np.float64) / 2.0**64


def prepare_dataset(
    shards_uri: str, folder: Path, networks: Sequence[NetworkSpec], geometry: str, graded_uri: str | None = None
) -> Dataset:
    """Read all shards under `shards_uri` into arrays in `folder`; a second call with the same shards opens these arrays.

    Args:
        shards_uri: Folder or `s3://` prefix; folders inside may hold shards of different geometries.
        folder: Folder of the arrays.
        networks: Networks that will read the inputs.
        geometry: Geometry that every stamp is converted to, as in a scan.
        graded_uri: Folder of the shards of graded objects, which become the last rows; None: none.

    Raises:
        TrainingError: there are no shards, a shard has no truth, a stamp is unusable, or a folder holds an object twice.
    """
    files = list_files(shards_uri, ".parquet")
    if not files:
        raise TrainingError(f"{shards_uri}: holds no shards (*.parquet)")
    graded = list_files(graded_uri, ".parquet") if graded_uri else []
    n_graded = sum(footer_of(file.uri).num_rows for file in graded)
    channels: dict[int, tuple[Channel, ...]] = {}
    for spec in networks:
        channels[spec.input_pixels] = tuple(dict.fromkeys((*channels.get(spec.input_pixels, ()), *spec.channels)))
    described = {str(n): [channel.model_dump() for channel in read] for n, read in channels.items()}
    wanted = {
        "layout": "channel first",
        "listing": digest([{"uri": file.uri, "size": file.size, "etag": file.etag} for file in (*files, *graded)]),
        "geometry": geometry,
        "channels": described,
        **({"n_graded": n_graded} if n_graded else {}),
    }
    manifest = folder / "dataset.json"
    found = read_marker(manifest)
    if found and found.get("prepared") == wanted:
        return open_dataset(folder)
    folder.mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)
    shards = _write_arrays([*files, *graded], folder, channels, GEOMETRIES[geometry])
    data_sets = _data_sets([file.uri for file in files], shards)
    # Written last: arrays without it are incomplete.
    stated = simulations(footer_of(file.uri) for file in files)
    content = {"prepared": wanted, "digest": digest(shards), "data_sets": data_sets, "simulations": stated}
    write_marker(manifest, content)
    return open_dataset(folder)


def open_dataset(folder: Path) -> Dataset:
    """Map the arrays that `prepare_dataset` left in `folder` into memory, without reading the inputs."""
    content = json.loads((folder / "dataset.json").read_text())
    inputs = {
        int(n): PreparedInputs(
            tuple(Channel.model_validate(channel) for channel in read),
            np.load(folder / f"inputs_{n}.npy", mmap_mode="r").swapaxes(0, 1),
        )
        for n, read in content["prepared"]["channels"].items()
    }
    kinds, group_ids = np.load(folder / "kinds.npy"), np.load(folder / "group_ids.npy")
    # Arrays of an older release have one digest only.
    data_sets = tuple(content.get("data_sets", [content["digest"]]))
    n_graded, stated = content["prepared"].get("n_graded", 0), tuple(content.get("simulations", []))
    return Dataset(inputs, kinds, group_ids, content["digest"], data_sets, stated, n_graded=n_graded)


def _data_sets(uris: Sequence[str], shards: Sequence[str]) -> list[str]:
    """Return the digests of data sets; the digests of shards hold those of graded objects behind those at the URIs."""
    in_folders: dict[str, list[str]] = {}
    for uri, shard in zip(uris, shards, strict=False):
        in_folders.setdefault(uri.rpartition("/")[0], []).append(shard)
    parts = (shards[: len(uris)], *in_folders.values(), shards[len(uris) :])
    return list(dict.fromkeys(digest(part) for part in parts if part))


def _write_arrays(
    files: list[FileInfo], folder: Path, channels: dict[int, tuple[Channel, ...]], geometry: Geometry
) -> list[str]:
    """Write the arrays, and return the digest of each shard."""
    n_rows = sum(footer_of(file.uri).num_rows for file in files)
    arrays = {
        n: open_memmap(folder / f"inputs_{n}.npy", "w+", np.float16, (len(read), n_rows, n, n)) for n, read in channels.items()
    }
    kinds: list[NDArray[np.int8]] = []
    object_ids: list[NDArray[np.int64]] = []
    group_ids: list[NDArray[np.int64]] = []
    shard_digests: list[str] = []
    start = 0
    for file in files:
        data = read_bytes(file.uri)
        shard_digests.append(sha256_bytes(data))
        shard = decoded(file.uri, data)
        kinds.append(kinds_in(file.uri, shard))
        object_ids.append(shard.object_ids)
        group_ids.append(group_ids_of(shard))
        for first in range(0, len(shard.object_ids), _CHUNK_ROWS):
            stamps = _stamps_in(geometry, shard, slice(first, first + _CHUNK_ROWS), file.uri)
            n_chunk = len(stamps["VIS"])
            for n_pixels, array in arrays.items():
                inputs = _checked_input(stamps, channels[n_pixels], n_pixels, file.uri)
                array[:, start : start + n_chunk] = inputs.swapaxes(0, 1)
            start += n_chunk
    for array in arrays.values():
        array.flush()
    _check_unique(files, object_ids)
    np.save(folder / "kinds.npy", np.concatenate(kinds))
    np.save(folder / "group_ids.npy", np.concatenate(group_ids))
    return shard_digests


def group_ids_of(shard: Shard) -> NDArray[np.int64]:
    """Return `[object]`: the position in the data set, or the object id where that is unknown; pairs share the position."""
    index = shard.truth["index"].to_pylist()
    return np.array([o if i is None else i for o, i in zip(shard.object_ids.tolist(), index, strict=True)], np.int64)


def _checked_input(stamps: dict[str, Image], channels: tuple[Channel, ...], n_pixels: int, uri: str) -> NDArray[np.float32]:
    try:
        inputs = network_input(stamps, channels, n_pixels)
    except ValueError as error:
        raise TrainingError(f"{uri}: {error}") from error
    if not np.isfinite(inputs).all():
        raise TrainingError(f"{uri}: pixels must be finite numbers, got NaN or infinity in a stamp")
    return inputs


def _stamps_in(geometry: Geometry, shard: Shard, rows: slice, uri: str) -> dict[str, Image]:
    """Convert stamps of any geometry to the given one, as a scan does."""
    stamps = {band: images[rows] for band, images in shard.stamps.items()}
    if shard.geometry.name == geometry.name:
        return stamps
    scales = {band: grid.pixel_scale_arcsec for band, grid in shard.geometry.grids.items()}
    cutouts = []
    for i, object_id in enumerate(shard.object_ids[rows]):
        try:
            cutouts.append(to_cutout({band: BandImage(images[i], scales[band]) for band, images in stamps.items()}, geometry))
        except Rejection as rejection:
            raise TrainingError(f"{uri}: object {object_id} cannot be used: {rejection}") from rejection
    return {band: np.stack([cutout.stamps[band] for cutout in cutouts]) for band in geometry.grids}


def _check_unique(files: list[FileInfo], object_ids: list[NDArray[np.int64]]) -> None:
    """Check that object ids are unique in each folder: each folder numbers its own objects."""
    by_folder: dict[str, list[NDArray[np.int64]]] = {}
    for file, ids in zip(files, object_ids, strict=True):
        by_folder.setdefault(file.uri.rpartition("/")[0], []).append(ids)
    for folder, parts in by_folder.items():
        ids = np.concatenate(parts)
        n_repeated = len(ids) - len(np.unique(ids))
        if n_repeated:
            raise TrainingError(f"{folder}: object ids must be unique, {n_repeated} of {len(ids)} repeat")
