from types import SimpleNamespace

import numpy as np
import pytest

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import CHALLENGE, MER
from simulation.optics import artefacts
from simulation.optics.artefacts import (
    RATES,
    Frame,
    add_artefacts,
    bad_pixels,
    cosmic_ray,
    gap,
    ghost,
    saturation_adu_per_s,
    trail,
)
from simulation.optics.observation import Conditions, add_noise, sky_sigma_adu_per_s

BANDS = list(EUCLID)
GEOMETRIES = pytest.mark.parametrize("geometry", [CHALLENGE, MER], ids=lambda g: g.name)
NOMINAL = Conditions.nominal(0.0)
FLAWS = [gap, trail, cosmic_ray, ghost, bad_pixels]


def sky(geometry, seed=1):
    blank = {band: np.zeros((grid.n_pixels, grid.n_pixels), np.float32) for band, grid in geometry.grids.items()}
    return add_noise(blank, geometry, NOMINAL, np.random.default_rng(seed))


def frame(band="VIS", n=200, level=1.0, pixel_arcsec=0.1, angle=0.0):
    """Return a flat image with unit noise."""
    return Frame(band, np.full((n, n), level, np.float32), pixel_arcsec, 1.0, 0.45, angle)


MIDDLE = (99.5, 99.5)


@GEOMETRIES
def test_flaws_have_the_stated_rates(geometry):
    stamps, rng = sky(geometry), np.random.default_rng(2)
    n = 4000
    flawed, masked = dict.fromkeys(BANDS, 0), dict.fromkeys(BANDS, 0)
    for _ in range(n):
        for band, image in add_artefacts(stamps, geometry, NOMINAL, rng).items():
            flawed[band] += np.any(image != stamps[band])
            # More masked pixels than bad pixels alone would give.
            masked[band] += np.count_nonzero(image == 0) > 4
    assert masked["VIS"] / n == pytest.approx(0.06, abs=0.012)
    assert sum(masked[band] for band in ("Y", "J", "H")) / n == pytest.approx(0.03, abs=0.01)
    assert flawed["VIS"] / n == pytest.approx(0.10, abs=0.02)
    assert sum(flawed[band] for band in ("Y", "J", "H")) / n == pytest.approx(0.06, abs=0.02)


def test_flaws_are_as_many_per_area_on_a_tile():
    """The sky of 100 stamps has 100 times as many."""
    side, n_tiles = 2000, 12
    tile = {band: np.ones((side, side), np.float32) for band in BANDS}
    changed = {band: [] for band in BANDS}
    for seed in range(n_tiles):
        for band, image in add_artefacts(tile, MER, NOMINAL, np.random.default_rng(seed)).items():
            changed[band].append(np.mean(image == 0))
    # Gaps: half of them 30 x 1 arcsec, half 3 x 3, on an area of 400.
    expected = 0.06 * 0.5 * (30 * 1.0 + 9) / 400
    assert np.mean(changed["VIS"]) == pytest.approx(expected, rel=0.35)
    assert 0 < np.mean([changed[band] for band in ("Y", "J", "H")]) < np.mean(changed["VIS"])


def test_gaps_hide_other_flaws(monkeypatch):
    def flood(frame, at, strong, rng):
        frame.image[...] += 100

    monkeypatch.setattr(artefacts, "RATES", ((gap, "VIS", 3.0), (flood, "VIS", 3.0)))
    image = add_artefacts({"VIS": np.full((200, 200), 0.5, np.float32)}, MER, NOMINAL, np.random.default_rng(1))["VIS"]
    values = np.unique(image)
    assert len(values) == 2
    assert values[0] == 0
    assert values[1] > 100


@GEOMETRIES
def test_certain_flaws_are_always_conspicuous_and_never_everything(geometry):
    stamps, rng = sky(geometry), np.random.default_rng(3)
    for _ in range(300):
        flawed = add_artefacts(stamps, geometry, NOMINAL, rng, certain=True)
        seen = []
        for band, image in flawed.items():
            sigma = sky_sigma_adu_per_s(band, geometry)
            n = len(image)
            inner = slice(n // 4, n - n // 4)
            difference = np.abs(image - stamps[band])[inner, inner]
            seen.append(np.count_nonzero((difference > 3 * sigma) | ((image[inner, inner] == 0) & (difference > 0))))
            assert np.mean(image == 0) < 0.35
        assert max(seen) > 3


@GEOMETRIES
def test_flawed_images_are_new_finite_float32_and_repeatable(geometry):
    stamps = sky(geometry)
    before = {band: image.copy() for band, image in stamps.items()}
    for certain in (False, True):
        for seed in range(100):
            first, second = (
                add_artefacts(stamps, geometry, NOMINAL, np.random.default_rng(seed), certain=certain) for _ in range(2)
            )
            for band, image in first.items():
                np.testing.assert_array_equal(image, second[band])
                assert image.dtype == np.float32
                assert image.shape == stamps[band].shape
                assert np.isfinite(image).all()
                assert not np.shares_memory(image, stamps[band])
    for band, image in stamps.items():
        np.testing.assert_array_equal(image, before[band])


@pytest.mark.parametrize("band", ["VIS", "J"])
def test_flaws_are_added_to_a_single_band(band):
    image = sky(MER)[band]
    flawed = add_artefacts({band: image}, MER, NOMINAL, np.random.default_rng(4), certain=True)
    assert list(flawed) == [band]
    assert np.any(flawed[band] != image)


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("strong", [False, True])
@pytest.mark.parametrize("at", [MIDDLE, (0.0, 199.0), (250.0, -40.0)], ids=["middle", "corner", "outside"])
def test_every_flaw_may_hang_over_the_edge(flaw, strong, at):
    for seed in range(30):
        drawn = frame()
        flaw(drawn, at, strong, np.random.default_rng(seed))
        assert np.isfinite(drawn.image).all()
        assert drawn.image.min() >= 0, "flaws add light or take data away"
        if at == MIDDLE:
            assert np.any(drawn.image != 1)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0])
def test_gaps_are_zero_and_lie_along_the_detector(angle_deg):
    for seed in range(40):
        drawn = frame(n=300, angle=np.radians(angle_deg))
        gap(drawn, (149.5, 149.5), strong=False, rng=np.random.default_rng(seed))
        y, x = np.nonzero(drawn.image == 0)
        assert set(np.unique(drawn.image)) == {0, 1}
        values, vectors = np.linalg.eigh(np.cov(x, y))
        if values[1] < 3 * values[0]:
            continue
        direction = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        assert (direction - angle_deg + 45) % 90 - 45 == pytest.approx(0, abs=2)


def test_a_trail_is_straight_and_as_wide_as_a_psf():
    for seed in range(20):
        drawn = frame(level=0.0)
        trail(drawn, MIDDLE, strong=True, rng=np.random.default_rng(seed))
        image = drawn.image
        y, x = np.nonzero(image > 0.5 * image.max())
        across, along = np.sqrt(np.linalg.eigvalsh(np.cov(x, y)))
        assert along > 50
        # A strip of that width has this standard deviation.
        width_arcsec = across * np.sqrt(12) * 0.1
        assert 0.9 * 0.18 < width_arcsec < 2.1 * 0.18
        assert 14 < image.max() < 61
        edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert np.count_nonzero(edges > 0.5 * image.max()) >= 2


def test_a_cosmic_ray_is_sharp_and_short():
    for seed in range(30):
        drawn = frame(level=0.0)
        cosmic_ray(drawn, MIDDLE, strong=False, rng=np.random.default_rng(seed))
        lit = np.argwhere(drawn.image > 0.5 * drawn.image.max())
        assert 1 <= len(lit) <= 3 * 22
        # The track is sharper than any PSF: light falls to nothing within two pixels.
        assert np.count_nonzero(drawn.image > 0.01 * drawn.image.max()) < 3 * 60


def test_a_ghost_is_faint_and_a_few_arcsec_wide():
    rings = 0
    for seed in range(60):
        drawn = frame(level=0.0)
        ghost(drawn, MIDDLE, strong=False, rng=np.random.default_rng(seed))
        profile = drawn.image[100, 100:]
        width = 0.2 * (np.flatnonzero(profile > 0.5 * profile.max())[-1] + 0.5)
        assert 1.8 < width < 6.3
        assert 0.9 < drawn.image.max() < 5.1
        rings += drawn.image[100, 100] < 0.2 * drawn.image.max()
    assert 15 < rings < 45


def test_bad_pixels_are_hot_or_dead():
    hot = dead = 0
    for seed in range(60):
        drawn = frame()
        bad_pixels(drawn, MIDDLE, strong=False, rng=np.random.default_rng(seed))
        hot += np.count_nonzero(drawn.image > 6)
        dead += np.count_nonzero(drawn.image == 0)
        assert np.count_nonzero(np.abs(drawn.image - 1) > 6) <= 3 * 12
    assert hot > dead > 0


@pytest.mark.parametrize("band", BANDS)
def test_saturation_is_a_native_pixels_full_well_in_one_exposure(band):
    detector = EUCLID[band]
    wells = {"VIS": 200_000, "Y": 130_000, "J": 130_000, "H": 130_000}
    seconds = detector.exposure_s / detector.n_exposures
    native = wells[band] / (detector.gain_electrons_per_adu * seconds)
    assert saturation_adu_per_s(band, detector.pixel_scale_arcsec) == pytest.approx(native)
    if band != "VIS":
        assert saturation_adu_per_s(band, 0.1) == pytest.approx(native / 9)


def without_chance():
    """Return a generator with which only saturation happens."""
    rng = np.random.default_rng(5)
    return SimpleNamespace(random=rng.random, integers=rng.integers, uniform=rng.uniform, poisson=lambda _mean: 0)


def star(band, times_level, n=200):
    axis = np.arange(n) - n // 2
    profile = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * 2.0**2))
    return (times_level * saturation_adu_per_s(band, 0.1) * profile).astype(np.float32)


@pytest.mark.parametrize("band", ["VIS", "Y"])
def test_a_core_beyond_full_well_is_clipped_or_masked(band):
    image, level, rng = star(band, 3.0), saturation_adu_per_s(band, 0.1), without_chance()
    above = image > level
    middles = set()
    for _ in range(20):
        seen = add_artefacts({band: image}, MER, NOMINAL, rng)[band]
        assert seen.max() <= np.float32(level)
        middles.add(float(seen[100, 100] / np.float32(level)))
        assert len(np.unique(seen[above])) == 1
        changed = (seen != image) & ~above
        # Only VIS bleeds.
        assert np.any(changed) == (band == "VIS")
    assert middles == {0.0, 1.0}
    np.testing.assert_array_equal(add_artefacts({band: star(band, 0.99)}, MER, NOMINAL, rng)[band], star(band, 0.99))


def test_vis_bleeds_along_the_columns_of_the_detector():
    image = star("VIS", 5.0)
    for angle in (0.0, 90.0):
        seen = add_artefacts({"VIS": image}, MER, Conditions.nominal(angle), without_chance())["VIS"]
        y, x = np.nonzero((seen != image) & (image < 0.3 * image.max() / 5))
        spread = (np.ptp(y), np.ptp(x)) if angle == 0 else (np.ptp(x), np.ptp(y))
        assert spread[0] > 3 * spread[1]


def test_each_saturated_star_is_clipped_or_masked_on_its_own():
    image = star("VIS", 3.0) + np.roll(star("VIS", 3.0), 60, axis=1)
    level, rng = np.float32(saturation_adu_per_s("VIS", 0.1)), without_chance()
    fates = set()
    for _ in range(40):
        seen = add_artefacts({"VIS": image}, MER, NOMINAL, rng)["VIS"]
        fates.add((float(seen[100, 100] / level), float(seen[100, 160] / level)))
    assert fates == {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}


def test_every_flaw_has_a_rate_for_both_instruments():
    assert {(flaw, instrument) for flaw, instrument, _ in RATES} == {(f, i) for f in FLAWS for i in ("VIS", "NISP")}


@pytest.mark.parametrize("geometry", [CHALLENGE, MER], ids=lambda geometry: geometry.name)
@pytest.mark.parametrize("band", ["VIS", "H"])
def test_a_hot_pixel_is_one_peak_near_the_middle(geometry, band):
    n, scale = geometry.grids[band].n_pixels, geometry.grids[band].pixel_scale_arcsec
    sky = np.zeros((n, n), np.float32)
    for seed in range(10):
        hot = artefacts.add_hot_pixel(sky, band, geometry, 100.0, np.random.default_rng(seed))
        y, x = np.unravel_index(hot.argmax(), hot.shape)
        assert np.hypot(y - (n - 1) / 2, x - (n - 1) / 2) * scale <= 2.5 + scale
        # The peak of a Gaussian between pixels is lower by at most exp(-0.25 / 0.45^2) = 0.29.
        assert 25 < hot.max() / sky_sigma_adu_per_s(band, geometry) <= 100.001
        # A circle of 1.2 pixels times the root of 2 ln 100.
        assert (hot > 0.01 * hot.max()).sum() <= 50
    assert not sky.any()
