import numpy as np
import pytest
from astropy.modeling.models import Sersic2D
from lenstronomy.LensModel.lens_model import LensModel
from scipy.special import gammainc, gammaincinv

from scanner.vocabulary.bands import EUCLID
from simulation.optics.light import FINE_SCALE_ARCSEC, FineGrid, draw, draw_lensed, extent_arcsec
from simulation.systems import Annulus, PointSource, Sed, Spikes, SpiralArms
from tests.simulation.optics.components import EXTENDED, SED, SPIRAL, sersic, total, unit_image
from tests.simulation.surface_brightness import surface_brightness


def sub_pixels(n_pixels, n):
    """Return the coordinates of `n` samples a side in each fine pixel."""
    offsets = ((np.arange(n) + 0.5) / n - 0.5) * FINE_SCALE_ARCSEC
    return (FineGrid(n_pixels).axis_arcsec[:, None] + offsets).ravel()


def brute_force(component, n_pixels, n=24):
    """Return the mean of many samples of the reference in each pixel, for a flux of 1."""
    axis = sub_pixels(n_pixels, n)
    samples = surface_brightness(component, axis[None, :], axis[:, None])
    return samples.reshape(n_pixels, n, n_pixels, n).mean(axis=(1, 3)) * FINE_SCALE_ARCSEC**2


def centroid(image):
    axis = FineGrid(image.shape[0]).axis_arcsec
    return (image.sum(0) @ axis / image.sum(), image.sum(1) @ axis / image.sum())


def test_sersic_profile_matches_astropy(rng):
    component = sersic()
    x, y = rng.uniform(-2, 2, (2, 200))
    # Astropy's radius is that along the major axis.
    r_eff = component.half_light_radius_arcsec / np.sqrt(component.axis_ratio)
    expected = Sersic2D(1.0, r_eff, component.sersic_index, 0, 0, 1 - component.axis_ratio, component.angle_rad)(x, y)
    found = surface_brightness(component, x, y)
    np.testing.assert_allclose(found / expected, np.full(200, found[0] / expected[0]), rtol=1e-6)


@pytest.mark.parametrize("index", [0.5, 1.0, 4.0, 6.0])
def test_half_of_the_light_lies_within_the_half_light_radius(index):
    image = unit_image(sersic(sersic_index=index, axis_ratio=1.0, half_light_radius_arcsec=1.0), 400)
    axis = FineGrid(400).axis_arcsec
    inside = np.hypot(axis[:, None], axis) < 1.0
    assert image[inside].sum() == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("index", [0.5, 1.0, 2.5, 4.0, 6.0])
def test_sersic_profiles_keep_their_flux_at_all_sizes_and_positions(index, rng):
    """The share of a profile's light inside the isophote at which it is cut has a closed form."""
    b = gammaincinv(2 * index, 0.5)
    for radius in (1e-3, 0.01, 0.03, 0.1, 0.3, 3.0):
        x, y = rng.uniform(-0.05, 0.05, 2)
        mag = 24.0 - 5 * np.log10(radius / 0.1)
        component = sersic(
            x_arcsec=float(x),
            y_arcsec=float(y),
            half_light_radius_arcsec=radius,
            sersic_index=index,
            axis_ratio=float(rng.uniform(0.15, 1)),
            angle_rad=float(rng.uniform(0, np.pi)),
            sed=Sed(mag, mag, mag, mag),
        )
        extent = extent_arcsec(component)
        reach = (extent - FINE_SCALE_ARCSEC) * np.sqrt(component.axis_ratio) / radius
        share = gammainc(2 * index, b * reach ** (1 / index))
        assert share >= 0.9
        assert total(component, 2 * int(extent / FINE_SCALE_ARCSEC + 3)) == pytest.approx(share, rel=0.005)


@pytest.mark.parametrize("component", EXTENDED)
def test_pixels_hold_the_mean_over_their_area(component):
    expected = brute_force(component, 60)
    assert np.abs(unit_image(component, 60) - expected).max() < 0.01 * expected.max()
    assert unit_image(component, 60).sum() == pytest.approx(expected.sum(), rel=0.003)


@pytest.mark.parametrize("radius", [0.02, 0.1])
def test_small_components_are_averaged_over_pixels(radius):
    component = sersic(half_light_radius_arcsec=radius, sersic_index=1.0, x_arcsec=0.013, y_arcsec=-0.021)
    expected = brute_force(component, 40, 40)
    assert np.abs(unit_image(component, 40) - expected).max() < 0.005 * expected.max()
    assert np.abs(unit_image(component, 40) - expected).sum() < 0.01


def test_pixels_on_which_the_profile_hardly_changes_are_the_reference():
    component = sersic(half_light_radius_arcsec=2.0, sersic_index=1.0, sed=Sed(15.0, 15.0, 15.0, 15.0))
    axis = FineGrid(300).axis_arcsec
    image, expected = unit_image(component, 300), surface_brightness(component, axis, axis[:, None]) * FINE_SCALE_ARCSEC**2
    far = np.hypot(axis, axis[:, None]) > 0.5
    np.testing.assert_allclose(image[far], expected[far], rtol=1e-4)


def test_spiral_arms_move_light_but_add_none():
    disc = sersic(sersic_index=1.0, axis_ratio=0.6, x_arcsec=0.013)
    assert total(SPIRAL) == pytest.approx(total(disc), rel=1e-3)
    assert np.abs(unit_image(SPIRAL, 400) - unit_image(disc, 400)).sum() > 0.2


@pytest.mark.parametrize("n_arms", [1, 2, 4])
def test_arms_repeat_about_the_centre(n_arms, rng):
    component = sersic(axis_ratio=1.0, sersic_index=1.0, arms=SpiralArms(0.8, 0.4, 0.3, n_arms))
    radius, azimuth = rng.uniform(0.2, 1.5, 50), rng.uniform(0, 2 * np.pi, 50)

    def turned(angle):
        return surface_brightness(component, radius * np.cos(azimuth + angle), radius * np.sin(azimuth + angle))

    np.testing.assert_allclose(turned(2 * np.pi / n_arms), turned(0))
    assert np.abs(turned(np.pi / n_arms) / turned(0) - 1).max() > 0.2


@pytest.mark.parametrize("width", [0.02, 0.1, 0.6])
@pytest.mark.parametrize("spread", [None, 0.3, 3.0])
def test_rings_and_tails_hold_a_flux_of_one(width, spread):
    ring = Annulus(0.01, 0.02, 0.8, width, 0.5, 0.7, SED, middle_rad=2.0, spread_rad=spread)
    assert total(ring, 300) == pytest.approx(1.0, rel=1e-3)
    axis = np.arange(-6, 6, 0.01)
    assert surface_brightness(ring, axis, axis[:, None]).sum() * 0.01**2 == pytest.approx(1.0, rel=1e-3)


def test_a_tail_lies_about_its_middle():
    x, y = centroid(unit_image(Annulus(0, 0, 1.0, 0.05, 1.0, 0.2, SED, middle_rad=1.0, spread_rad=0.1), 100))
    assert np.arctan2(y, x) == pytest.approx(1.2, abs=0.01)
    assert np.hypot(x, y) == pytest.approx(1.0, abs=0.02)


def test_spikes_are_six_rays_with_a_flux_of_one():
    """The share beyond a circle far wider than the rays is that of the tails of 1 / (1 + r^2): 1 - 2 atan(R) / pi."""
    spikes = Spikes(0.0, 0.0, 0.5, 0.06, 0.3, SED)
    # A sixth of the circle; steps in radius that grow outwards.
    turns = (np.arange(1000) + 0.5) / 1000 * np.arctan(60.0)
    radii, steps = 0.5 * np.tan(turns), 0.5 / np.cos(turns) ** 2 * np.arctan(60.0) / 1000
    azimuths = (np.arange(2000) + 0.5) / 2000 * np.pi / 3
    samples = surface_brightness(spikes, radii[:, None] * np.cos(azimuths), radii[:, None] * np.sin(azimuths))
    assert samples.mean(axis=1) @ (2 * np.pi * radii * steps) == pytest.approx(2 * np.arctan(60.0) / np.pi, rel=1e-3)
    azimuths = (np.arange(12000) + 0.5) * np.pi / 6000
    ring = surface_brightness(spikes, 3 * np.cos(azimuths), 3 * np.sin(azimuths))
    bright = azimuths[(ring > np.roll(ring, 1)) & (ring >= np.roll(ring, -1))]
    np.testing.assert_allclose(bright, 0.3 + np.arange(6) * np.pi / 3, atol=1e-3)


def test_drawn_spikes_reach_across_the_image():
    bright = Spikes(0.0, 0.0, 0.5, 0.06, 0.3, Sed(12.0, 12.0, 12.0, 12.0))
    expected = brute_force(bright, 300, 4).sum()
    assert total(bright, 300) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("component", EXTENDED)
def test_a_quarter_turn_turns_the_image(component):
    changes = {**vars(component), "angle_rad": component.angle_rad + np.pi / 2}
    changes["x_arcsec"], changes["y_arcsec"] = -component.y_arcsec, component.x_arcsec
    turned = unit_image(type(component)(**changes), 100)
    expected = np.rot90(unit_image(component, 100), -1)
    np.testing.assert_allclose(turned, expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize("shift", [0.01, 0.025, 0.04])
@pytest.mark.parametrize(
    "component",
    [
        pytest.param(sersic(axis_ratio=0.4, sersic_index=1.0), id="disc"),
        pytest.param(sersic(axis_ratio=0.4, sersic_index=2.5), id="steep"),
        pytest.param(PointSource(0.0, 0.0, SED), id="point"),
    ],
)
def test_the_centroid_follows_the_position(component, shift):
    moved = type(component)(**{**vars(component), "x_arcsec": shift, "y_arcsec": -shift / 2})
    np.testing.assert_allclose(centroid(unit_image(moved, 240)), (shift, -shift / 2), atol=2e-3)


def test_a_point_source_lies_on_the_four_nearest_pixels():
    image = unit_image(PointSource(0.035, 0.025, SED), 10)
    expected = np.zeros((10, 10))
    expected[5, 5:7] = 0.8, 0.2
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_a_point_source_across_the_border_loses_what_falls_off():
    edge = FineGrid(10).axis_arcsec[-1] + 0.4 * FINE_SCALE_ARCSEC
    assert total(PointSource(float(edge), 0.0, SED), 10) == pytest.approx(0.6)
    assert total(PointSource(-5.0, 0.0, SED), 10) == 0


@pytest.mark.parametrize("component", EXTENDED)
@pytest.mark.parametrize("offset", [(3.0, -2.1), (2.6, 2.6), (-2.4, 0.1), (0.2, 3.2)])
def test_a_small_grid_shows_part_of_a_large_one(component, offset):
    """A component's light on the grid does not depend on where the grid ends, even if the component is off the grid."""
    moved = type(component)(**{**vars(component), "x_arcsec": offset[0], "y_arcsec": offset[1]})
    np.testing.assert_array_equal(unit_image(moved, 100), unit_image(moved, 300)[100:200, 100:200])


def test_light_far_outside_leaves_the_grid_empty():
    lights = [sersic(x_arcsec=100.0), PointSource(0.0, 50.0, SED), Annulus(-50, 0, 1, 0.1, 1, 0, SED)]
    assert all(not image.any() for image in draw(lights, FineGrid(100)).values())


@pytest.mark.parametrize("mag", [20.0, 24.0, 26.0])
@pytest.mark.parametrize("index", [1.0, 4.0])
def test_light_is_cut_where_it_is_far_below_noise(mag, index):
    component = sersic(sed=Sed(mag, mag - 1, mag - 1.5, mag - 2), sersic_index=index, half_light_radius_arcsec=0.4)
    extent = extent_arcsec(component) - FINE_SCALE_ARCSEC
    x, y = extent * np.cos(component.angle_rad), extent * np.sin(component.angle_rad)
    brightness = float(surface_brightness(component, x, y))
    for band in EUCLID.bands:
        noise = band.noise_electrons_per_pixel / band.electrons_per_adu_per_s
        assert component.sed.flux_adu_per_s(band.name) * brightness * band.pixel_scale_arcsec**2 <= 0.0101 * noise
    image = draw([component], FineGrid(600))["VIS"]
    reached = np.abs(FineGrid(600).axis_arcsec[image.any(axis=0)]).max()
    assert 0.8 * min(extent, 14.9) < reached <= min(extent, 15.0) + FINE_SCALE_ARCSEC


@pytest.mark.parametrize("index", [1.0, 4.0])
def test_most_light_of_the_faintest_is_drawn(index):
    faint = sersic(sersic_index=index, half_light_radius_arcsec=0.4, axis_ratio=0.5, sed=Sed(33.0, 33.0, 33.0, 33.0))
    assert total(faint, 300) == pytest.approx(0.9, abs=0.004)


def test_only_the_requested_bands_are_drawn_each_with_its_flux():
    lights = [sersic(sed=Sed(22.0, 21.0, 20.5, 20.0)), sersic(x_arcsec=1.0, sed=Sed(20.0, 21.0, 22.0, 23.0))]
    every = draw(lights, FineGrid(100))
    assert tuple(every) == tuple(EUCLID)
    some = draw(lights, FineGrid(100), ("H", "VIS"))
    assert tuple(some) == ("H", "VIS")
    for band, image in some.items():
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, every[band])
        expected = sum(unit_image(light, 100) * light.sed.flux_adu_per_s(band) for light in lights)
        # The faint band of a component is cut where its bright one is.
        np.testing.assert_allclose(image, expected, rtol=1e-5)


def test_no_light_gives_empty_images():
    assert all(not image.any() for image in draw([], FineGrid(10)).values())
    assert draw_lensed([], np.zeros((3, 5)), np.zeros((3, 5)))["Y"].shape == (3, 5)


@pytest.mark.parametrize("component", EXTENDED)
def test_unlensed_coordinates_give_the_unlensed_image(component):
    x, y = np.meshgrid(FineGrid(100).axis_arcsec, FineGrid(100).axis_arcsec)
    plain, shot = draw([component], FineGrid(100)), draw_lensed([component], x, y)
    for band in EUCLID:
        np.testing.assert_allclose(shot[band], plain[band], rtol=1e-3, atol=1e-4 * plain[band].max())


def test_compressed_coordinates_magnify():
    """Coordinates compressed twofold along each axis magnify four times: surface brightness is conserved."""
    component = sersic(sersic_index=1.0, half_light_radius_arcsec=0.1)
    x, y = np.meshgrid(FineGrid(200).axis_arcsec, FineGrid(200).axis_arcsec)
    flux = draw_lensed([component], x / 2, y / 2)["H"].sum() / component.sed.flux_adu_per_s("H")
    assert flux == pytest.approx(4.0 * total(component, 200), rel=0.003)


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.8])
def test_a_small_source_behind_a_sphere_has_the_expected_flux(beta, rng):
    """Inside the Einstein radius the two images of a singular isothermal sphere are magnified 2 theta_E / beta in all."""
    x, y = np.meshgrid(FineGrid(100).axis_arcsec, FineGrid(100).axis_arcsec)
    radius = np.hypot(x, y)
    sources = []
    for azimuth in rng.uniform(0, 2 * np.pi, 10):
        position = {"x_arcsec": float(beta * np.cos(azimuth)), "y_arcsec": float(beta * np.sin(azimuth))}
        sources.append(sersic(**position, half_light_radius_arcsec=0.02, sersic_index=1.0, axis_ratio=1.0))
    ratios = [
        draw_lensed([s], x - x / radius, y - y / radius, ("VIS",))["VIS"].sum() / s.sed.flux_adu_per_s("VIS") / (2 / beta)
        for s in sources
    ]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)
    assert np.std(ratios) < 0.015


@pytest.mark.parametrize(("radius", "index"), [(0.02, 1.0), (0.1, 1.0), (0.02, 4.0)])
def test_sources_behind_an_ellipsoid_have_the_flux_of_dense_rays(radius, index, rng):
    n, model = 8, LensModel(["SIE", "SHEAR"])
    parameters = [
        {"theta_E": 1.0, "e1": 0.2, "e2": 0.1, "center_x": 0.013, "center_y": -0.007},
        {"gamma1": 0.03, "gamma2": 0.02},
    ]

    def shoot(axis):
        x, y = np.meshgrid(axis, axis)
        return [beta.reshape(x.shape) for beta in model.ray_shooting(x.ravel(), y.ravel(), parameters)]

    coarse, fine = shoot(FineGrid(100).axis_arcsec), shoot(sub_pixels(100, n))
    ratios = []
    for r, azimuth in zip(0.7 * np.sqrt(rng.uniform(size=12)), rng.uniform(0, 2 * np.pi, 12), strict=True):
        position = {"x_arcsec": float(r * np.cos(azimuth)), "y_arcsec": float(r * np.sin(azimuth))}
        source = sersic(**position, half_light_radius_arcsec=radius, sersic_index=index)
        found = draw_lensed([source], *coarse, ("VIS",))["VIS"].sum() / source.sed.flux_adu_per_s("VIS")
        ratios.append(found / (surface_brightness(source, *fine).sum() * (FINE_SCALE_ARCSEC / n) ** 2))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)


def test_a_singular_centre_adds_no_light(rng):
    """Pixels about the centre have no linear map; a linear fit would smear sources over the whole Einstein radius."""
    x, y = np.meshgrid(FineGrid(80).axis_arcsec, FineGrid(80).axis_arcsec)
    radius = np.hypot(x - 0.01, y)
    beta = x - (x - 0.01) / radius, y - y / radius
    for azimuth in rng.uniform(0, 2 * np.pi, 30):
        position = {"x_arcsec": float(0.6 * np.cos(azimuth)), "y_arcsec": float(0.6 * np.sin(azimuth))}
        source = sersic(**position, half_light_radius_arcsec=0.02, sersic_index=1.0)
        # The inner image lies 0.4 arcsec from the centre, 8 pixels.
        centre = draw_lensed([source], *beta, ("VIS",))["VIS"][38:42, 38:42]
        assert centre.sum() < 1e-6 * source.sed.flux_adu_per_s("VIS")


def test_coordinates_that_are_not_numbers_get_no_light():
    x, y = np.meshgrid(FineGrid(40).axis_arcsec, FineGrid(40).axis_arcsec)
    for value in (np.nan, np.inf):
        x[3, 4] = value
        image = draw_lensed([sersic()], x, y)["VIS"]
        assert np.isfinite(image).all()
        assert image[3, 4] == 0


def test_point_sources_cannot_be_lensed():
    with pytest.raises(ValueError, match="point source"):
        draw_lensed([PointSource(0.0, 0.0, SED)], np.zeros((4, 4)), np.zeros((4, 4)))


@pytest.mark.parametrize("shapes", [((4, 4), (4, 5)), ((4,), (4,))])
def test_coordinates_must_be_two_images(shapes):
    with pytest.raises(ValueError, match="one shape"):
        draw_lensed([sersic()], *(np.zeros(shape) for shape in shapes))


def test_the_grid_is_centred():
    axis = FineGrid(400).axis_arcsec
    assert axis[0] == -axis[-1]
    assert np.diff(axis) == pytest.approx(FINE_SCALE_ARCSEC, rel=1e-3)


def test_windows_contain_the_pixels_of_the_grid_near_a_position():
    axis = FineGrid(20).axis_arcsec
    rows, columns = FineGrid(20).window(0.3, -0.2, 0.1)
    assert np.abs(axis[columns] - 0.3).max() < 0.1 + 0.51 * FINE_SCALE_ARCSEC
    assert np.abs(axis[rows] + 0.2).max() < 0.1 + 0.51 * FINE_SCALE_ARCSEC
    assert len(axis[columns]) in {4, 5}
    assert FineGrid(20).window(0.0, 0.0, 9.0) == (slice(0, 20), slice(0, 20))
    assert len(axis[FineGrid(20).window(5.0, 0.0, 0.1)[1]]) == 0


@pytest.mark.parametrize("n_pixels", [0, 7, -2])
def test_grids_that_cannot_be_centred_are_refused(n_pixels):
    with pytest.raises(ValueError, match="n_pixels"):
        FineGrid(n_pixels)
