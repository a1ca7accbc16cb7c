"""One component of every shape, off the centre of its pixel, and its image."""

import pytest

from simulation.optics.light import FineGrid, draw
from simulation.systems import Annulus, Picture, Sed, Sersic, Spikes, SpiralArms
from tests.simulation.textures_made import lumpy_texture

SED = Sed(20.0, 19.2, 18.9, 18.6)


def sersic(**changes):
    values = {
        "x_arcsec": 0.0,
        "y_arcsec": 0.0,
        "half_light_radius_arcsec": 0.6,
        "sersic_index": 4.0,
        "axis_ratio": 0.7,
        "angle_rad": 0.5,
        "sed": SED,
    }
    return Sersic(**{**values, **changes})


def unit_image(component, n_pixels, **kwargs):
    """Draw a component with a flux of 1."""
    return draw([component], FineGrid(n_pixels), ("VIS",), **kwargs)["VIS"] / component.sed.flux_adu_per_s("VIS")


def total(component, n_pixels=400):
    return unit_image(component, n_pixels).sum(dtype=float)


RING = Annulus(0.013, -0.021, 0.8, 0.06, 0.6, 0.4, SED)
TAIL = Annulus(0.013, -0.021, 0.8, 0.06, 0.6, 0.4, SED, middle_rad=3.0, spread_rad=0.5)
SPIKES = Spikes(0.013, -0.021, 0.3, 0.05, 0.4, SED)
SPIRAL = sersic(sersic_index=1.0, axis_ratio=0.6, x_arcsec=0.013, arms=SpiralArms(0.9, 0.3, 1.0))
PICTURE = Picture(0.013, -0.021, 0.5, 0.4, SED, lumpy_texture(1), is_mirrored=True)
EXTENDED = [
    pytest.param(sersic(x_arcsec=0.013, y_arcsec=-0.021), id="sersic"),
    pytest.param(SPIRAL, id="spiral"),
    pytest.param(RING, id="ring"),
    pytest.param(TAIL, id="tail"),
    pytest.param(SPIKES, id="spikes"),
    pytest.param(PICTURE, id="picture"),
]
