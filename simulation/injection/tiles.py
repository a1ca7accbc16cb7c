"""Inject arcs into tiles of a survey: write the same tiles with lenses among their galaxies, and the truth about the lenses."""

import io
import posixpath
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from infra.progress import Progress
from infra.provenance import digest
from infra.store.storage import absolute, exists, join, list_files, read_bytes
from scanner.files.fits_file import FitsFile, open_fits
from scanner.files.fits_hdus import Hdu
from scanner.files.fits_image import check_image, find_image, header_pixel_scale_arcsec
from scanner.sources.survey import EUCLID_MER, MosaicFiles
from scanner.sources.tiles import CATALOGUE, MAX_MOSAIC_BYTES, MAX_MOSAIC_PIXELS, Tile, TileCatalogue, read_tile_catalogue
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Image
from scanner.vocabulary.rejections import Rejection
from simulation.injection.arcs import PATCH_PIXELS, InjectionError, inject_arcs
from simulation.injection.cutouts import (
    InjectionSpec,
    InjectionSummary,
    Record,
    check_mer_pixel_scale,
    create,
    draw_arcs_kind,
    file_digest,
    not_ours,
    read_record,
)
from simulation.optics.psf import Psf, read_psfs
from simulation.products.mer_files import read_truth_spec, truth_bytes
from simulation.products.survey_tile import TRUTH_FILE
from simulation.systems import Kind

SPEC_KEYWORD = "INJECTED"
"""Keyword in the headers of mosaics with arcs: the digest of the spec."""
_WINDOW_PIXELS = 240
"""Side of the window of a mosaic about a host: arcs are in the middle, and the sky is measured around them."""
_MAX_SHIFT_PIXELS = 0.5
"""Largest shift between the mosaics of a tile."""


def inject_into_tile(
    tile: Tile, out_uri: str, n: int, seed: int, psf_uri: str | None = None, progress: Progress | None = None
) -> InjectionSummary:
    """Write a copy of a tile in which up to `n` of its galaxies, picked at random, are lenses, with the truth.

    Galaxies and arcs depend on the seed and the tile alone. Lenses are at least 12 arcsec apart; if fewer than `n` galaxies can
    be hosts, all of those are. Mosaics keep their names, headers and further HDUs, and are not compressed. The truth is written
    last: if it exists, the tile is complete and is kept.

    Args:
        tile: A mosaic in each band, on the same pixels of 0.1 arcsec, with its zero point.
        out_uri: Folder or prefix; the files go below `out_uri/<tile_id>`.
        n: Largest number of lenses, >= 1.
        seed: >= 0.
        psf_uri: FITS file with a PSF for each band, instead of the model's.
        progress: Called with the number of lenses.

    Raises:
        InjectionError: a mosaic is missing or cannot be used, or no galaxy can be a host.
        OutputError: the folder holds another injection's output, or other files.
        PsfError: the PSF file cannot be used.
        TileError: the catalogue cannot be read.
    """
    missing = [band for band in EUCLID if band not in tile.mosaics]
    if missing:
        raise InjectionError(f"tile {tile.tile_id} must have a mosaic of {', '.join(EUCLID)}, {', '.join(missing)} missing")
    inputs = {**{band: tile.mosaics[band] for band in EUCLID}, CATALOGUE: tile.catalogue}
    if len(set(inputs.values())) < len(inputs):
        raise InjectionError(f"tile {tile.tile_id} must have a file of its own for each band, some bands share one")
    contents = [[posixpath.basename(uri), file_digest(uri)] for uri in inputs.values()]
    if tile.survey != EUCLID_MER:
        contents.append(["survey", tile.survey.model_dump_json()])
    spec = InjectionSpec(images_sha256=digest(contents), seed=seed, n=n, psf_sha256=file_digest(psf_uri))
    folder = join(absolute(out_uri), tile.tile_id)
    # Only catalogues are copied unchanged, compressed or not.
    outputs = {role: join(folder, _output_name(role, uri)) for role, uri in inputs.items()}
    truth_uri = join(folder, TRUTH_FILE)
    files = (*outputs.values(), truth_uri)
    done = _written_tile(outputs, truth_uri, spec, tile.survey.mosaics.extension)
    if done is not None:
        return InjectionSummary(done.n_rows, done.skipped, files)
    mosaics, ids, truths, skipped = _painted(tile, spec, read_psfs(psf_uri) if psf_uri else None, progress)
    record = Record(spec=spec, skipped=tuple(skipped), n_rows=len(ids), stop=0)
    for band, mosaic in mosaics.items():
        create(outputs[band], mosaic.file(spec))
    create(outputs[CATALOGUE], read_bytes(tile.catalogue))
    create(truth_uri, truth_bytes(np.array(ids, np.int64), truths, record.model_dump_json()))
    return InjectionSummary(len(ids), record.skipped, files)


def _output_name(role: str, uri: str) -> str:
    name = posixpath.basename(uri)
    return name if role == CATALOGUE else name.removesuffix(".gz")


def _written_tile(outputs: Mapping[str, str], truth_uri: str, spec: InjectionSpec, extension: str) -> Record | None:
    """Return the record of a complete tile; None if files are missing.

    Raises:
        OutputError: a file is not of this spec.
    """
    if exists(truth_uri):
        record = read_record(read_truth_spec(read_bytes(truth_uri)))
        if record is None or record.spec != spec:
            raise not_ours(truth_uri, spec)
        return record
    folder = truth_uri.rpartition("/")[0]
    for file in list_files(folder):
        if file.uri not in outputs.values():
            raise not_ours(file.uri, spec)
        if file.uri != outputs[CATALOGUE] and not _is_mosaic_of(file.uri, spec, extension):
            raise not_ours(file.uri, spec)
    return None


def _is_mosaic_of(uri: str, spec: InjectionSpec, extension: str) -> bool:
    try:
        file = open_fits(uri, MAX_MOSAIC_BYTES)
        return bool(find_image(file, extension).header.get(SPEC_KEYWORD) == spec.digest())
    except Rejection:
        return False


_Painted = tuple[dict[str, "_InjectedMosaic"], list[int], list[dict[str, Any]], list[tuple[str, str]]]
"""Result of `_painted`: mosaics with arcs; ids and truths of the lenses; galaxies without arcs and the reasons."""


def _painted(tile: Tile, spec: InjectionSpec, psfs: Mapping[str, Psf] | None, progress: Progress | None) -> _Painted:
    """Paint arcs about the tile's galaxies in random order until there are enough lenses."""
    catalogue = read_tile_catalogue(tile.catalogue, tile.survey)
    mosaics = {band: _InjectedMosaic.read(tile.mosaics[band], band, catalogue, tile.survey.mosaics) for band in EUCLID}
    _check_aligned(mosaics)
    # Tiles of Euclid have numbers, those of other surveys any names.
    tile_number = int(tile.tile_id) if tile.tile_id.isdigit() else zlib.crc32(tile.tile_id.encode())
    n, positions = spec.n or 0, mosaics["VIS"].positions
    order = default_rng(SeedSequence(spec.seed, spawn_key=(tile_number,))).permutation(len(positions))
    chosen: list[int] = []
    truths: list[dict[str, Any]] = []
    skipped: list[tuple[str, str]] = []
    for i in order.tolist():
        if progress:
            progress(len(chosen), n)
        if len(chosen) == n:
            break
        try:
            _check_apart(positions[i], positions[chosen])
            truth = _paint(mosaics, positions[i], psfs, *draw_arcs_kind(spec.seed, tile_number, i))
        except InjectionError as reason:
            skipped.append((str(catalogue.object_ids[i]), str(reason)))
            continue
        truths.append({**truth, "index": i})
        chosen.append(i)
    if not chosen:
        example = f"; the first, {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise InjectionError(f"tile {tile.tile_id}: 0 of {len(positions)} galaxies could host arcs{example}")
    return mosaics, catalogue.object_ids[chosen].tolist(), truths, skipped


@dataclass(frozen=True)
class _InjectedMosaic:
    """A mosaic that arcs are painted into, and the file it came from."""

    fits_file: FitsFile
    hdu: Hdu
    pixels: Image
    """`[y, x]`, painted in place."""
    zero_point_ab_mag: float
    positions: NDArray[np.float64]
    """Positions `[n, 2]`: x, y of each source of the catalogue, pixel centres at integers, 0-based."""

    @classmethod
    def read(cls, uri: str, band: str, catalogue: TileCatalogue, described: MosaicFiles) -> "_InjectedMosaic":
        try:
            file = open_fits(uri, MAX_MOSAIC_BYTES)
            hdu = find_image(file, described.extension)
            check_image(file, hdu, MAX_MOSAIC_PIXELS)
            scale = described.pixel_scale_arcsec or header_pixel_scale_arcsec(hdu.header, hdu.label)
            zero_point = described.zero_point_of(hdu.header, hdu.label)
            pixels = file.pixels(hdu)
            positions = catalogue.positions(hdu.header, hdu.label)
        except Rejection as rejection:
            raise InjectionError(f"{band}: {rejection.detail}") from rejection
        check_mer_pixel_scale(scale, f"{band}: {hdu.label}")
        return cls(file, hdu, pixels, zero_point, positions)

    def file(self, spec: InjectionSpec) -> bytes:
        """Return the original file with these pixels, float32, as its image; other HDUs are unchanged."""
        with fits.open(io.BytesIO(self.fits_file.data), memmap=False) as hdus:
            header = hdus[self.hdu.index].header.copy(strip=True)
            header.remove("BLANK", ignore_missing=True)
            header[SPEC_KEYWORD] = spec.digest()
            header["HISTORY"] = "lensscan: simulated arcs were added to these pixels"
            header["HISTORY"] = f"lensscan: seed {spec.seed}, up to {spec.n} lenses, release {spec.release}"
            new = fits.PrimaryHDU(self.pixels, header) if self.hdu.index == 0 else fits.ImageHDU(self.pixels, header)
            new.add_checksum(when="HDU checksum")
            hdus[self.hdu.index] = new
            sink = io.BytesIO()
            hdus.writeto(sink)
        return sink.getvalue()


def _check_aligned(mosaics: Mapping[str, _InjectedMosaic]) -> None:
    """Check that all mosaics have the pixels of VIS."""
    vis = mosaics["VIS"]
    for mosaic in mosaics.values():
        label = mosaic.hdu.label
        if mosaic.pixels.shape != vis.pixels.shape:
            raise InjectionError(f"{label}: must have the shape of VIS, {vis.pixels.shape}, got {mosaic.pixels.shape}")
        shifts = np.abs(mosaic.positions - vis.positions)
        shift = float(np.max(shifts, initial=0.0, where=np.isfinite(shifts)))
        if shift > _MAX_SHIFT_PIXELS:
            raise InjectionError(f"{label}: must lie within {_MAX_SHIFT_PIXELS:g} px of VIS, got a shift of {shift:.1f} px")


def _check_apart(position: NDArray[np.float64], others: NDArray[np.float64]) -> None:
    """Check that a lens is far enough from others for their arcs not to overlap."""
    nearest = float(np.hypot(*(others - position).T).min(initial=np.inf))
    if nearest < PATCH_PIXELS:
        least = PATCH_PIXELS * MER_PIXEL_ARCSEC
        raise InjectionError(f"lenses must be {least:g} arcsec apart, got {nearest * MER_PIXEL_ARCSEC:.1f}")


def _paint(
    mosaics: Mapping[str, _InjectedMosaic],
    position: NDArray[np.float64],
    psfs: Mapping[str, Psf] | None,
    kind: Kind,
    rng: Generator,
) -> Mapping[str, Any]:
    """Paint arcs about a position `x, y` into all mosaics, and return the truth of the lens."""
    x, y = position.tolist()
    height, width = mosaics["VIS"].pixels.shape
    margin = min(x + 0.5, y + 0.5, width - 0.5 - x, height - 0.5 - y)
    if not margin >= PATCH_PIXELS / 2:
        least = PATCH_PIXELS * MER_PIXEL_ARCSEC / 2
        raise InjectionError(f"hosts must lie {least:g} arcsec inside the mosaic, got {margin * MER_PIXEL_ARCSEC:.1f}")
    rows, columns = _window(y, height), _window(x, width)
    injected = inject_arcs(
        {band: mosaic.pixels[rows, columns] for band, mosaic in mosaics.items()},
        kind,
        rng,
        zero_points_ab_mag={band: mosaic.zero_point_ab_mag for band, mosaic in mosaics.items()},
        psfs=psfs,
        host_yx=(y - rows.start, x - columns.start),
    )
    for band, mosaic in mosaics.items():
        mosaic.pixels[rows, columns] = injected.stamps[band]
    return injected.truth


def _window(centre: float, size: int) -> slice:
    low = round(centre) - _WINDOW_PIXELS // 2
    return slice(max(low, 0), min(low + _WINDOW_PIXELS, size))
