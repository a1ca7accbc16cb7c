"""Tests of the records of light and mass."""

import math

import numpy as np
import pytest

from simulation.systems import Annulus, Mass, Picture, PointSource, Sed, Sersic, Spikes, SpiralArms, System, Texture

SED = Sed(24.0, 23.5, 23.2, 23.0)
SERSIC = {"x_arcsec": 0.0, "y_arcsec": 0.0, "half_light_radius_arcsec": 0.3, "sersic_index": 1.0, "axis_ratio": 0.8}
MASS = {"z": 0.5, "x_arcsec": 0.0, "y_arcsec": 0.0, "velocity_dispersion_km_s": 220.0, "axis_ratio": 0.8}
RING = {"x_arcsec": 0.0, "y_arcsec": 0.0, "radius_arcsec": 0.8, "width_arcsec": 0.1, "axis_ratio": 0.8}
SPIKES = {"x_arcsec": 0.0, "y_arcsec": 0.0, "length_arcsec": 0.8, "width_arcsec": 0.1}
ARMS = {"strength": 0.5, "pitch_rad": 0.3, "phase_rad": 0.0}


def lens(**changes):
    light = Sersic(**SERSIC, angle_rad=0.0, sed=SED)
    values = {
        "kind": "single", "lookalike": None, "z_lens": 0.5, "z_source1": 1.5, "z_source2": None,
        "masses": (Mass(**MASS, angle_rad=0.0),), "galaxy": (light,), "source1": (light, light), "source2": (),
        "neighbours": (PointSource(0.0, 0.0, SED),), "velocity_dispersion_km_s": 220.0, "detector_angle_deg": 10.0,
    }  # fmt: skip
    return System(**{**values, **changes})


def test_only_a_non_lens_has_a_lookalike():
    with pytest.raises(ValueError, match="lookalike must be set for a nonlens only"):
        lens(lookalike="spiral")


def test_a_system_moves_as_a_whole():
    system = lens()
    moved = system.moved(0.5, -0.25)
    assert {(p.x_arcsec, p.y_arcsec) for p in (*moved.masses, *moved.galaxy, *moved.source1)} == {(0.5, -0.25)}
    assert moved.moved(-0.5, 0.25) == system


def test_a_system_is_compound_with_a_second_source():
    assert not lens().is_compound
    assert lens(kind="compound_arc", z_source2=2.5, source2=lens().source1).is_compound


@pytest.mark.parametrize(("band", "zero_point_ab_mag"), [("VIS", 24.6), ("Y", 29.8), ("J", 30.0), ("H", 29.9)])
def test_the_zero_point_is_one_adu_per_second(band, zero_point_ab_mag):
    sed = Sed(24.6, 29.8, 30.0, 29.9)
    assert sed.mag(band) == zero_point_ab_mag
    assert sed.flux_adu_per_s(band) == pytest.approx(1)
    assert sed.dimmed(2.5).flux_adu_per_s(band) == pytest.approx(0.1)
    assert sed.share(0.25).flux_adu_per_s(band) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("make", "values", "change"),
    [
        (Sersic, SERSIC, {"half_light_radius_arcsec": 0.0}),
        (Sersic, SERSIC, {"sersic_index": 0.2}),
        (Sersic, SERSIC, {"axis_ratio": 1.1}),
        (Annulus, RING, {"radius_arcsec": -1.0}),
        (Annulus, RING, {"width_arcsec": 0.0}),
        (Annulus, RING, {"spread_rad": 0.0}),
        (Annulus, RING, {"axis_ratio": 0.0}),
        (Spikes, SPIKES, {"length_arcsec": 0.0}),
        (Spikes, SPIKES, {"width_arcsec": math.nan}),
    ],
)
def test_light_out_of_range_is_refused_by_name(make, values, change):
    make(**values, angle_rad=0.0, sed=SED)
    (name,) = change
    with pytest.raises(ValueError, match=f"^{name} must be"):
        make(**{**values, **change}, angle_rad=0.0, sed=SED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": 0.0}, "a deflector's redshift must be > 0"),
        ({"velocity_dispersion_km_s": -1.0}, "velocity_dispersion_km_s must be > 0"),
        ({"slope": 2.6}, r"slope must be in \[1.5, 2.5\], got 2.6"),
        ({"axis_ratio": math.nan}, "axis_ratio must be in"),
    ],
)
def test_mass_out_of_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Mass(**{**MASS, **change}, angle_rad=0.0)


@pytest.mark.parametrize("change", [{"strength": 1.1}, {"pitch_rad": 0.0}, {"pitch_rad": -np.pi / 2}, {"n_arms": 0}])
def test_arms_out_of_range_are_refused(change):
    SpiralArms(**ARMS)
    with pytest.raises(ValueError, match="must be"):
        SpiralArms(**{**ARMS, **change})


def texture(pixels=None, radius=2.0, blur=0.3):
    return Texture(np.ones((8, 8)) if pixels is None else pixels, radius, blur)


def test_a_texture_is_a_read_only_copy():
    pixels = np.arange(64, dtype=np.float64).reshape(8, 8)
    made = texture(pixels)
    assert made.pixels.sum(dtype=float) == pytest.approx(1)
    assert made.pixels.dtype == np.float32
    pixels[0, 0] = 1e9
    assert made.pixels[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        made.pixels[0, 0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": np.ones((8, 9))}, r"a square of at most 256 pixels a side, got the shape \(8, 9\)"),
        ({"pixels": np.ones(9)}, "a square of at most"),
        ({"pixels": np.ones((257, 257))}, "a square of at most"),
        ({"pixels": np.zeros((8, 8))}, "not all dark"),
        ({"pixels": np.full((8, 8), np.nan)}, "must be finite"),
        ({"pixels": np.full((8, 8), np.inf)}, "must be finite"),
        ({"pixels": np.eye(8) - 0.01}, "not negative"),
        ({"radius": 0.0}, r"half_light_radius_pixels must be in \(0, 8\), got 0.0"),
        ({"radius": 8.0}, "half_light_radius_pixels must be in"),
        ({"blur": 1.0}, r"blur must be in \[0, 1\), got 1.0"),
        ({"blur": -0.1}, "blur must be in"),
    ],
)
def test_textures_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        texture(**changes)


def test_pictures_share_their_texture():
    picture = Picture(0.0, 0.0, 0.5, 0.0, SED, texture())
    assert picture.pixel_arcsec == 0.25
    system = lens(source1=(picture,))
    (moved,) = system.moved(1.0, 0.0).source1
    assert moved.texture is picture.texture
    assert system.moved(1.0, 0.0).moved(-1.0, 0.0) == system
    assert picture != Picture(0.0, 0.0, 0.5, 0.0, SED, texture())
    with pytest.raises(ValueError, match="half_light_radius_arcsec must be > 0"):
        Picture(0.0, 0.0, 0.0, 0.0, SED, texture())


def test_a_turned_system_is_what_a_turned_camera_sees():
    """A shear and an ellipse turned by 90 deg swap their axes; a quarter turn takes x to y."""
    light = (
        Sersic(1.0, 2.0, 0.5, 1.0, 0.5, 0.1, SED),
        PointSource(1.0, 2.0, SED),
        Spikes(1.0, 2.0, 1.0, 0.1, 0.2, SED),
    )
    mass = Mass(0.5, 1.0, 2.0, 200.0, 0.7, 0.3, shear=(0.05, 0.02))
    system = System("single", None, 0.5, 2.0, None, (mass,), light, (), (), (), 200.0, 0.0)
    quarter = system.turned(math.pi / 2)
    assert [(part.x_arcsec, part.y_arcsec) for part in (*quarter.galaxy, *quarter.masses)] == [pytest.approx((-2.0, 1.0))] * 4
    assert quarter.galaxy[0].angle_rad == pytest.approx(0.1 + math.pi / 2)
    assert quarter.galaxy[2].angle_rad == 0.2
    assert quarter.masses[0].angle_rad == pytest.approx(0.3 + math.pi / 2)
    assert quarter.masses[0].shear == pytest.approx((-0.05, -0.02))
    eighth = system.turned(math.pi / 4).masses[0].shear
    assert eighth == pytest.approx((-0.02, 0.05))
