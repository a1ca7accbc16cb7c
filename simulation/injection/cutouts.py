"""Inject arcs into images of a survey: turn cutouts of a manifest into a data set of pairs.

Outputs, here and for tiles, contain the `InjectionSpec` that determines them. Running the same command again changes nothing, a
run that was killed resumes, and the presence of any other output is an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from infra.provenance import digest, sha256_bytes
from infra.store.storage import CreateOutcome, absolute, create_if_absent, join, list_files, open_read, read_bytes
from scanner.files.fits_image import FitsReader
from scanner.files.parquet_checked import BadParquetError, errors_as_bad_parquet
from scanner.preprocess.resample import area_operator, regrid
from scanner.sources.band_alignment import read_aligned
from scanner.sources.cutouts import Cutout
from scanner.sources.manifests import Manifest, manifest_cutouts
from scanner.sources.shards import ROWS_PER_SHARD, encode_shard, shard_table
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER, MER_PIXEL_ARCSEC, Image
from scanner.vocabulary.rejections import Rejection
from simulation.injection.arcs import InjectionError, inject_arcs
from simulation.optics.psf import Psf, read_psfs
from simulation.products.render import stack
from simulation.systems import Kind

INJECTED_SHARES: tuple[tuple[Kind, float], ...] = (("single", 0.6), ("compound_arc", 0.2), ("double_ring", 0.2))
"""Probability of each kind of arcs."""
HOST = "host"
"""Morphology, in the truth, of an unchanged image."""
_RECORD_KEY = b"lensscan.injection"
_SCALE_TOLERANCE = 5e-4
"""Largest relative difference from 0.1 arcsec of a cutout's pixels, which are used unchanged, not interpolated."""


class OutputError(InjectionError):
    """The output folder holds another injection's output, or other files; nothing was changed."""


class InjectionSpec(Frozen):
    """All parameters that determine the output."""

    images_sha256: str
    """SHA-256 of the manifest's rows, or of a tile's files."""
    seed: int = Field(ge=0)
    n: int | None = Field(default=None, ge=1)
    """Number of lenses requested for a tile."""
    psf_sha256: str | None = None
    """SHA-256 of the file with PSFs; None for the model's."""
    release: str = version("lensscan")

    def digest(self) -> str:
        """Return the digest of the spec that the headers of mosaics contain."""
        return digest(self.model_dump())


class Record(Frozen):
    """Provenance in a tile's truth, or in a shard."""

    spec: InjectionSpec
    skipped: tuple[tuple[str, str], ...]
    n_rows: int
    stop: int
    """First row of the manifest after those that this shard was made from."""


@dataclass(frozen=True)
class InjectionSummary:
    """Counts and files of an injection."""

    n_injected: int
    skipped: tuple[tuple[str, str], ...]
    """Objects without arcs, each with the reason."""
    files: tuple[str, ...]


def inject_into_cutouts(
    manifest: Manifest, out_uri: str, seed: int, psf_uri: str | None = None, progress: Progress | None = None
) -> InjectionSummary:
    """Write shards in MER geometry with two rows for each usable cutout of a manifest: unchanged, and with arcs.

    The arcs of an object depend on the seed and its row alone. `object_id` counts rows; the truth's `index` is the row in the
    manifest, which pairs share. A shard is written as soon as it is full; existing ones are kept.

    Args:
        manifest: Cutouts with pixels of 0.1 arcsec; larger ones are cropped, smaller ones padded.
        out_uri: Folder or prefix.
        seed: >= 0.
        psf_uri: FITS file with a PSF for each band, instead of the model's.
        progress: Called with rows of the manifest.

    Raises:
        InjectionError: no cutout could be used.
        OutputError: the folder holds shards of another injection, or other shards.
        PsfError: the PSF file cannot be used.
    """
    out_uri = absolute(out_uri)
    rows = [[str(i) for i in manifest.object_ids.to_pylist()], manifest.references, [repr(s) for s in manifest.pixel_scales]]
    spec = InjectionSpec(images_sha256=digest(rows), seed=seed, psf_sha256=file_digest(psf_uri))
    psfs = read_psfs(psf_uri) if psf_uri else None
    records = _written_shards(out_uri, spec)
    start = records[-1].stop if records else 0
    for record, pairs in _shards(manifest, start, spec, psfs, progress or no_progress):
        if pairs:
            first = sum(r.n_rows for r in records)
            create(_shard_uri(out_uri, len(records)), _encoded(pairs, first, record))
        records.append(record)
    skipped = tuple(entry for record in records for entry in record.skipped)
    files = tuple(_shard_uri(out_uri, number) for number, record in enumerate(records) if record.n_rows)
    if not files:
        example = f"; the first, {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise InjectionError(f"0 of {len(manifest)} cutouts could host arcs{example}")
    return InjectionSummary(sum(record.n_rows for record in records) // 2, skipped, files)


def file_digest(uri: str | None) -> str | None:
    """Return the SHA-256 of a file's bytes; None for no file."""
    return sha256_bytes(read_bytes(uri)) if uri else None


def create(uri: str, content: bytes) -> None:
    """Write a file unless it exists with the same content.

    Raises:
        OutputError: it exists with other content.
    """
    if create_if_absent(uri, content, "inject") is CreateOutcome.EXISTS:
        raise OutputError(f"{uri} exists with other content; remove it, or choose another folder")


def not_ours(uri: str, spec: InjectionSpec) -> OutputError:
    """Return the error for a file in the output's place that was not made with `spec`."""
    asked = f"seed {spec.seed}" + (f" and n {spec.n}" if spec.n else "")
    return OutputError(f"{uri} was not made from these images with {asked}; remove it, or choose another folder")


def draw_arcs_kind(seed: int, *where: int) -> tuple[Kind, Generator]:
    """Draw the kind of the arcs of one galaxy, and return it with their random generator; `where` are numbers that name it."""
    rng = default_rng(SeedSequence(seed, spawn_key=where))
    kinds, shares = zip(*INJECTED_SHARES, strict=True)
    return kinds[int(rng.choice(len(kinds), p=shares))], rng


def check_mer_pixel_scale(scale_arcsec: float, label: str) -> None:
    """Check that pixels are those of MER images.

    Raises:
        InjectionError: they are not.
    """
    if abs(scale_arcsec / MER_PIXEL_ARCSEC - 1) > _SCALE_TOLERANCE:
        raise InjectionError(f"{label}: pixels must be {MER_PIXEL_ARCSEC:g} arcsec, got {scale_arcsec:g}")


def _shard_uri(out_uri: str, number: int) -> str:
    return join(out_uri, f"shard-{number:05d}.parquet")


def _written_shards(out_uri: str, spec: InjectionSpec) -> list[Record]:
    """Return the records of existing shards, from the first up to the first missing one."""
    shards = join(out_uri, "shard-")
    uris = [file.uri for file in list_files(out_uri, ".parquet") if file.uri.startswith(shards)]
    by_uri = {uri: _shard_record(uri, spec) for uri in uris}
    records: list[Record] = []
    while (record := by_uri.get(_shard_uri(out_uri, len(records)))) is not None:
        records.append(record)
    return records


def _shard_record(uri: str, spec: InjectionSpec) -> Record:
    try:
        with open_read(uri) as file, errors_as_bad_parquet():
            metadata = pq.read_metadata(file).metadata or {}
    except BadParquetError:
        metadata = {}
    record = read_record(metadata.get(_RECORD_KEY, b"").decode(errors="replace"))
    if record is None or record.spec != spec:
        raise not_ours(uri, spec)
    return record


def read_record(text: str) -> Record | None:
    """Parse a record from a file's metadata; None if the text is not a record."""
    try:
        return Record.model_validate_json(text)
    except ValidationError:
        return None


_Row = tuple[Mapping[str, Image], Mapping[str, Any]]
"""A row: stamps and truth."""


def _shards(
    manifest: Manifest, start: int, spec: InjectionSpec, psfs: Mapping[str, Psf] | None, report: Progress
) -> Iterator[tuple[Record, list[_Row]]]:
    """Yield the record and the rows of each shard, beginning at a row of the manifest; the last may have no rows."""
    rows: list[_Row] = []
    skipped: list[tuple[str, str]] = []
    report(start, len(manifest))
    for i, pair in _pairs(manifest, start, spec.seed, psfs):
        if isinstance(pair, Exception):
            skipped.append((str(manifest.object_ids[i].as_py()), str(pair)))
        else:
            rows += pair
        report(i + 1, len(manifest))
        if len(rows) == ROWS_PER_SHARD or (i + 1 == len(manifest) and (rows or skipped)):
            yield Record(spec=spec, skipped=tuple(skipped), n_rows=len(rows), stop=i + 1), rows
            rows, skipped = [], []


def _pairs(
    manifest: Manifest, start: int, seed: int, psfs: Mapping[str, Psf] | None
) -> Iterator[tuple[int, tuple[_Row, _Row] | Rejection | InjectionError]]:
    """Yield each row's cutout unchanged and with arcs, or the reason why it has no arcs."""
    rest = Manifest(
        manifest.object_ids[start:],
        {band: references[start:] for band, references in manifest.references.items()},
        manifest.pixel_scales[start:],
    )
    reader = FitsReader()
    for i, cutout in enumerate(manifest_cutouts(rest, MER), start):
        try:
            yield i, _pair(manifest, i, cutout, reader, seed, psfs)
        except Rejection as reason:
            if reason.code.retriable:
                raise InjectionError(f"{manifest.object_ids[i]}: {reason}; the same command resumes from here") from reason
            yield i, reason
        except InjectionError as reason:
            yield i, reason


def _pair(
    manifest: Manifest, i: int, cutout: Cutout | Rejection, reader: FitsReader, seed: int, psfs: Mapping[str, Psf] | None
) -> tuple[_Row, _Row]:
    if isinstance(cutout, Rejection):
        raise cutout
    references = {band: manifest.references[band][i] or "" for band in EUCLID}
    seen = {}
    for band, image in read_aligned(reader, references, tuple(EUCLID), manifest.pixel_scales[i]).images.items():
        check_mer_pixel_scale(image.pixel_scale_arcsec, band)
        seen[band] = np.where(_is_read(image), cutout.stamps[band], np.float32(np.nan))
    zero_points = {band: reader.zero_point_ab_mag(reference) for band, reference in references.items()}
    injected = inject_arcs(seen, *draw_arcs_kind(seed, i), zero_points_ab_mag=zero_points, psfs=psfs)
    painted = {band: np.where(np.isfinite(image), image, cutout.stamps[band]) for band, image in injected.stamps.items()}
    host = {"kind": "nonlens", "morphology": HOST, "index": i, "lens_mag_vis": injected.truth["lens_mag_vis"]}
    return (cutout.stamps, host), (painted, {**injected.truth, "index": i})


def _is_read(image: BandImage) -> NDArray[np.bool_]:
    """Return `[y, x]` of the stamp, false where pixels were filled or padded with sky."""
    is_read = np.isfinite(image.pixels) if image.outside is None else np.isfinite(image.pixels) & ~image.outside
    n = MER.grids["VIS"].n_pixels
    left, right = (area_operator(size, MER_PIXEL_ARCSEC, n, MER_PIXEL_ARCSEC) for size in image.pixels.shape)
    return np.asarray(regrid(is_read.astype(np.float32), left, right) > 0)


def _encoded(rows: list[_Row], first_id: int, record: Record) -> bytes:
    """Encode the rows of a shard."""
    names = {name for _, truth in rows for name in truth}
    truth = {name: [row.get(name) for _, row in rows] for name in names}
    ids = np.arange(first_id, first_id + len(rows), dtype=np.int64)
    table = shard_table(ids, stack([dict(stamps) for stamps, _ in rows], MER), truth, MER)
    metadata = {**table.schema.metadata, _RECORD_KEY: record.model_dump_json().encode()}
    return encode_shard(table.replace_schema_metadata(metadata))
