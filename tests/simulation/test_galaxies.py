import numpy as np
import pytest
from astropy.modeling.models import Sersic2D

from scanner.pixels.bands import EUCLID
from simulation.galaxies import FINE_SCALE_ARCSEC, FineGrid, Light, Sed, SpiralArms, draw, draw_lensed

SED = Sed(20.0, 1.5)


def light(**changes):
    values = {
        "x_arcsec": 0.0,
        "y_arcsec": 0.0,
        "half_light_radius_arcsec": 0.6,
        "sersic_index": 4.0,
        "axis_ratio": 0.7,
        "angle_rad": 0.5,
        "sed": SED,
    }
    return Light(**{**values, **changes})


def total(component, n_pixels=400):
    """Flux on the grid in units of the component's flux."""
    return draw([component], FineGrid(n_pixels))["VIS"].sum(dtype=float) / component.sed.flux_adu_per_s("VIS")


def test_profile_has_the_shape_of_astropys():
    component = light()
    x, y = np.random.default_rng(1).uniform(-2, 2, (2, 200))
    ellip = 1 - component.axis_ratio
    # Astropy's radius is that along the major axis.
    r_eff = component.half_light_radius_arcsec / np.sqrt(component.axis_ratio)
    expected = Sersic2D(1.0, r_eff, component.sersic_index, 0, 0, ellip, component.angle_rad)(x, y)
    found = component.unit_brightness(x, y)
    np.testing.assert_allclose(found / expected, np.full(200, found[0] / expected[0]), rtol=1e-6)


@pytest.mark.parametrize("index", [0.7, 1.0, 4.0])
def test_half_of_the_light_lies_within_the_half_light_radius(index):
    component = light(sersic_index=index, axis_ratio=1.0, half_light_radius_arcsec=1.0)
    image = draw([component], FineGrid(400))["VIS"]
    axis = FineGrid(400).axis_arcsec
    inside = np.hypot(axis[:, None], axis) < 1.0
    assert image[inside].sum() / component.sed.flux_adu_per_s("VIS") == pytest.approx(0.5, abs=0.01)


def test_a_cuspy_centre_keeps_its_flux_wherever_it_falls_on_the_pixels():
    rng = np.random.default_rng(2)
    totals = [
        total(light(half_light_radius_arcsec=0.3, sed=Sed(19.0, 1.0), x_arcsec=x, y_arcsec=y))
        for x, y in rng.uniform(-0.05, 0.05, (8, 2))
    ]
    assert np.ptp(totals) < 0.003
    assert np.mean(totals) == pytest.approx(0.98, abs=0.02)


def test_spiral_arms_move_light_but_add_none():
    disc = light(sersic_index=1.0, axis_ratio=0.6)
    spiral = light(sersic_index=1.0, axis_ratio=0.6, arms=SpiralArms(0.9, 0.3, 1.0))
    assert total(spiral) == pytest.approx(total(disc), rel=0.005)
    difference = np.abs(draw([spiral], FineGrid(400))["VIS"] - draw([disc], FineGrid(400))["VIS"]).sum()
    assert difference > 0.2 * SED.flux_adu_per_s("VIS")


def test_magnitudes_follow_the_color():
    sed = Sed(22.0, 1.8, {"J": 0.1})
    assert sed.mag("VIS") == 22.0
    assert sed.mag("H") == pytest.approx(20.2)
    assert 20.2 < sed.mag("Y") < 22.0
    assert sed.mag("J") - Sed(22.0, 1.8).mag("J") == pytest.approx(0.1)
    for name, band in EUCLID.items():
        assert band.flux_ujy(sed.flux_adu_per_s(name)) == pytest.approx(10 ** (-0.4 * (sed.mag(name) - 23.9)))


def test_unlensed_coordinates_give_the_unlensed_galaxy():
    component = light(sersic_index=1.0, sed=Sed(20.0, 1.0))
    grid = FineGrid(200)
    x, y = np.meshgrid(grid.axis_arcsec, grid.axis_arcsec)
    plain, shot = draw([component], grid), draw_lensed([component], x, y)
    for band in EUCLID:
        assert shot[band].sum() == pytest.approx(plain[band].sum(), rel=0.01)
        np.testing.assert_allclose(shot[band][60], plain[band][60], rtol=1e-3)


def test_demagnifying_coordinates_scale_the_flux():
    """Coordinates compressed twofold along each axis magnify four times: surface brightness is conserved."""
    component = light(sersic_index=1.0, half_light_radius_arcsec=0.3)
    x, y = np.meshgrid(FineGrid(400).axis_arcsec, FineGrid(400).axis_arcsec)
    flux = draw_lensed([component], x / 2, y / 2)["H"].sum()
    assert flux / component.sed.flux_adu_per_s("H") == pytest.approx(4.0, rel=0.01)


def test_galaxies_outside_the_grid_leave_it_empty():
    images = draw([light(x_arcsec=100.0)], FineGrid(100))
    assert all(not image.any() for image in images.values())


def test_the_grid_is_centred():
    axis = FineGrid(400).axis_arcsec
    assert axis[0] == -axis[-1]
    assert np.diff(axis) == pytest.approx(FINE_SCALE_ARCSEC, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"half_light_radius_arcsec": 0.0}, "half_light"),
        ({"sersic_index": 9.0}, "sersic_index"),
        ({"axis_ratio": 0.0}, "axis_ratio"),
    ],
)
def test_impossible_galaxies_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        light(**change)
