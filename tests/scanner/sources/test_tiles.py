"""Tiles made with astropy: a source must lie in the middle of its stamp, at any position in the mosaic."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from scanner.sources.cutouts import Cutout
from scanner.sources.tiles import TileCatalogue, TileError, discover_tiles, read_tile_catalogue
from scanner.vocabulary.geometry import CHALLENGE, MER
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.tile_rows import tile_cutouts

NAMES = {"VIS": "VIS", "Y": "NIR-Y", "J": "NIR-J", "H": "NIR-H"}
RA, DEC = 359.999, 65.0
N = 500
STAMP = "20241018T142710.276838Z_00.00"


def mosaic_name(band, tile="102018211", stamp=STAMP, suffix=".fits", kind="BGSUB-MOSAIC-{}"):
    return f"EUC_MER_{kind.format(NAMES[band])}_TILE{tile}-ACBD03_{stamp}{suffix}"


def catalogue_name(tile="102018211", stamp=STAMP, suffix=".fits"):
    return f"EUC_MER_FINAL-CAT_TILE{tile}-0AF3C1_{stamp}{suffix}"


def tile_header(n=N, rotation_deg=0.0, scale_arcsec=0.1):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = RA, DEC
    wcs.wcs.crpix = [n / 2 - 31.3, n / 2 + 17.8]
    c, s = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
    wcs.wcs.cd = scale_arcsec / 3600 * np.array([[-c, s], [s, c]])
    return wcs.to_header()


def write_catalogue(path, ids, ra, dec, names=("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION"), id_format="K"):
    columns = [fits.Column(n, f, array=a) for n, f, a in zip(names, (id_format, "D", "D"), (ids, ra, dec), strict=True)]
    extra = [fits.Column("FLUX_VIS_PSF", "E", array=np.zeros(len(ids)))]
    fits.BinTableHDU.from_columns(extra + columns).writeto(path, overwrite=True)


def make_tile(folder, xs, ys, header=None, n=N, level=2.0, **extra):
    """Write and read a tile with a point source of flux 1000 at every rounded position; extra: file contents by band."""
    folder.mkdir(exist_ok=True)
    header = tile_header(n) if header is None else header
    rng = np.random.default_rng(1)
    for band in NAMES:
        pixels = rng.normal(level, 0.1, (n, n)).astype(np.float32)
        for x, y in zip(xs, ys, strict=True):
            if -0.5 <= x < n - 0.5 and -0.5 <= y < n - 0.5:
                pixels[round(y), round(x)] += 1000
        fits.writeto(folder / mosaic_name(band), pixels, header)
    ra, dec = WCS(header).all_pix2world(xs, ys, 0) if len(xs) else ([], [])
    write_catalogue(folder / catalogue_name(), -np.arange(len(xs)) - 2**60, ra, dec)
    (tile,) = discover_tiles(str(folder))
    return tile, read_tile_catalogue(tile.catalogue)


def centroid(stamp, radius=8):
    """Return the centroid of the light near the middle; NaN if there is no light."""
    y, x = np.mgrid[: stamp.shape[0], : stamp.shape[1]]
    near = np.maximum(np.abs(x - len(stamp) / 2), np.abs(y - len(stamp) / 2)) <= radius
    light = np.where(near & (stamp > np.median(stamp) + 20), stamp, 0)
    return (light * x).sum() / light.sum(), (light * y).sum() / light.sum()


CORNERS = [(5.2, 7.9), (N - 6.4, 8.1), (4.6, N - 9.5), (N - 3.3, N - 7.7), (0, 250), (N - 1, 250)]
INSIDE = [(250.0, 250.0), (150.49, 349.51), (101.0, 399.0), (333.3, 222.2)]


@pytest.mark.parametrize("geometry", [CHALLENGE, MER])
def test_a_source_lies_in_the_middle_of_its_stamp(tmp_path, geometry):
    xs, ys = np.array(INSIDE + CORNERS).T
    rows = list(tile_cutouts(*make_tile(tmp_path, xs, ys), geometry))
    for i, row in enumerate(rows):
        assert isinstance(row, Cutout)
        assert row.notes == (() if i < len(INSIDE) else ("padded: VIS, Y, J, H",))
        for band, grid in geometry.grids.items():
            stamp = row.stamps[band]
            assert stamp.shape == (grid.n_pixels, grid.n_pixels)
            # Half a pixel from position to window, half from position to light; a coarser grid is accurate to its pixel only.
            tolerance_arcsec = max(0.1, grid.pixel_scale_arcsec / 2) + 0.01
            offset = (np.array(centroid(stamp)) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
            assert np.abs(offset).max() <= tolerance_arcsec, (i, band, offset)


def test_a_stamp_has_the_pixels_of_the_mosaic(tmp_path):
    xs, ys = np.array([(250.2, 260.0), (30.0, 470.0)]).T
    tile, catalogue = make_tile(tmp_path, xs, ys)
    middle, corner = tile_cutouts(tile, catalogue, CHALLENGE)
    vis, h = fits.getdata(tile.mosaics["VIS"]), fits.getdata(tile.mosaics["H"])
    np.testing.assert_array_equal(middle.stamps["VIS"], vis[160:360, 151:351])
    blocks = h[161:359, 152:350].astype(np.float64).reshape(66, 3, 66, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(middle.stamps["H"], blocks, rtol=1e-6)
    np.testing.assert_array_equal(corner.stamps["VIS"][:130, 70:], vis[370:, :130])  # (30, 470) moves to (100, 100)
    assert np.median(corner.stamps["VIS"][130:]) == pytest.approx(2, abs=0.01)


def test_sources_in_rotated_mosaics_of_another_scale_are_centred(tmp_path):
    xs, ys = np.array([(120.4, 130.2)]).T
    (row,) = tile_cutouts(*make_tile(tmp_path, xs, ys, tile_header(250, 30.0, 0.2), n=250), CHALLENGE)
    assert np.abs(np.array(centroid(row.stamps["VIS"])) - 99.5).max() <= 2.1
    assert row.notes == ()


def test_scaled_integer_mosaics_give_their_physical_values(tmp_path):
    xs, ys = np.array([(250.0, 250.0)]).T
    tile, catalogue = make_tile(tmp_path, xs, ys)
    values = np.random.default_rng(0).integers(0, 60000, (N, N)).astype(np.uint16)
    fits.writeto(tile.mosaics["VIS"], values, tile_header(), overwrite=True)
    (tile,) = discover_tiles(str(tmp_path))
    (row,) = tile_cutouts(tile, catalogue, CHALLENGE)
    np.testing.assert_array_equal(row.stamps["VIS"], values[150:350, 150:350])


def test_sources_anywhere_beyond_the_mosaic_are_outside(tmp_path):
    tile, _ = make_tile(tmp_path, np.array([250.0]), np.array([250.0]))
    ra, dec = WCS(tile_header()).all_pix2world([250.0, -0.6, 250.0, -1e4], [250.0, 250.0, N - 0.4, -1e4], 0)
    everywhere = TileCatalogue(np.arange(6), np.append(ra, [RA - 180, 100.0]), np.append(dec, [-DEC, -89.0]))
    rows = list(tile_cutouts(tile, everywhere, CHALLENGE))
    assert isinstance(rows[0], Cutout)
    assert [row.code for row in rows[1:]] == [RejectCode.OUTSIDE_TILE] * 5


@pytest.mark.fault(24)
def test_a_source_in_a_masked_region_is_rejected_alone(tmp_path):
    tile, catalogue = make_tile(tmp_path, np.array([110.0, 380.0]), np.array([250.0, 250.0]))
    with fits.open(tile.mosaics["J"], mode="update") as hdus:
        hdus[0].data[:, :250] = 0
    (tile,) = discover_tiles(str(tmp_path))
    blank, good = tile_cutouts(tile, catalogue, CHALLENGE)
    assert (blank.code, blank.detail) == (RejectCode.BLANK, "J: every pixel is 0")
    assert isinstance(good, Cutout)


def cut(path):
    path.write_bytes(path.read_bytes()[:-5000])


def html(path):
    path.write_text("<html>")


def no_wcs(path):
    fits.writeto(path, fits.getdata(path), overwrite=True)


def no_celestial_wcs(path):
    fits.writeto(path, fits.getdata(path), fits.Header({"PIXSCALE": 0.1}), overwrite=True)


def sum_mismatch(path):
    fits.writeto(path, fits.getdata(path), tile_header(), overwrite=True, checksum=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        pytest.param(lambda path: path.unlink(), RejectCode.MISSING_BAND, marks=pytest.mark.fault(25)),
        pytest.param(cut, RejectCode.FITS_TRUNCATED, marks=pytest.mark.fault(22)),
        pytest.param(html, RejectCode.FITS_UNREADABLE, marks=pytest.mark.fault(23)),
        pytest.param(sum_mismatch, RejectCode.FITS_UNREADABLE, marks=pytest.mark.fault(23)),
        pytest.param(no_wcs, RejectCode.NO_PIXEL_SCALE, marks=pytest.mark.fault(27)),
        pytest.param(no_celestial_wcs, RejectCode.BAD_WCS, marks=pytest.mark.fault(27)),
    ],
)
def test_a_damaged_mosaic_rejects_every_source(tmp_path, damage, code):
    make_tile(tmp_path, np.array([250.0, 260.0]), np.array([250.0, 250.0]))
    damage(tmp_path / mosaic_name("Y"))
    (tile,) = discover_tiles(str(tmp_path))
    rows = list(tile_cutouts(tile, read_tile_catalogue(tile.catalogue), CHALLENGE))
    assert [type(row) for row in rows] == [Rejection] * 2
    assert {row.code for row in rows} == {code}
    assert all(row.detail.startswith("Y: ") for row in rows)


@pytest.mark.fault(27)
def test_a_singular_wcs_is_rejected(tmp_path):
    make_tile(tmp_path, np.array([250.0]), np.array([250.0]))
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": RA, "CRVAL2": DEC})
    header.update(dict.fromkeys(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), 2e-05))
    fits.writeto(tmp_path / mosaic_name("Y"), np.eye(N, dtype=np.float32), header, overwrite=True)
    (tile,) = discover_tiles(str(tmp_path))
    (row,) = tile_cutouts(tile, read_tile_catalogue(tile.catalogue), CHALLENGE)
    assert row.code is RejectCode.BAD_WCS


def test_a_tile_without_sources_gives_no_rows(tmp_path):
    assert list(tile_cutouts(*make_tile(tmp_path, np.array([]), np.array([])), CHALLENGE)) == []


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_tiles_are_found_with_their_newest_files(tmp_path):
    newer = "20241019T000000.5Z_00.00"
    older = "20241017T000000.0Z_00.00"
    touch(tmp_path / "102018211" / "VIS", mosaic_name("VIS"), mosaic_name("VIS", stamp=newer))
    touch(tmp_path / "reprocessed", mosaic_name("VIS", stamp=older))
    touch(tmp_path / "102018211" / "NISP", *(mosaic_name(b, suffix=".fits.gz") for b in "YJH"))
    touch(tmp_path / "catalogs", catalogue_name(), catalogue_name("000000007", suffix=".fits.gz"))
    touch(
        tmp_path,
        mosaic_name("VIS", kind="MOSAIC-{}-RMS"),
        mosaic_name("VIS", kind="MOSAIC-{}-FLAG"),
        mosaic_name("VIS", kind="BGMOD-{}"),
        "EUC_MER_BGSUB-MOSAIC-DES-G_TILE102018211-ACBD03_" + STAMP + ".fits",
        "EUC_MER_FINAL-MORPH-CAT_TILE102018211-ACBD03_" + STAMP + ".fits",
        mosaic_name("VIS") + ".part",
        "notes.txt",
    )
    bare, full = discover_tiles(str(tmp_path))
    assert (bare.tile_id, dict(bare.mosaics)) == ("000000007", {})
    assert full.tile_id == "102018211"
    assert sorted(full.mosaics) == ["H", "J", "VIS", "Y"]
    assert full.mosaics["VIS"].endswith(mosaic_name("VIS", stamp=newer))
    assert full.catalogue.endswith(catalogue_name())
    assert discover_tiles(str(tmp_path / "none")) == []


def test_mosaics_without_a_catalogue_are_an_error(tmp_path):
    touch(tmp_path, mosaic_name("VIS"), mosaic_name("H"))
    with pytest.raises(TileError, match="tile 102018211: has H, VIS but no catalogue named EUC_MER_FINAL-CAT_TILE102018211"):
        discover_tiles(str(tmp_path))


IDS = np.array([-(2**62) - 1, 2**53 + 1])


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "names", [("OBJECT_ID", "RIGHT_ASCENSION", "DECLINATION"), ("object_id", "right_ascension", "declination")]
)
def test_catalogue_ids_keep_all_digits(tmp_path, names):
    write_catalogue(tmp_path / "c.fits", IDS, [1.0, 2.0], [3.0, 4.0], names)
    catalogue = read_tile_catalogue(str(tmp_path / "c.fits"))
    assert catalogue.object_ids.tolist() == IDS.tolist()
    assert catalogue.object_ids.dtype == np.dtype("=i8")
    assert (catalogue.ra.tolist(), catalogue.dec.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    assert catalogue.without([2**53 + 1, 5]).object_ids.tolist() == [-(2**62) - 1]
    assert catalogue.without([]).ra.tolist() == [1.0, 2.0]


def test_right_ascensions_may_be_negative_as_some_surveys_write_them(tmp_path):
    write_catalogue(tmp_path / "c.fits", IDS, [-360.0, 360.0], [-90.0, 90.0])
    assert read_tile_catalogue(str(tmp_path / "c.fits")).ra.tolist() == [-360.0, 360.0]


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"ra": [-999.0, np.nan]},
            rf"1 of 2 rows without a finite position, the first row 2, with id {IDS[1]} \(RA nan, Dec 4 deg\): remove",
        ),
        ({"ra": [np.nan, np.inf], "dec": [3.0, 95.0]}, "2 of 2 rows without a finite position, the first row 1, with id"),
        ({"dec": [-91.0, 91.0]}, r"2 of 2 rows outside RA -360 to 360 and Dec -90 to 90 deg, the first row 1, .*Dec -91 deg"),
        ({"ra": [361.0, -360.5]}, r"2 of 2 rows outside RA -360 to 360 and Dec -90 to 90 deg, the first row 1, .*RA 361"),
        ({"id_format": "D"}, "floats lose digits"),
        ({"names": ("ID", "RIGHT_ASCENSION", "DECLINATION")}, "needs a table with the columns OBJECT_ID"),
    ],
)
def test_unusable_catalogues_are_refused(tmp_path, columns, message):
    write_catalogue(tmp_path / "c.fits", **({"ids": IDS, "ra": [1.0, 2.0], "dec": [3.0, 4.0]} | columns))
    with pytest.raises(TileError, match=message):
        read_tile_catalogue(str(tmp_path / "c.fits"))


@pytest.mark.fault(26)
@pytest.mark.parametrize(("ra", "dec"), [(np.nan, 4.0), (2.0, np.inf), (2.0, 91.0), (-999.0, -999.0)])
def test_a_source_without_a_position_costs_no_other(tmp_path, ra, dec):
    write_catalogue(tmp_path / "c.fits", IDS, [1.0, ra], [3.0, dec])
    catalogue = read_tile_catalogue(str(tmp_path / "c.fits"))
    assert catalogue.object_ids.tolist() == IDS.tolist()
    assert catalogue.has_position.tolist() == [True, False]
    np.testing.assert_array_equal([catalogue.ra, catalogue.dec], [[1, np.nan], [3, np.nan]])


@pytest.mark.fault(22)
def test_damaged_catalogues_are_refused(tmp_path):
    path = tmp_path / "c.fits"
    with pytest.raises(TileError, match="no such file"):
        read_tile_catalogue(str(path))
    html(path)
    with pytest.raises(TileError, match="not a FITS file"):
        read_tile_catalogue(str(path))
    write_catalogue(path, IDS, [1.0, 2.0], [3.0, 4.0])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TileError, match="fits_truncated"):
        read_tile_catalogue(str(path))
