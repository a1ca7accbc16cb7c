"""Tests of the layout of Euclid MER."""

import io
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from simulation.products.mer_files import (
    Pointing,
    catalogue_bytes,
    file_name,
    mosaic_bytes,
    object_ids,
    read_truth_spec,
    truth_bytes,
)
from tests.damaged_parquet import with_damaged_footer

POINTING = Pointing(63.5872258, -49.6841682, 301)


def test_object_identifiers_have_the_form_of_mer():
    """The published form has the sign of the declination, then ra and dec in units of 1e-7 degrees."""
    ids = object_ids(Pointing(63.5872258, -49.6841682, 301), [150], [150])
    assert ids.tolist() == [-635872258496841682]
    assert object_ids(Pointing(359.9999, 5.0000001, 301), [150], [150]).tolist() == [3599999000050000001]


def test_pixels_lie_on_the_sky_north_up_and_east_left():
    """Offsets from the pointing in its tangent plane, by Calabretta & Greisen 2002, equations 54 and 55."""
    side = 100001
    pointing = Pointing(150.0, 40.0, side)
    x, y = np.array([50000, 50000, 80000, 20000]), np.array([50000, 50001, 90000, 70000])
    ra, dec = pointing.sky(x, y)
    assert (ra[0], dec[0]) == pytest.approx((150.0, 40.0), abs=1e-12)
    assert (dec[1] - dec[0]) * 3600 == pytest.approx(0.1, rel=1e-6)
    assert ra[2] < 150 < ra[3]
    step = math.radians(0.1 / 3600)
    for i in range(4):
        xi, eta = -(x[i] - 50000) * step, (y[i] - 50000) * step
        dec0 = math.radians(40.0)
        expected_ra = 150.0 + math.degrees(math.atan2(xi, math.cos(dec0) - eta * math.sin(dec0)))
        z = (math.sin(dec0) + eta * math.cos(dec0)) / math.sqrt(1 + xi**2 + eta**2)
        assert ra[i] == pytest.approx(expected_ra, abs=1e-9)
        assert dec[i] == pytest.approx(math.degrees(math.asin(z)), abs=1e-9)


def test_names_differ_by_product_tile_and_spec():
    names = {file_name(*parts) for parts in (("A", "1", "s"), ("B", "1", "s"), ("A", "2", "s"), ("A", "1", "t"))}
    assert len(names) == 4
    assert file_name("A", "1", "s") in names


def test_mosaics_state_their_zero_point_and_sums():
    pixels = np.arange(301 * 301, dtype=np.float32).reshape(301, 301)
    data = mosaic_bytes(pixels, "J", POINTING)
    assert data == mosaic_bytes(pixels, "J", POINTING)
    # A wrong sum is a warning, and warnings are errors.
    with fits.open(io.BytesIO(data), checksum=True) as hdus:
        np.testing.assert_array_equal(hdus[0].data, pixels)
        assert (hdus[0].header["MAGZERO"], hdus[0].header["BUNIT"]) == (30.0, "ADU/s")
        assert {"CHECKSUM", "DATASUM"} <= set(hdus[0].header)


def test_the_catalogue_has_the_columns_of_mer():
    data = catalogue_bytes(np.array([-1, 2]), POINTING, [150, 0], [150, 10], {"VIS": [1.5, 2.5], "H": [3.5, 4.5]})
    with fits.open(io.BytesIO(data), checksum=True) as hdus:
        table = hdus[1].data
        assert table["OBJECT_ID"].tolist() == [-1, 2]
        assert table["FLUX_DETECTION_TOTAL"].tolist() == [1.5, 2.5]
        assert table["FLUX_H_TEMPLFIT"].tolist() == [3.5, 4.5]
        assert [table[name].tolist() for name in ("VIS_DET", "SPURIOUS_FLAG", "POINT_LIKE_PROB")] == [[1, 1], [0, 0], [0, 0]]
        assert (table["RIGHT_ASCENSION"][0], table["DECLINATION"][0]) == pytest.approx((63.5872258, -49.6841682))
        assert [hdus[1].columns[name].unit for name in ("RIGHT_ASCENSION", "FLUX_DETECTION_TOTAL")] == ["deg", "uJy"]


def test_the_truth_keeps_its_spec_and_nulls():
    data = truth_bytes(np.array([7, 8]), [{"kind": "single", "z_lens": 0.5}, {"kind": "nonlens"}], "a spec")
    assert read_truth_spec(data) == "a spec"
    table = pq.read_table(io.BytesIO(data))
    assert table["object_id"].to_pylist() == [7, 8]
    assert table["z_lens"].to_pylist() == [0.5, None]


def test_a_file_without_a_spec_has_an_empty_one():
    sink = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(truth_bytes(np.array([7]), [{}], "x"))).replace_schema_metadata(None), sink)
    assert read_truth_spec(sink.getvalue()) == ""
    for damaged in (b"", sink.getvalue()[:-40], with_damaged_footer(sink.getvalue())):
        assert read_truth_spec(damaged) == ""
