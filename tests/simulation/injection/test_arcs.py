import numpy as np
import pytest

from scanner.preprocess.sky import sky_level_and_sigma
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from simulation.injection import arcs as injection
from simulation.injection.arcs import InjectionError, host_vis_mag, inject_arcs
from simulation.lensing import effective_einstein_radius_arcsec
from simulation.optics.psf import SampledPsf
from simulation.products.render import simulate_object
from simulation.products.truth import total_mag
from tests.simulation.hand_numbers import ELECTRONS_PER_ADU_PER_S, SKY_ADU_PER_S

LENSES = ("single", "compound_arc", "double_ring")


def bright_host(seed):
    """Return a bright galaxy without arcs, in the middle of its stamp."""
    rng = np.random.default_rng(seed)
    while True:
        made = simulate_object("twin", MER, rng)
        centred = max(abs(made.system.galaxy[0].x_arcsec), abs(made.system.galaxy[0].y_arcsec)) < 0.05
        if centred and 19 < made.scene.truth["lens_mag_vis"] < 20.5 and made.stamps["VIS"].all():
            return made.stamps


@pytest.fixture(scope="module")
def host():
    return bright_host(3)


@pytest.mark.parametrize("kind", LENSES)
def test_only_arcs_and_their_noise_are_added(host, kind):
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
def test_pixels_without_data_stay_unchanged(host, value):
    """Columns without data cross the arcs, at a different place in each band."""
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
def test_arcs_do_not_count_on_masked_pixels(host, seed):
    """Every sixth column is masked. The test calculates S/N and number of the other pixels, which the truth counts."""
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
    """The hosts are simulated lens galaxies with their neighbours."""
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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_masks_do_not_take_light_from_the_host(seed):
    sky = 0.0
    whole = bright_host(seed)["VIS"][40:160, 40:160]
    masked = whole.copy()
    masked[:, 66:69] = 0
    masked[20:40] = 0
    assert host_vis_mag(masked, sky, (0, 0)) == pytest.approx(host_vis_mag(whole, sky, (0, 0)), abs=0.03)


def test_fluxes_are_those_of_magnified_sources(host):
    made = inject_arcs(host, "single", np.random.default_rng(2))
    for band in EUCLID:
        unlensed = sum(light.sed.flux_adu_per_s(band) for light in made.system.source1)
        assert made.arcs[band].sum(dtype=float) / unlensed == pytest.approx(made.truth["magnification1"], rel=0.1)


def test_the_flux_ratio_is_that_of_arcs_and_host(host):
    for kind in LENSES:
        made = inject_arcs(host, kind, np.random.default_rng(2))
        magnifications = (made.truth["magnification1"], made.truth["magnification2"])
        magnified = zip(magnifications, (made.system.source1, made.system.source2), strict=True)
        lensed = sum(mu * 10 ** (-0.4 * total_mag(source, "VIS")) for mu, source in magnified if source)
        assert made.truth["arc_to_lens_flux"] == pytest.approx(lensed / 10 ** (-0.4 * made.truth["lens_mag_vis"]), rel=1e-6)


def test_draws_are_repeatable(host):
    a, b = (inject_arcs(host, "single", np.random.default_rng(3)).stamps["VIS"] for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_shot_noise_is_that_of_the_arcs_electrons(host):
    """The noise is summed over all arcs, so that its spread by resampling does not matter."""
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
    """One ADU/s of the file is a tenth of the light, or ten times as much."""
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


def test_arcs_move_with_the_host_by_fractions_of_a_pixel(host):
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


def test_images_that_cannot_host_arcs_are_refused(host, rng):
    empty = {band: rng.normal(0, 0.002, (200, 200)).astype(np.float32) for band in EUCLID}
    with pytest.raises(InjectionError, match=r"magnitude must be in \[16.0, 23.5\], got"):
        inject_arcs(empty, "single", rng)
    with pytest.raises(ValueError, match="only lenses have arcs"):
        inject_arcs(host, "nonlens", rng)
    with pytest.raises(ValueError, match=r"\['J'\] are missing"):
        inject_arcs({band: host[band] for band in ("VIS", "Y", "H")}, "single", rng)
    with pytest.raises(ValueError, match="one shape"):
        inject_arcs({**host, "H": host["H"][:66, :66]}, "single", rng)


# Magnitudes of artificial hosts


def disc(level, radius_arcsec=np.inf, sky=0.0, centre_arcsec=(0.0, 0.0)):
    """Return a patch with one brightness within a radius, and the radii of its pixels in arcsec."""
    axis = (np.arange(120) - 59.5) * 0.1
    radii = np.hypot(axis[:, None] - centre_arcsec[0], axis[None, :] - centre_arcsec[1])
    return (np.where(radii < radius_arcsec, level, 0) + sky).astype(np.float32), radii


def mag_of(adu_per_s):
    """Return the magnitude at the zero point of VIS, with the 0.16 mag that lens galaxies have beyond 3 arcsec."""
    return 24.6 - 2.5 * np.log10(adu_per_s) - 0.16


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.5, -0.3)])
def test_light_is_counted_up_to_three_arcsec_above_the_sky(centre):
    """The disc extends beyond 3 arcsec: all pixels within that radius count, each brighter than the sky by the same."""
    patch, radii = disc(0.5, sky=0.2, centre_arcsec=centre)
    assert host_vis_mag(patch, 0.2, centre) == pytest.approx(mag_of(0.5 * np.sum(radii < 3)), abs=1e-3)
    small, radii = disc(0.5, 1.6, sky=0.2, centre_arcsec=centre)
    assert host_vis_mag(small, 0.2, centre) == pytest.approx(mag_of(0.5 * np.sum(radii < 1.6)), abs=1e-3)


def test_light_of_a_steep_galaxy_is_counted_ring_by_ring():
    """The reference is an exponential profile summed over its pixels; one pixel is on the centre."""
    _, radii = disc(0, centre_arcsec=(0.05, 0.05))
    patch = (10 * np.exp(-radii / 0.3)).astype(np.float32)
    assert host_vis_mag(patch, 0.0, (0.05, 0.05)) == pytest.approx(mag_of(patch[radii < 3].sum(dtype=float)), abs=0.01)
    # A third of the light is in the pixel at the centre.
    point = np.where(radii < 0.01, np.float32(patch.sum() / 2), patch)
    assert host_vis_mag(point, 0.0, (0.05, 0.05)) == pytest.approx(mag_of(point[radii < 3].sum(dtype=float)), abs=0.01)


def test_light_of_neighbours_is_left_out_beyond_an_arcsec():
    patch, radii = disc(0.5)
    total = 0.5 * np.sum(radii < 3)
    for x, counts in ((8, True), (11, False)):
        spotted = patch.copy()
        spotted[59, 59 + x] += 500
        expected = total + 500 if counts else total
        assert host_vis_mag(spotted, 0.0, (0.0, 0.0)) == pytest.approx(mag_of(expected), abs=0.01)


def test_host_magnitudes_have_a_range():
    patch, radii = disc(1.0)
    for mag, is_host in ((15.9, False), (16.1, True), (23.4, True), (23.6, False)):
        bright = patch * np.float32(10 ** (-0.4 * (mag + 0.16 - 24.6)) / np.sum(radii < 3))
        if is_host:
            assert host_vis_mag(bright, 0.0, (0.0, 0.0)) == pytest.approx(mag, abs=1e-3)
        else:
            with pytest.raises(InjectionError, match=rf"got {mag}"):
                host_vis_mag(bright, 0.0, (0.0, 0.0))
    with pytest.raises(InjectionError, match="got inf"):
        host_vis_mag(patch, 1.0, (0.0, 0.0))


def test_ranges_include_their_ends(monkeypatch):
    patch, radii = disc(0.5)
    mag = host_vis_mag(patch, 0.0, (0.0, 0.0))
    core = radii < 1.5
    patch[core & (np.cumsum(core).reshape(core.shape) <= 40)] = 0
    monkeypatch.setattr(injection, "_MAX_MASKED_SHARE", 40 / core.sum())
    monkeypatch.setattr(injection, "HOST_VIS_MAGS", (mag, mag))
    assert host_vis_mag(patch, 0.0, (0.0, 0.0)) == mag
    monkeypatch.setattr(injection, "_MAX_MASKED_SHARE", 39 / core.sum())
    with pytest.raises(InjectionError, match="may be masked within"):
        host_vis_mag(patch, 0.0, (0.0, 0.0))


def test_a_fifth_of_the_core_may_be_masked():
    patch, radii = disc(0.5)
    core = np.flatnonzero(radii < 1.5)
    for share, is_refused in ((0.19, False), (0.21, True)):
        masked = patch.copy()
        masked.flat[core[: round(share * core.size)]] = 0
        if is_refused:
            with pytest.raises(InjectionError, match="got 21%"):
                host_vis_mag(masked, 0.0, (0.0, 0.0))
        else:
            host_vis_mag(masked, 0.0, (0.0, 0.0))


# Systems for hosts


@pytest.mark.parametrize("kind", LENSES)
def test_lenses_are_as_bright_as_their_hosts_and_alone(host, kind):
    """The lens galaxy has the light of the host. Galaxy 1 of a compound lens bends light; the lens has no other members."""
    for seed in range(8):
        made = inject_arcs(host, kind, np.random.default_rng(seed))
        deflector, *others = made.system.masses
        place = (deflector.x_arcsec, deflector.y_arcsec)
        own = [light for light in made.system.galaxy if (light.x_arcsec, light.y_arcsec) == place]
        assert abs(total_mag(own, "VIS") - made.truth["lens_mag_vis"]) < 0.4
        assert [m.z for m in others] == ([] if kind == "single" else [made.system.z_source1])
        assert deflector.z == made.system.z_lens


def test_a_system_unlike_its_host_is_an_error(host, monkeypatch):
    """The system matches the host up to the tolerance of 0.4 mag, and not beyond it."""
    system = inject_arcs(host, "single", np.random.default_rng(1)).system
    mag = injection.lens_mag(system)
    monkeypatch.setattr(injection.forecast, "draw_lens", lambda *_: system)
    assert injection._system_for(mag + 0.39, "single", 0.0, np.random.default_rng(1)).galaxy == system.galaxy
    for far in (mag + 0.41, mag - 0.41):
        with pytest.raises(InjectionError, match="a single must match its host in 3000 draws, got none at VIS magnitude"):
            injection._system_for(far, "single", 0.0, np.random.default_rng(1))


def test_a_sky_that_was_not_subtracted_does_not_matter(host):
    """A sky of ten times its noise in VIS gives the same arcs with the same S/N."""
    raised = {**host, "VIS": host["VIS"] + np.float32(10 * SKY_ADU_PER_S["mer"]["VIS"])}
    a, b = (inject_arcs(stamps, "single", np.random.default_rng(4)).truth for stamps in (host, raised))
    assert b["lens_mag_vis"] == pytest.approx(a["lens_mag_vis"], abs=2e-3)
    assert b["arc_snr"] == pytest.approx(a["arc_snr"], rel=2e-3)


# Positions of arcs


def test_arcs_lie_in_twelve_arcsec_about_the_host(host):
    for (y, x), (low_y, low_x) in (((99.5, 99.5), (40, 40)), ((100.5, 98.6), (41, 39)), ((101.2, 97.9), (42, 38))):
        arcs = inject_arcs(host, "single", np.random.default_rng(6), host_yx=(y, x)).arcs["VIS"]
        rows, columns = (np.flatnonzero(arcs.any(axis=axis)) for axis in (1, 0))
        assert (rows[0], rows[-1], columns[0], columns[-1]) == (low_y, low_y + 119, low_x, low_x + 119)


def test_hosts_are_in_the_middle_by_default(host):
    wide = {band: np.pad(image[:190], ((0, 0), (3, 8)), mode="edge") for band, image in host.items()}
    middle = inject_arcs(wide, "single", np.random.default_rng(6), host_yx=(94.5, 105.0))
    by_default = inject_arcs(wide, "single", np.random.default_rng(6))
    for band in EUCLID:
        np.testing.assert_array_equal(by_default.stamps[band], middle.stamps[band])


def test_arcs_that_hang_over_an_edge_are_cut(host):
    """The image is smaller than the patch about the host on two sides."""
    part = {band: image[60:, :140] for band, image in host.items()}
    whole = inject_arcs(host, "single", np.random.default_rng(6), host_yx=(99.5, 99.5))
    cut = inject_arcs(part, "single", np.random.default_rng(6), host_yx=(39.5, 99.5))
    for band in EUCLID:
        np.testing.assert_allclose(cut.arcs[band], whole.arcs[band][60:, :140], atol=1e-6)


def test_images_have_two_dimensions(host, rng):
    with pytest.raises(ValueError, match=r"one shape \[y, x\], got"):
        inject_arcs({band: image[None] for band, image in host.items()}, "single", rng)
