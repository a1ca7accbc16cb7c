from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve
from scipy.stats import kstest, kurtosis

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import CHALLENGE, MER
from simulation.optics import observation
from simulation.optics.observation import (
    Conditions,
    Edge,
    Optics,
    add_noise,
    bin_pixels,
    detector_noise,
    draw_conditions,
    sky_sigma_adu_per_s,
    source_noise,
)
from simulation.optics.psf import SampledPsf, model_psf
from tests.simulation.hand_numbers import (
    ELECTRONS_PER_ADU_PER_S,
    POISSON_SHARE,
    READ_ELECTRONS2,
    SKY_ADU_PER_S,
    SKY_ELECTRONS,
)

BANDS = list(EUCLID)
GEOMETRIES = pytest.mark.parametrize("geometry", [CHALLENGE, MER], ids=lambda g: g.name)
NOMINAL = Conditions.nominal(30.0)
SIGMA_MEASURED = {"VIS": 0.0026, "Y": 0.495, "J": 0.518, "H": 0.489}
"""Noise of pixels of blank MER fields of Q1, ADU/s."""


def autocorrelation(image, dy, dx):
    a = image[: image.shape[0] - dy, : image.shape[1] - dx]
    b = image[dy:, dx:]
    return np.mean(a * b) / np.mean(image**2)


def blank(geometry, n=400, level=0.0):
    return {band: np.full((n, n), level, np.float32) for band in geometry.grids}


def scene(n=160, seed=3):
    """Return light on fine pixels that is smooth on their scale, away from the edges."""
    rng = np.random.default_rng(seed)
    axis = np.arange(n) - (n - 1) / 2
    x, y = np.meshgrid(axis, axis)
    image = np.zeros((n, n))
    for _ in range(6):
        dx, dy = rng.uniform(-0.15 * n, 0.15 * n, 2)
        image += rng.uniform(0.5, 2) * np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * rng.uniform(2.5, 5) ** 2))
    return image.astype(np.float32)


@GEOMETRIES
@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("n_fine", [168, 172])
def test_observing_is_convolving_on_fine_pixels_and_binning(geometry, band, n_fine):
    """If whole pixels do not fill the image, they cover the part about its centre."""
    fine, pixel_arcsec = scene(n_fine), geometry.grids[band].pixel_scale_arcsec
    kernel = model_psf(band, 30.0).kernel(0.05, pixel_arcsec).astype(float)
    blurred = fftconvolve(fine.astype(float), kernel, "same")
    factor = round(pixel_arcsec / 0.05)
    n, cut = n_fine // factor, n_fine % factor // 2
    inner = blurred[cut : cut + n * factor, cut : cut + n * factor]
    expected = inner.reshape(n, factor, n, factor).sum(axis=(1, 3))
    # NISP is convolved on coarser pixels.
    tolerance = 1e-5 if band == "VIS" else 2e-3
    np.testing.assert_allclose(Optics(geometry, NOMINAL).observe(band, fine), expected, atol=tolerance * expected.max())


@GEOMETRIES
@pytest.mark.parametrize("name", BANDS)
@pytest.mark.parametrize("corner", [(230, 150), (231, 151), (200, 333)])
def test_observing_keeps_flux_and_position(geometry, name, corner):
    fine = np.zeros((400, 400), np.float32)
    row, column = corner
    fine[row, column] = 10.0
    image = Optics(geometry, NOMINAL).observe(name, fine).astype(float)
    grid = geometry.grids[name]
    assert image.shape == (grid.n_pixels, grid.n_pixels)
    assert image.sum() == pytest.approx(10.0, rel=1e-3)
    axis = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
    x, y = (image.sum(axis=0) * axis).sum() / 10, (image.sum(axis=1) * axis).sum() / 10
    assert (x, y) == (pytest.approx((column - 199.5) * 0.05, abs=0.004), pytest.approx((row - 199.5) * 0.05, abs=0.004))


@GEOMETRIES
@pytest.mark.parametrize("band", BANDS)
def test_a_centred_window_gives_the_middle_of_the_whole(geometry, band):
    window = scene(240)
    whole = np.pad(window, 80)
    optics = Optics(geometry, NOMINAL)
    inner, outer = optics.observe(band, window), optics.observe(band, whole)
    margin = (len(outer) - len(inner)) // 2
    assert margin == round(4 / geometry.grids[band].pixel_scale_arcsec)
    np.testing.assert_allclose(inner, outer[margin:-margin, margin:-margin], atol=1e-5 * outer.max())


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("n", [20, 48, 200])
def test_light_does_not_wrap_around_the_edges(band, n):
    fine = np.zeros((n, n), np.float32)
    fine[0:2, 0:2] = 100.0
    image = Optics(MER, NOMINAL).observe(band, fine)
    assert image.shape == (n // 2, n // 2)
    along = np.abs(image).max(axis=1)
    assert np.all(along[np.arange(len(along)) * 0.1 > 1.75] < 1e-4)
    # A tail that wrapped around would rise again towards the far edge.
    assert along[-1] <= along[len(along) // 2] + 1e-4


def test_fine_images_are_square_and_even():
    optics = Optics(MER, NOMINAL)
    for shape in ((40, 42), (41, 41), (0, 0), (40,)):
        with pytest.raises(ValueError, match="square with an even number of pixels a side, got the shape"):
            optics.observe("VIS", np.zeros(shape, np.float32))


def test_conditions_shape_the_blurring():
    star = np.zeros((120, 120), np.float32)
    star[60, 60] = 1.0

    def peak(angle, factor, band):
        conditions = Conditions(angle, factor, NOMINAL.depth_factor, NOMINAL.sky_offset_sigma)
        return Optics(MER, conditions).observe(band, star)

    for band in BANDS:
        assert peak(0, 1.1, band).max() < 0.95 * peak(0, 1.0, band).max()
    assert np.abs(peak(60, 1.0, "VIS") - peak(0, 1.0, "VIS")).max() > 0.01 * peak(0, 1.0, "VIS").max()
    np.testing.assert_array_equal(peak(60, 1.0, "H"), peak(0, 1.0, "H"))


@pytest.mark.parametrize("band", BANDS)
def test_a_given_psf_replaces_the_model(band):
    """A star in the middle of a pixel equals the given PSF in closed form at that position."""
    sigma, n = 0.2, 41
    axis = (np.arange(n) - (n - 1) / 2) * 0.1

    def gauss(x, y):
        # The mean of a Gaussian over a pixel is nearly one with a twelfth of the pixel's square added.
        variance = sigma**2 + 0.1**2 / 12
        return 0.01 / (2 * np.pi * variance) * np.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / (2 * variance))

    psf = SampledPsf(gauss(0.0, 0.0).astype(np.float32), 0.1)
    fine = np.zeros((82, 82), np.float32)
    fine[42:44, 38:40] = 0.25
    seen = Optics(MER, NOMINAL, {band: psf}).observe(band, fine)
    np.testing.assert_allclose(seen, gauss(-0.1, 0.1), atol=0.01 * seen.max())


def test_a_psf_of_an_unknown_band_is_refused():
    with pytest.raises(ValueError, match=r"PSFs may be given for the bands .*, got \['K'\]"):
        Optics(MER, NOMINAL, {"K": model_psf("H", 0.0)})


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_binning_sums_blocks(factor):
    image = np.arange(49, dtype=np.float32).reshape(7, 7)
    n = 7 // factor
    expected = [[image[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor].sum() for j in range(n)] for i in range(n)]
    np.testing.assert_array_equal(bin_pixels(image, factor), expected)


@pytest.mark.parametrize("name", BANDS)
@pytest.mark.parametrize("level_in_sky", [0.0, 3.0])
def test_noise_follows_from_counted_electrons(name, level_in_sky):
    band = EUCLID[name]
    level = level_in_sky * band.sky_electrons_per_pixel / band.electrons_per_adu_per_s
    clean = np.full((400, 400), level, np.float32)
    noise = detector_noise(clean, band, band.noise_electrons_per_pixel**2, np.random.default_rng(1))
    electrons2 = SKY_ELECTRONS[name] * (1 + level_in_sky) + READ_ELECTRONS2[name]
    sigma = np.sqrt(electrons2) / ELECTRONS_PER_ADU_PER_S[name]
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=4 * sigma / 400)


@GEOMETRIES
@pytest.mark.parametrize("name", BANDS)
def test_noise_of_empty_sky_follows_from_the_band_table(geometry, name):
    assert sky_sigma_adu_per_s(name, geometry) == pytest.approx(SKY_ADU_PER_S[geometry.name][name], rel=2e-4)


def test_challenge_noise_is_white():
    noisy = add_noise(blank(CHALLENGE), CHALLENGE, NOMINAL, np.random.default_rng(1))
    for band in BANDS:
        assert autocorrelation(noisy[band], 0, 1) == pytest.approx(0, abs=0.01)
        assert noisy[band].std() == pytest.approx(SKY_ADU_PER_S["challenge"][band], rel=0.01)


def test_mer_vis_noise_matches_blank_fields():
    noise = add_noise(blank(MER, 1200), MER, NOMINAL, np.random.default_rng(1))["VIS"]
    assert noise.std() == pytest.approx(SIGMA_MEASURED["VIS"], rel=0.06)
    for lags, expected in (((0, 1), 0.208), ((1, 0), 0.208), ((1, 1), 0.048), ((0, 2), 0.0), ((3, 0), 0.0)):
        assert autocorrelation(noise, *lags) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("band", ["Y", "J", "H"])
def test_mer_nisp_noise_matches_blank_fields(band):
    """The values are averages over dithers, since any four dithers leave a little of their grid."""
    draws = [add_noise({band: blank(MER, 300)[band]}, MER, NOMINAL, np.random.default_rng(i))[band] for i in range(30)]
    assert np.std(draws) == pytest.approx(SIGMA_MEASURED[band], rel=0.06)
    for lag, expected in ((1, 0.80), (2, 0.49), (3, 0.24), (4, 0.10)):
        for lags in ((0, lag), (lag, 0)):
            found = np.mean([autocorrelation(noise, *lags) for noise in draws])
            assert found == pytest.approx(expected, rel=0.08, abs=0.015)
    assert np.mean([autocorrelation(noise, 0, 8) for noise in draws]) == pytest.approx(0, abs=0.01)


def test_nisp_noise_shows_no_grid():
    """The variance is nearly the same on every third row and column, for any dithers."""
    rows, columns = [], []
    for i in range(40):
        noise = add_noise({"J": blank(MER, 450)["J"]}, MER, NOMINAL, np.random.default_rng(i))["J"]
        rows.append([noise[k::3].var() for k in range(3)])
        columns.append([noise[:, k::3].var() for k in range(3)])
    for variances in (rows, columns):
        spread = np.std(variances, axis=1) / np.mean(variances)
        assert spread.max() < 0.25
        assert np.median(spread) < 0.12


@GEOMETRIES
@pytest.mark.parametrize("name", BANDS)
def test_shot_noise_of_sources_grows_with_their_light(geometry, name):
    """The variance is that of empty sky plus a share of the light's electrons, which resampling leaves."""
    sky, share = SKY_ADU_PER_S[geometry.name][name] ** 2, POISSON_SHARE[geometry.name][name]
    for level in (1.0, 5.0):
        added = level * sky
        flux = added / share * ELECTRONS_PER_ADU_PER_S[name]
        clean = {name: np.full((900, 900), flux, np.float32)}
        noise = add_noise(clean, geometry, NOMINAL, np.random.default_rng(1))[name] - flux
        # Four dithers leave a little of their grid, which averages out over many.
        assert noise.var() == pytest.approx(sky + added, rel=0.02 if name == "VIS" or geometry is CHALLENGE else 0.05)


@pytest.mark.parametrize("name", BANDS)
def test_noise_of_a_source_is_the_variance_its_light_adds(name):
    level = 30 * SKY_ADU_PER_S["mer"][name]
    clean = np.full((900, 900), level, np.float32)
    expected = level / ELECTRONS_PER_ADU_PER_S[name] * POISSON_SHARE["mer"][name]
    alone = source_noise(clean, name, np.random.default_rng(1))
    assert alone.var() == pytest.approx(expected, rel=0.02 if name == "VIS" else 0.05)
    assert np.all(source_noise(np.zeros((50, 50), np.float32), name, np.random.default_rng(1)) == 0)


@pytest.mark.parametrize("name", BANDS)
def test_noise_of_a_source_alone_is_poisson(name):
    """The source is flat, 12 x 12 pixels, with room about it: resampling spreads noise and loses none."""
    clean = np.zeros((40, 40), np.float32)
    clean[14:26, 14:26] = 30 * SKY_ADU_PER_S["mer"][name]
    rng, n = np.random.default_rng(1), 4000
    sums = [float(source_noise(clean, name, rng).sum(dtype=float)) for _ in range(n)]
    expected = np.sqrt(clean.sum(dtype=float) / ELECTRONS_PER_ADU_PER_S[name])
    assert np.std(sums) / expected == pytest.approx(1, abs=0.035)


@GEOMETRIES
def test_depth_and_background_are_those_of_the_conditions(geometry):
    depth, offset = {"VIS": 0.8, "Y": 1.1, "J": 1.2, "H": 1.3}, {"VIS": 0.5, "Y": 0.0, "J": 2.0, "H": -1.0}
    noisy = add_noise(blank(geometry, 900), geometry, Conditions(0.0, 1.0, depth, offset), np.random.default_rng(1))
    for band, noise in noisy.items():
        sigma = depth[band] * SKY_ADU_PER_S[geometry.name][band]
        assert noise.std() == pytest.approx(sigma, rel=0.03)
        # Correlated noise averages out slowly.
        assert noise.mean() == pytest.approx(offset[band] * sigma, abs=0.03 * sigma)


@pytest.mark.parametrize("n", [200, 201, 202])
@pytest.mark.parametrize("band", ["VIS", "H"])
def test_resampled_noise_has_no_edge(band, n):
    draws = [add_noise({band: np.zeros((n, n), np.float32)}, MER, NOMINAL, np.random.default_rng(i))[band] for i in range(60)]
    noise = np.stack(draws)
    middle = noise[:, 40:-40, 40:-40].std()
    for edge in (noise[:, :3], noise[:, -3:], noise[:, :, :3], noise[:, :, -3:]):
        assert edge.std() == pytest.approx(middle, rel=0.12)


def test_noise_is_where_the_light_is():
    """A bright block at a known place raises the scatter there and nowhere else."""
    for geometry in (CHALLENGE, MER):
        for band in BANDS:
            clean = np.zeros((90, 120), np.float32)
            clean[60:80, 10:30] = 100 * SKY_ADU_PER_S[geometry.name][band]
            rng = np.random.default_rng(1)
            noise = np.stack([add_noise({band: clean}, geometry, NOMINAL, rng)[band] - clean for _ in range(30)])
            sky = noise[:, :40, 50:].std()
            excess = noise.std(axis=0) / sky
            assert excess[64:76, 14:26].mean() > 1.2
            assert excess[:50].max() < 1.9
            assert excess[:50].mean() == pytest.approx(1, abs=0.05)


def test_noise_is_repeatable_and_leaves_its_input_alone():
    clean = blank(MER, 100, 0.01)
    first, second = (add_noise(clean, MER, NOMINAL, np.random.default_rng(5)) for _ in range(2))
    other = add_noise(clean, MER, NOMINAL, np.random.default_rng(6))
    for band in BANDS:
        np.testing.assert_array_equal(first[band], second[band])
        assert np.all(clean[band] == np.float32(0.01))
        assert not np.array_equal(first[band], other[band])
        assert first[band].dtype == np.float32


def test_conditions_scatter_as_over_the_survey(rng):
    drawn = [draw_conditions(rng, 12.0) for _ in range(4000)]
    assert all(c.detector_angle_deg == 12.0 for c in drawn)
    assert {c.noisy_pixel_share for c in drawn} == {0.05}
    fwhm = np.log([c.fwhm_factor for c in drawn])
    assert fwhm.mean() == pytest.approx(0, abs=0.004)
    assert fwhm.std() == pytest.approx(0.05, abs=0.003)
    depth = {band: np.log([c.depth_factor[band] for c in drawn]) for band in BANDS}
    # The variance is that shared by the NISP bands plus that of each band: 0.115^2 + 0.04^2.
    for band, spread, level in (("VIS", 0.1, 0.1), ("Y", 0.1218, 0.15), ("J", 0.1218, 0.25), ("H", 0.1218, 0.25)):
        assert depth[band].mean() == pytest.approx(0, abs=0.01)
        assert depth[band].std() == pytest.approx(spread, rel=0.05)
        # Q1 stamps have 0 to 0.5.
        offsets = [c.sky_offset_sigma[band] for c in drawn]
        assert np.mean(offsets) == pytest.approx(level, abs=0.012)
        assert np.std(offsets) == pytest.approx(0.15, abs=0.008)
    for a, b in (("Y", "J"), ("J", "H"), ("Y", "H")):
        assert (depth[a] - depth[b]).std() == pytest.approx(0.04 * np.sqrt(2), rel=0.05)
    assert abs(np.corrcoef(depth["VIS"], depth["H"])[0, 1]) < 0.06


def test_edges_of_exposures_are_drawn_for_each_instrument(rng):
    """Half of the stamps have an edge, in any direction, anywhere in 20 arcsec, with one exposure less or two more."""
    drawn = [draw_conditions(rng, 0.0).edges for _ in range(4000)]
    for band in BANDS:
        assert np.mean([band in edges for edges in drawn]) == pytest.approx(0.5, abs=0.03)
    assert all(edges.get("Y") == edges.get("J") == edges.get("H") for edges in drawn)
    assert np.mean([("VIS" in edges) == ("Y" in edges) for edges in drawn]) == pytest.approx(0.5, abs=0.03)
    edges = [edges[band] for edges in drawn for band in ("VIS", "Y") if band in edges]
    for values, high in (([e.angle_rad for e in edges], 2 * np.pi), ([e.distance_arcsec for e in edges], 10.0)):
        assert kstest(np.array(values) / high, "uniform").pvalue > 1e-3
    assert {e.factor for e in edges} == {1.155, 0.82}
    assert np.mean([e.factor == 1.155 for e in edges]) == pytest.approx(2 / 3, abs=0.03)


def test_seeing_stays_within_its_range(rng, monkeypatch):
    monkeypatch.setattr(observation, "_FWHM_SCATTER", 1.0)
    widths = [draw_conditions(rng, 0.0).fwhm_factor for _ in range(100)]
    assert (min(widths), max(widths)) == (0.85, 1.2)


def test_nominal_conditions_are_medians():
    nominal = Conditions.nominal(30.0)
    assert (nominal.detector_angle_deg, nominal.fwhm_factor, nominal.edges, nominal.noisy_pixel_share) == (30.0, 1.0, {}, 0.0)
    assert nominal.depth_factor == dict.fromkeys(BANDS, 1.0)
    assert nominal.sky_offset_sigma == dict.fromkeys(BANDS, 0.0)


def test_noise_changes_where_the_number_of_exposures_does():
    """With three of four exposures right of a vertical line, the noise there is 15 % larger in every geometry."""
    edge = Edge(0.0, 2.0, 1.155)
    for geometry in (CHALLENGE, MER):
        conditions = replace(NOMINAL, edges={"VIS": edge, "H": edge})
        noisy = add_noise(blank(geometry, 900), geometry, conditions, np.random.default_rng(3))
        for band in ("VIS", "H"):
            line = round(449.5 + 2.0 / geometry.grids[band].pixel_scale_arcsec)
            left, right = noisy[band][:, :line].std(), noisy[band][:, line + 1 :].std()
            assert right / left == pytest.approx(1.155, abs=0.02)
        assert noisy["J"][:, :450].std() == pytest.approx(noisy["J"][:, 450:].std(), rel=0.03)


def test_an_edge_lies_across_its_direction():
    factor = Edge(np.pi / 2, -1.0, 0.82).noise_factor((41, 31), 0.1)
    assert np.all(factor[: 20 - 10] == 1)
    assert np.all(factor[20 - 9 :] == np.float32(0.82))


def test_some_vis_pixels_are_noisier():
    """The noise is a mixture of normals: its kurtosis has a closed form on native pixels, and the tails of Q1 on MER's."""
    conditions = replace(NOMINAL, noisy_pixel_share=0.05)
    native = add_noise(blank(CHALLENGE, 1500), CHALLENGE, conditions, np.random.default_rng(4))["VIS"]
    more = 1.6**2 - 1
    expected = 3 * 0.05 * 0.95 * more**2 / (1 + 0.05 * more) ** 2
    assert kurtosis(native.ravel()) == pytest.approx(expected, abs=0.05)
    assert native.std() == pytest.approx(SKY_ADU_PER_S["challenge"]["VIS"] * np.sqrt(1 + 0.05 * more), rel=0.01)
    mer = add_noise(blank(MER, 1500), MER, conditions, np.random.default_rng(4))["VIS"]
    assert 0.15 < kurtosis(mer.ravel()) < 0.5


@GEOMETRIES
@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_seeing_widens_the_psf_by_its_factor(geometry, factor):
    """The reference is convolution with the model's PSF on fine pixels, at the ends of the range of widths."""
    optics = Optics(geometry, Conditions(0.0, factor, NOMINAL.depth_factor, NOMINAL.sky_offset_sigma))
    for band in BANDS:
        pixel_arcsec, fine = geometry.grids[band].pixel_scale_arcsec, scene(120)
        blurred = fftconvolve(fine.astype(float), model_psf(band, 0.0, factor).kernel(0.05, pixel_arcsec).astype(float), "same")
        n, binned = 120 // round(pixel_arcsec / 0.05), round(pixel_arcsec / 0.05)
        expected = blurred.reshape(n, binned, n, binned).sum(axis=(1, 3))
        np.testing.assert_allclose(optics.observe(band, fine), expected, atol=3e-3 * expected.max())
