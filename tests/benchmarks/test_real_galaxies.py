"""The real galaxies and lenses of the probes."""

from itertools import islice

import numpy as np
import pytest

from scanner.vocabulary.bands import EUCLID
from tests.benchmarks.hst_lenses import THIRDS, hst_stamps, thirds_of
from tests.benchmarks.probe_stamps import PIXEL_ARCSEC, SIDE_PIXELS
from tests.benchmarks.probes import figures
from tests.benchmarks.real_galaxies import HALVES, VIS_MAGS, cut_out, galaxy_stamps, read_hsc
from tests.shared import REAL

GALAXIES = ((80, 100), (240, 400), (120, 300))
"""Rows and columns of the galaxies of a field; one in its left half."""


@pytest.fixture
def hsc():
    """Return a field of noise with three galaxies and a star, of which `i` is twice as bright as `g`."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:320, :480]
    light = sum(300 * np.exp(-np.hypot(y - v, 1.5 * (x - u)) / 5) for v, u in GALAXIES)
    light += 3000 * np.exp(-((y - 200) ** 2 + (x - 60) ** 2) / 2)
    return {band: factor * light + rng.normal(0, 0.5, light.shape) for band, factor in (("g", 0.5), ("r", 0.8), ("i", 1.0))}


def test_the_halves_share_no_galaxy(hsc):
    assert {half: len(found) for half, found in cut_out(hsc).items()} == {"report": 1, "train": 2}


def test_galaxies_have_their_magnitude_and_lie_on_the_sky(hsc):
    rng = np.random.default_rng(2)
    sky = {band: rng.normal(0, 1e-5, (300, 300)) for band in EUCLID}
    stamps = list(islice(galaxy_stamps(hsc, {"blank": sky}, "train"), 20))
    assert {stamp.group for stamp in stamps} == {"real galaxy"}
    zero = EUCLID["VIS"].zero_point_ab_mag
    for stamp in stamps:
        vis, h = (stamp.bands[band].pixels.astype(float) for band in ("VIS", "H"))
        inside = ~stamp.bands["VIS"].outside
        assert VIS_MAGS[0] - 0.1 < zero - 2.5 * np.log10(vis[inside].sum()) < VIS_MAGS[1] + 0.1
        weights = np.maximum(vis, 0) ** 2
        middle = [(index * weights).sum() / weights.sum() - (SIDE_PIXELS - 1) / 2 for index in np.indices(vis.shape)]
        assert np.hypot(*middle) * PIXEL_ARCSEC < 0.1
        # g / i is 0.5, and VIS 0.9 of i.
        ratio = 10 ** (0.4 * (EUCLID["H"].zero_point_ab_mag - zero)) * (4.52 - 4.56 * 0.5) / 0.9
        assert h.sum() / vis.sum() == pytest.approx(ratio, rel=0.05)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "other.tar.gz").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"must be deepdisc-0\.1\.1\.tar\.gz"):
        read_hsc(tmp_path / "other.tar.gz")


def test_a_system_has_one_third_and_halves_are_named():
    thirds = thirds_of({f"lens {number}" for number in range(9)})
    assert sorted(thirds.values()) == sorted(THIRDS * 3)
    assert HALVES == ("report", "train")


@pytest.mark.needs_shared("real/hst_lenses.npz")
def test_a_twin_has_the_third_of_its_lens():
    stamps = list(hst_stamps(REAL))
    lenses = {stamp.name for stamp in stamps if stamp.group != "hst twin"}
    twins = [stamp.name for stamp in stamps if stamp.group == "hst twin"]
    assert (len(lenses), len(twins)) == (49, 46)
    assert set(twins) <= lenses


def test_figures_of_the_real_sky_count_by_hand():
    lenses = {"hst clear": {"train a": 3.0, "report b": 1.0}, "hst faint": {"report c": -1.0}}
    twins = {"hst twin": {"train a": 0.0, "report b": 2.0}}
    galaxies = {"real galaxy": {"report 0": 0.5, "report 1": -2.0}, "disturbed galaxy": {"report 2": -2.5}}
    found = figures(lenses | twins | galaxies, {}, {}, 1.0)
    shares = {name: figure["value"] for name, figure in found.items() if name.startswith("share_")}
    assert shares == {
        "share_hst_clear_above_cut": 1.0,
        "share_hst_clear_to_report_above_cut": 1.0,
        "share_hst_faint_above_cut": 0.0,
        "share_hst_faint_to_report_above_cut": 0.0,
        "share_hst_twin_above_cut": 0.5,
        "share_hst_twin_to_report_above_cut": 1.0,
        "share_real_galaxy_above_cut": 0.0,
        "share_disturbed_galaxy_above_cut": 0.0,
        "share_hst_lens_above_every_galaxy": pytest.approx(2 / 3),
    }
    assert found["wins_hst_lens_over_twin"]["value"] == 0.5
    assert found["auroc_hst_clear_over_twin"] == 0.75
    assert found["auroc_hst_lens_over_galaxies"] == pytest.approx(8 / 9)
