import numpy as np
import pytest

from scanner.pixels.bands import EUCLID
from scanner.pixels.geometry import MER
from scanner.pixels.sky import sky_level_and_sigma
from simulation.injection import InjectionError, host_vis_mag, inject_arcs
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.psf import SampledPsf
from simulation.render import simulate_object
from simulation.truth import total_mag
from tests.simulation.hand_numbers import ELECTRONS_PER_ADU_PER_S, SKY_ADU_PER_S

LENSES = ("single", "compound_arc", "double_ring")


@pytest.fixture(scope="module")
def host():
    """A bright galaxy without arcs, in the middle of its stamp."""
    rng = np.random.default_rng(5)
    while True:
        made = simulate_object("twin", MER, rng)
        centred = max(abs(made.system.galaxy[0].x_arcsec), abs(made.system.galaxy[0].y_arcsec)) < 0.05
        if centred and 19 < made.scene.truth["lens_mag_vis"] < 20.5 and made.stamps["VIS"].all():
            return made.stamps


@pytest.mark.parametrize("kind", LENSES)
def test_what_is_added_is_the_arcs_and_their_noise(host, kind):
    made = inject_arcs(host, kind, np.random.default_rng(1))
    for band in EUCLID:
        added = made.stamps[band] - host[band]
        noise = added - made.arcs[band]
        assert made.stamps[band].dtype == np.float32
        assert abs(noise.sum()) < 0.2 * made.arcs[band].sum()
        far = made.arcs[band] < 1e-7 * made.arcs[band].max()
        assert np.abs(added[far]).max() <= 3e-3 * SKY_ADU_PER_S["mer"][band]
    assert made.truth["kind"] == kind
    assert made.truth["arc_snr"] > 14


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_pixels_without_data_stay_as_they_are(host, value):
    """A band of them across the arcs, somewhere else in every band of light."""
    stamps = {band: image.copy() for band, image in host.items()}
    for i, band in enumerate(EUCLID):
        stamps[band][:, 116 + 4 * i : 122 + 4 * i] = value
        stamps[band][3:5, :7] = value
    made = inject_arcs(stamps, "double_ring", np.random.default_rng(1))
    for band, image in stamps.items():
        lost = (image == 0) | ~np.isfinite(image)
        np.testing.assert_array_equal(made.stamps[band][lost], image[lost])
        assert np.all(made.arcs[band][lost] == 0)
        assert np.all(np.isfinite(made.stamps[band][~lost]) & (made.stamps[band][~lost] != 0))
        assert made.arcs[band].sum() > 0


@pytest.mark.parametrize("seed", range(3))
def test_masked_pixels_are_not_seen(host, seed):
    """Every sixth column is masked, across any arcs. What the truth counts are pixels beside them: S/N and number, by hand."""
    masked = {band: image.copy() for band, image in host.items()}
    for image in masked.values():
        image[:, ::6] = 0
    made = inject_arcs(masked, "double_ring", np.random.default_rng(seed))
    arcs, galaxy = made.arcs["VIS"], masked["VIS"] - np.median(host["VIS"])
    noise = np.sqrt(SKY_ADU_PER_S["challenge"]["VIS"] ** 2 + np.maximum(arcs + galaxy, 0) / ELECTRONS_PER_ADU_PER_S["VIS"])
    above = (arcs > noise) & (masked["VIS"] != 0)
    assert made.truth["n_pix_source"] == pytest.approx(above.sum(), rel=0.03)
    assert made.truth["arc_snr"] == pytest.approx(np.sqrt(np.sum((arcs / noise)[above] ** 2)), rel=0.03)


def test_a_flaw_far_from_the_host_does_not_matter(host):
    flawed = {band: image.copy() for band, image in host.items()}
    flawed["VIS"][0, 0] = np.nan
    flawed["H"][199, 3] = np.inf
    a, b = (inject_arcs(stamps, "single", np.random.default_rng(4)) for stamps in (host, flawed))
    assert b.truth["lens_mag_vis"] == pytest.approx(a.truth["lens_mag_vis"], abs=1e-3)
    np.testing.assert_array_equal(a.arcs["J"], b.arcs["J"])


def test_flaws_near_the_host_are_named(host):
    lost = {**host, "VIS": host["VIS"].copy()}
    lost["VIS"][100, 100:103] = np.nan
    with pytest.raises(InjectionError, match=r"VIS must be finite within 1\.5 arcsec of a host, got 3 pixels that are not"):
        inject_arcs(lost, "single", np.random.default_rng(4))
    masked = {**host, "VIS": host["VIS"].copy()}
    masked["VIS"][:, 95:] = 0
    with pytest.raises(InjectionError, match=r"at most 20% of VIS may be masked within 1\.5 arcsec of a host, got 71%"):
        inject_arcs(masked, "single", np.random.default_rng(4))


def test_the_hosts_magnitude_is_its_total():
    """Of simulated lens galaxies among their neighbours."""
    rng, errors = np.random.default_rng(8), []
    while len(errors) < 60:
        made = simulate_object("twin", MER, rng)
        mass = made.system.galaxy[0]
        own = [light for light in made.system.galaxy if (light.x_arcsec, light.y_arcsec) == (mass.x_arcsec, mass.y_arcsec)]
        true = total_mag(own, "VIS")
        if 17 < true < 22.5:
            sky = float(sky_level_and_sigma(made.stamps["VIS"][None])[0][0])
            patch = made.stamps["VIS"][40:160, 40:160]
            errors.append(host_vis_mag(patch, sky, (mass.y_arcsec, mass.x_arcsec)) - true)
    assert np.median(errors) == pytest.approx(0, abs=0.06)
    assert np.mean(np.abs(errors) < 0.25) > 0.8


def test_masks_do_not_take_light_from_the_host(host):
    sky = 0.0
    whole = host["VIS"][40:160, 40:160]
    masked = whole.copy()
    masked[:, 66:69] = 0
    masked[20:40] = 0
    assert host_vis_mag(masked, sky, (0, 0)) == pytest.approx(host_vis_mag(whole, sky, (0, 0)), abs=0.03)


def test_fluxes_are_those_of_magnified_sources(host):
    made = inject_arcs(host, "single", np.random.default_rng(2))
    for band in EUCLID:
        unlensed = sum(light.sed.flux_adu_per_s(band) for light in made.system.source1)
        assert made.arcs[band].sum(dtype=float) / unlensed == pytest.approx(made.truth["magnification1"], rel=0.1)


def test_draws_are_repeatable(host):
    a, b = (inject_arcs(host, "single", np.random.default_rng(3)).stamps["VIS"] for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_shot_noise_is_that_of_the_arcs_electrons(host):
    """Summed over all arcs, where it does not matter that resampling spreads it."""
    seen: dict[str, list[float]] = {band: [] for band in EUCLID}
    for seed in range(150):
        made = inject_arcs(host, "single", np.random.default_rng(seed))
        for band, arcs in made.arcs.items():
            noise = (made.stamps[band].astype(float) - host[band] - arcs).sum()
            seen[band].append(noise / np.sqrt(arcs.sum(dtype=float) / EUCLID[band].electrons_per_adu_per_s))
    # All bands and seeds together, 4 standard errors.
    assert np.std(list(seen.values())) == pytest.approx(1, abs=4 / np.sqrt(2 * 600))
    for values in seen.values():
        assert np.mean(values) == pytest.approx(0, abs=4 / np.sqrt(150))


@pytest.mark.parametrize("shift_mag", [2.5, -2.5])
def test_files_on_another_flux_scale_get_arcs_on_that_scale(host, shift_mag):
    """One ADU/s that is a tenth of the light, or ten times as much."""
    scale = 10 ** (0.4 * shift_mag)
    shifted = {band: EUCLID[band].zero_point_ab_mag + shift_mag for band in EUCLID}
    other = {band: image * np.float32(scale) for band, image in host.items()}
    a = inject_arcs(host, "single", np.random.default_rng(4))
    b = inject_arcs(other, "single", np.random.default_rng(4), zero_points_ab_mag=shifted)
    assert b.truth["lens_mag_vis"] == pytest.approx(a.truth["lens_mag_vis"], abs=1e-3)
    for band in EUCLID:
        np.testing.assert_allclose(b.arcs[band] / scale, a.arcs[band], rtol=1e-4, atol=1e-6)
        added = (b.stamps[band].astype(float) - other[band]) / scale
        rounding = 4 * np.finfo(np.float32).eps * a.stamps[band].max()
        np.testing.assert_allclose(added, a.stamps[band].astype(float) - host[band], rtol=1e-4, atol=rounding)


def test_arcs_go_about_the_host_wherever_it_is(host):
    moved = {band: np.roll(image, (30, -20), axis=(0, 1)) for band, image in host.items()}
    a = inject_arcs(host, "double_ring", np.random.default_rng(6), host_yx=(99.5, 99.5))
    b = inject_arcs(moved, "double_ring", np.random.default_rng(6), host_yx=(129.5, 79.5))
    np.testing.assert_allclose(np.roll(a.arcs["VIS"], (30, -20), axis=(0, 1)), b.arcs["VIS"], atol=1e-6)
    deflector = b.system.masses[0]
    assert (deflector.x_arcsec, deflector.y_arcsec) == pytest.approx((0.0, 0.0))
    axis = (np.arange(200) - 99.5) * 0.1
    radius = np.hypot(axis[None, :], axis[:, None])
    mean = (a.arcs["VIS"] * radius).sum() / a.arcs["VIS"].sum()
    largest = effective_einstein_radius_arcsec(a.system.masses, a.system.z_source2)
    assert 0.3 * largest < mean < 1.7 * largest


def test_half_a_pixel_of_the_hosts_place_moves_the_arcs_by_as_much(host):
    a = inject_arcs(host, "double_ring", np.random.default_rng(7), host_yx=(99.5, 99.5))
    b = inject_arcs(host, "double_ring", np.random.default_rng(7), host_yx=(99.5, 99.8))
    x = np.arange(200)
    centre = [(m.arcs["H"].sum(0) * x).sum() / m.arcs["H"].sum() for m in (a, b)]
    assert centre[1] - centre[0] == pytest.approx(0.3, abs=0.05)


def test_a_given_psf_blurs_the_arcs(host):
    axis = np.arange(41) - 20
    gauss = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / (2 * 6.0**2)).astype(np.float32)
    a = inject_arcs(host, "single", np.random.default_rng(4))
    b = inject_arcs(host, "single", np.random.default_rng(4), psfs={"H": SampledPsf(gauss, 0.1)})
    assert b.arcs["H"].max() < 0.7 * a.arcs["H"].max()
    np.testing.assert_array_equal(a.arcs["VIS"], b.arcs["VIS"])


def test_what_cannot_host_arcs_is_refused(host, rng):
    empty = {band: rng.normal(0, 0.002, (200, 200)).astype(np.float32) for band in EUCLID}
    with pytest.raises(InjectionError, match=r"magnitude must be in \[16.0, 23.5\], got"):
        inject_arcs(empty, "single", rng)
    with pytest.raises(ValueError, match="only lenses have arcs"):
        inject_arcs(host, "nonlens", rng)
    with pytest.raises(ValueError, match=r"\['J'\] are missing"):
        inject_arcs({band: host[band] for band in ("VIS", "Y", "H")}, "single", rng)
    with pytest.raises(ValueError, match="one shape"):
        inject_arcs({**host, "H": host["H"][:66, :66]}, "single", rng)
