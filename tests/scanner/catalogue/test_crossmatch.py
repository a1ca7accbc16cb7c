"""Matches against astropy's own matching, at the poles and where right ascension wraps."""

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from scanner.catalogue.crossmatch import crossmatch
from scanner.sources.positions import SkyPositions


def listed(ra, dec, **others):
    return SkyPositions(
        pa.array(np.arange(len(ra)) + 100),
        np.array(ra, float),
        np.array(dec, float),
        {name: pa.chunked_array([pa.array(values)]) for name, values in others.items()},
    )


def candidates(ra, dec):
    return pa.table({"object_id": np.arange(len(ra)), "ra": pa.array(ra, pa.float64()), "dec": pa.array(dec, pa.float64())})


@pytest.mark.parametrize("middle", [(0.0, 0.0), (359.9999, 40.0), (123.0, 89.999), (10.0, -89.9999)])
@pytest.mark.parametrize("radius_arcsec", [0.5, 3.0, 900.0])
def test_nearest_positions_are_those_of_astropy(rng, middle, radius_arcsec):
    centre = SkyCoord(*middle, unit="deg")
    scale = 2 * radius_arcsec * units.arcsec
    ours, theirs = (
        centre.directional_offset_by(rng.uniform(0, 360, n) * units.deg, rng.uniform(0, 1, n) * scale) for n in (60, 40)
    )
    nearest, separation, _ = ours.match_to_catalog_sky(theirs)
    is_near = separation.arcsec <= radius_arcsec
    found = crossmatch(candidates(ours.ra.deg, ours.dec.deg), listed(theirs.ra.deg, theirs.dec.deg), radius_arcsec)
    assert is_near.sum() > 0
    assert found.rows["object_id"].to_pylist() == np.flatnonzero(is_near).tolist()
    assert found.rows["match_id"].to_pylist() == (nearest[is_near] + 100).tolist()
    assert found.rows["separation_arcsec"].to_numpy() == pytest.approx(separation.arcsec[is_near], rel=1e-6, abs=1e-6)
    _, back, _ = theirs.match_to_catalog_sky(ours)
    assert found.n_positions_matched == (back.arcsec <= radius_arcsec).sum()


def test_rows_without_positions_match_nothing():
    found = crossmatch(candidates([10.0, None], [0.0, None]), listed([10.0, np.nan], [0.0, 0.0], name=["a", "b"]), 1.0)
    assert found.rows.to_pylist() == [
        {"object_id": 0, "ra": 10.0, "dec": 0.0, "match_id": 100, "separation_arcsec": 0.0, "match_name": "a"}
    ]
    assert found.n_positions_matched == 1
    nothing = crossmatch(candidates([], []), listed([10.0], [0.0], name=["a"]), 1.0)
    assert (nothing.rows.num_rows, nothing.n_positions_matched) == (0, 0)
    assert nothing.rows.column_names == found.rows.column_names


def test_a_column_called_id_does_not_hide_the_match():
    found = crossmatch(candidates([10.0], [0.0]), listed([10.0], [0.0], id=["mine"], p_lens=[7.0]), 1.0)
    assert found.rows["match_id"].to_pylist() == [100]
    assert found.rows["match_p_lens"].to_pylist() == [7.0]


@pytest.mark.parametrize("radius_arcsec", [0.0, -1.0, 648000.0, float("nan")])
def test_a_radius_off_the_sky_is_refused(radius_arcsec):
    with pytest.raises(ValueError, match="radius_arcsec must be above 0 and below 648000"):
        crossmatch(candidates([1.0], [1.0]), listed([1.0], [1.0]), radius_arcsec)
