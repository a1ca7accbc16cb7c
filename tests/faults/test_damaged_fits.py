"""Truncated files, and files with flipped bits and holes: no score comes from incomplete pixels."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from scanner.catalogue.find_units import find_units
from scanner.scan.manifest import score_manifest
from scanner.scan.scoring import CutoutScanner
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.files.band_files import read_band
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.mosaic_files import COMPRESSED, NX, NY, catalogue, header, make_tile, mosaic, write
from tests.scanner.scanned import scanned
from tests.scanner.tile_rows import tile_cutouts
from tests.tiles import MER_BANDS, write_tile

TENTHS = range(1, 10)
KINDS = ("plain", "no sums", "gz", "double", "second", "scaled", *COMPRESSED)
IN_SHORT = ("plain", "gz", "rice")
MANY_KINDS = [kind if kind in IN_SHORT else pytest.param(kind, marks=pytest.mark.faults) for kind in KINDS]
WITH_SUMS = tuple(kind for kind in KINDS if kind != "no sums")
DAMAGED = {RejectCode.FITS_UNREADABLE, RejectCode.FITS_TRUNCATED}


def cutouts(folder, kind):
    """Write the four files of an object; return their paths by band."""
    rng = np.random.default_rng(0)
    paths = {}
    for band, grid in CHALLENGE.grids.items():
        image = rng.exponential(size=(grid.n_pixels,) * 2).astype(np.float32)
        centred = ((grid.n_pixels - NX) / 2, (grid.n_pixels - NY) / 2)
        paths[band] = write(folder / f"{band}.fits", image, header(centred, scale_arcsec=grid.pixel_scale_arcsec), kind)
    return paths


def score(folder, paths):
    rows = ",".join(paths.values())
    (folder / "m.csv").write_text(f"object_id,{','.join(paths)}\n1,{rows}\n2,{rows}\n")
    return score_manifest(str(folder / "m.csv"), CutoutScanner(MeanEnsemble())).to_pylist()


def cuts(path):
    """Truncate the file at every tenth of its size in turn, and restore it at the end."""
    whole = path.read_bytes()
    for tenth in TENTHS:
        cut = len(whole) * tenth // 10
        # A cut at the end of a FITS block could leave a valid file.
        path.write_bytes(whole[: cut - 1 if cut % 2880 == 0 else cut])
        yield tenth
    path.write_bytes(whole)


def check_rejected(rows, codes):
    assert {row["status"] for row in rows} <= {f"rejected:{code}" for code in codes}
    assert all(row["p_lens"] is None for row in rows)


@pytest.mark.fault(22)
@pytest.mark.parametrize("kind", MANY_KINDS)
def test_a_truncated_cutout_is_never_scored(tmp_path, kind, measured):
    paths = cutouts(tmp_path, kind)
    assert {row["status"] for row in score(tmp_path, paths)} == {"scored"}
    for band in ("VIS", "H"):
        for _ in cuts(tmp_path / paths[band].rpartition("/")[2]):
            check_rejected(score(tmp_path, paths), {RejectCode.FITS_TRUNCATED})
    measured(runs=2 * len(TENTHS), note="cut at every tenth, in every kind of file: all rows rejected:fits_truncated")


@pytest.mark.fault(22)
@pytest.mark.parametrize("kind", MANY_KINDS)
def test_a_mosaic_truncated_anywhere_yields_no_stamps(tmp_path, kind, measured):
    """The only source needs the first quarter of the rows; a cut behind them rejects it too."""
    tile, sources = make_tile(tmp_path, kind), catalogue([(240, 60)])
    (row,) = tile_cutouts(tile, sources, MER_10)
    assert not isinstance(row, Rejection)
    for band in ("VIS", "H"):
        for _ in cuts(tmp_path / tile.mosaics[band].rpartition("/")[2]):
            (row,) = tile_cutouts(tile, sources, MER_10)
            assert row.code is RejectCode.FITS_TRUNCATED
    measured(runs=2 * len(TENTHS))


@pytest.mark.fault(22)
def test_a_truncated_mosaic_rejects_every_row_of_its_unit(tmp_path):
    write_tile(tmp_path, 1, 7)
    (path,) = tmp_path.glob(f"*-{MER_BANDS['J']}_*")
    for _ in cuts(path):
        (unit,) = find_units(str(tmp_path))
        rows = scanned(unit, CutoutScanner(MeanEnsemble()), "2026-11-24").to_pylist()
        assert len(rows) == 7
        check_rejected(rows, {RejectCode.FITS_TRUNCATED})


def data_range(path, kind):
    """Return the unpacked file, and the offset and size of the data of its largest HDU."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    with fits.open(path) as hdus:
        info = max((hdu.fileinfo() for hdu in hdus), key=lambda info: info["datSpan"])
    return data, info["datLoc"], info["datSpan"]


def damaged(path, data):
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def flipped(data, at, bit):
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def holed(data, start, n):
    return data[:start] + bytes(n) + data[start + n :]


@pytest.mark.fault(23)
@pytest.mark.parametrize("kind", WITH_SUMS)
def test_checksums_reveal_flipped_bits_and_holes(tmp_path, kind, measured):
    tile, sources = make_tile(tmp_path, kind), catalogue([(240, 60)])
    path = tmp_path / tile.mosaics["Y"].rpartition("/")[2]
    data, start, n = data_range(path, kind)
    rng = np.random.default_rng(0)
    bad = [flipped(data, start + int(rng.integers(n - 3000)), int(rng.integers(8))) for _ in range(10)]
    bad += [holed(data, start + int(at), 2000) for at in rng.integers(0, n // 2, 4)]
    bad = [changed for changed in bad if changed != data]
    for changed in bad:
        damaged(path, changed)
        (row,) = tile_cutouts(tile, sources, MER_10)
        assert row.code in DAMAGED
        with pytest.raises(Rejection) as caught:
            read_band(str(path))
        assert caught.value.code in DAMAGED
    # The reader uses a header before it can check its sum.
    damaged(path, flipped(data, data.index(b"CTYPE1") + 40, 2))
    assert isinstance(tile_cutouts(tile, sources, MER_10)[0], Rejection)
    measured(runs=2 * len(bad) + 1, note="flipped bits and holes of zeros: rejected wherever CHECKSUM or DATASUM is written")


@pytest.mark.fault(23)
def test_damage_of_a_gzipped_file_is_detected_without_checksums(tmp_path):
    tile, sources = make_tile(tmp_path, "no sums"), catalogue([(240, 60)])
    packed = gzip.compress((tmp_path / "Y.fits").read_bytes(), 1)
    rng = np.random.default_rng(0)
    for at in rng.integers(20, len(packed), 20):
        (tmp_path / "Y.fits").write_bytes(flipped(packed, int(at), int(rng.integers(8))))
        (row,) = tile_cutouts(tile, sources, MER_10)
        assert row.code in DAMAGED


@pytest.mark.fault(23)
def test_without_checksums_only_a_blank_stamp_reveals_a_hole(tmp_path, measured):
    """A stamp with part of a hole or a flipped bit still looks like pixels: only checksums reveal the damage."""
    tile, sources = make_tile(tmp_path, "no sums"), catalogue([(270, 60), (270, 420)])
    path = tmp_path / "Y.fits"
    data, start, _ = data_range(path, "no sums")
    row_bytes = 4 * mosaic(0).shape[1]
    seen = {}
    holes = {"all": 130 * row_bytes, "half": 60 * row_bytes, "a block": 40_000}
    for name, changed in {
        **{name: holed(data, start, size) for name, size in holes.items()},
        "a huge number": flipped(data, start + 60 * row_bytes + 4 * 270, 6),
        "another number": flipped(data, start + 60 * row_bytes + 4 * 270 + 3, 0),
    }.items():
        path.write_bytes(changed)
        first, other = tile_cutouts(tile, sources, MER_10)
        assert not isinstance(other, Rejection)
        seen[name] = str(first.code) if isinstance(first, Rejection) else ("scored", *first.notes)
    assert seen == {
        "all": "blank",
        "half": ("scored",),
        "a block": ("scored",),
        "a huge number": "not_finite",
        "another number": ("scored",),
    }
    limit = (
        "without sums and gzip, a hole that leaves part of a stamp and a flipped bit that leaves a possible number are scored"
    )
    measured(runs=len(seen), note=limit)
