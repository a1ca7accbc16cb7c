"""Arcs injected into images of a survey: cutouts of a manifest become a data set of pairs, tiles become tiles with lenses."""

import io
import posixpath
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.wcs import WCS
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from infra.storage import create_if_absent, join, read_bytes
from scanner.pixels.bands import EUCLID
from scanner.pixels.fits import FitsReader, header_zero_point_ab_mag
from scanner.pixels.geometry import MER, Image
from scanner.pixels.manifests import Manifest, manifest_cutouts
from scanner.pixels.rejections import Rejection
from scanner.pixels.shards import ROWS_PER_SHARD, encode_shard, shard_table
from scanner.pixels.tiles import Tile, read_tile_catalogue
from simulation.injection import Injected, InjectionError, inject_arcs
from simulation.mer_files import truth_bytes
from simulation.render import stack
from simulation.systems import Kind

KIND_SHARES: tuple[tuple[Kind, float], ...] = (("single", 0.6), ("compound_arc", 0.2), ("double_ring", 0.2))
HOST = "host"
"""Morphology, in the truth, of an image as it was."""
_WINDOW_PIXELS = 240
"""Of a mosaic, about a host: arcs and their sky fit well inside."""


@dataclass(frozen=True)
class InjectionSummary:
    """What became of the images."""

    n_injected: int
    skipped: tuple[tuple[str, str], ...]
    """Object and why it got no arcs."""
    files: tuple[str, ...]


def inject_into_cutouts(manifest: Manifest, out_uri: str, seed: int) -> InjectionSummary:
    """Write shards in MER geometry with two rows for each usable cutout of a manifest: as it is, and with arcs.

    Which arcs an object gets depends on the seed and its row alone. `object_id` counts rows; the truth's `index` is the row
    in the manifest, which pairs share.

    Raises:
        InjectionError: no cutout could be used.
    """
    rows: list[tuple[dict[str, Image], dict[str, Any]]] = []
    skipped: list[tuple[str, str]] = []
    reader = FitsReader()
    for i, cutout in enumerate(manifest_cutouts(manifest, MER)):
        name = str(manifest.object_ids[i].as_py())
        try:
            if isinstance(cutout, Rejection):
                raise cutout
            zero_points = {band: reader.zero_point_ab_mag(manifest.references[band][i] or "") for band in EUCLID}
            made = inject_arcs(cutout.stamps, *_draw(seed, i), zero_points_ab_mag=zero_points)
        except (Rejection, InjectionError) as reason:
            skipped.append((name, str(reason)))
            continue
        host = {"kind": "nonlens", "morphology": HOST, "index": i, "lens_mag_vis": made.truth["lens_mag_vis"]}
        rows += [(dict(cutout.stamps), host), (made.stamps, {**made.truth, "index": i})]
    if not rows:
        first = f"; the first, {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise InjectionError(f"none of {len(manifest)} cutouts could host arcs{first}")
    files = []
    for number, start in enumerate(range(0, len(rows), ROWS_PER_SHARD)):
        part = rows[start : start + ROWS_PER_SHARD]
        names = {name for _, row in part for name in row}
        truth = {name: [row.get(name) for _, row in part] for name in names}
        ids = np.arange(start, start + len(part), dtype=np.int64)
        table: pa.Table = shard_table(ids, stack([stamps for stamps, _ in part], MER), truth, MER)
        files.append(join(out_uri, f"shard-{number:05d}.parquet"))
        create_if_absent(files[-1], encode_shard(table), "inject")
    return InjectionSummary(len(rows) // 2, tuple(skipped), tuple(files))


def inject_into_tile(tile: Tile, out_uri: str, n: int, seed: int) -> InjectionSummary:
    """Write a copy of a tile in which `n` of its galaxies, picked at random among those that can, are lenses, with the truth.

    The mosaics keep their headers and names; which galaxies and arcs depends on the seed and the tile alone.

    Raises:
        InjectionError: a mosaic is missing, has no zero point or other pixels than 0.1 arcsec, or fewer than `n` can be hosts.
    """
    rng = default_rng(SeedSequence(seed, spawn_key=(int(tile.tile_id),)))
    mosaics = {band: _Mosaic.read(tile, band) for band in EUCLID}
    catalogue = read_tile_catalogue(tile.catalogue)
    x, y = WCS(mosaics["VIS"].header).all_world2pix(catalogue.ra, catalogue.dec, 0)
    skipped: list[tuple[str, str]] = []
    ids: list[int] = []
    truths: list[dict[str, Any]] = []
    taken: list[tuple[float, float]] = []
    for i in rng.permutation(len(x)):
        if len(ids) == n:
            break
        name = str(catalogue.object_ids[i])
        # Two lenses keep out of each other's image.
        if any(np.hypot(x[i] - a, y[i] - b) < _WINDOW_PIXELS for a, b in taken):
            continue
        try:
            made, window = _inject_at(mosaics, float(x[i]), float(y[i]), *_draw(seed, int(tile.tile_id), int(i)))
        except InjectionError as reason:
            skipped.append((name, str(reason)))
            continue
        for band, mosaic in mosaics.items():
            mosaic.pixels[window] = made.stamps[band]
        ids.append(int(catalogue.object_ids[i]))
        truths.append({**made.truth, "index": int(i)})
        taken.append((x[i], y[i]))
    if len(ids) < n:
        raise InjectionError(f"tile {tile.tile_id}: {len(ids)} of {n} galaxies could host arcs")
    folder = join(out_uri, tile.tile_id)
    contents = [(posixpath.basename(tile.mosaics[band]), mosaic.file()) for band, mosaic in mosaics.items()]
    contents.append((posixpath.basename(tile.catalogue), read_bytes(tile.catalogue)))
    contents.append(("truth.parquet", truth_bytes(np.array(ids, np.int64), truths, f"injected with seed {seed}")))
    files = [join(folder, name) for name, _ in contents]
    for uri, (_, content) in zip(files, contents, strict=True):
        create_if_absent(uri, content, "inject")
    return InjectionSummary(len(ids), tuple(skipped), tuple(files))


def _draw(seed: int, *where: int) -> tuple[Kind, Generator]:
    """Kind of the arcs at a place, and the source of everything random about them."""
    rng = default_rng(SeedSequence(seed, spawn_key=where))
    kinds, shares = zip(*KIND_SHARES, strict=True)
    return kinds[int(rng.choice(len(kinds), p=shares))], rng


@dataclass(frozen=True)
class _Mosaic:
    pixels: NDArray[np.float32]
    header: fits.Header
    zero_point_ab_mag: float

    @classmethod
    def read(cls, tile: Tile, band: str) -> "_Mosaic":
        if band not in tile.mosaics:
            raise InjectionError(f"tile {tile.tile_id} has no mosaic of {band}")
        with fits.open(io.BytesIO(read_bytes(tile.mosaics[band])), memmap=False) as hdus:
            hdu = next(h for h in hdus if h.is_image and h.header.get("NAXIS") == 2)
            try:
                zero_point = header_zero_point_ab_mag(hdu.header, posixpath.basename(tile.mosaics[band]))
            except Rejection as rejection:
                raise InjectionError(str(rejection)) from rejection
            return cls(hdu.data.astype(np.float32), hdu.header.copy(), zero_point)

    def file(self) -> bytes:
        header = self.header.copy(strip=True)
        header["HISTORY"] = "lensscan: simulated arcs were added to these pixels"
        hdu = fits.PrimaryHDU(self.pixels, header)
        hdu.add_checksum(when="HDU checksum")
        sink = io.BytesIO()
        hdu.writeto(sink)
        return sink.getvalue()


def _inject_at(
    mosaics: dict[str, _Mosaic], x: float, y: float, kind: Kind, rng: Generator
) -> tuple[Injected, tuple[slice, slice]]:
    """Arcs about a position, in a window of the mosaics."""
    shape = mosaics["VIS"].pixels.shape
    window = tuple(_window(centre, size) for centre, size in zip((y, x), shape, strict=True))
    if any(part.stop - part.start < _WINDOW_PIXELS for part in window):
        raise InjectionError("a host must lie farther from the edge of the tile")
    rows, columns = window
    return (
        inject_arcs(
            {band: mosaic.pixels[rows, columns] for band, mosaic in mosaics.items()},
            kind,
            rng,
            zero_points_ab_mag={band: mosaic.zero_point_ab_mag for band, mosaic in mosaics.items()},
            host_yx=(y - rows.start, x - columns.start),
        ),
        (rows, columns),
    )


def _window(centre: float, size: int) -> slice:
    low = round(centre) - _WINDOW_PIXELS // 2
    return slice(max(low, 0), min(low + _WINDOW_PIXELS, size))
