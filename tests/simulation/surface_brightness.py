"""Surface brightness of components by formulas of their own: the answer that drawn images are compared with."""

import numpy as np
from scipy.integrate import quad
from scipy.ndimage import map_coordinates
from scipy.special import gamma, gammaincinv

from simulation.systems import Annulus, Picture, Sersic, Spikes


def surface_brightness(light, x_arcsec, y_arcsec):
    """Return the brightness per arcsec2 at coordinates, float64 of their common shape, for a total flux of 1 and uncut."""
    offset = np.asarray(x_arcsec) - light.x_arcsec + 1j * (np.asarray(y_arcsec) - light.y_arcsec)
    own = offset * np.exp(-1j * light.angle_rad)
    return {Sersic: _sersic, Annulus: _annulus, Spikes: _spikes, Picture: _picture}[type(light)](light, own.real, own.imag)


def _sersic(light, along, across):
    """Graham & Driver 2005, equations 1-4; arms multiply the disc by 1 plus a cosine that is 0 at the centre."""
    n, arms = light.sersic_index, light.arms
    along, across = _circular(light, along, across, light.half_light_radius_arcsec)
    radius, b = np.hypot(along, across), gammaincinv(2 * n, 0.5)
    peak = b ** (2 * n) / (2 * np.pi * n * gamma(2 * n) * light.half_light_radius_arcsec**2)
    smooth = peak * np.exp(-b * radius ** (1 / n))
    if arms is None:
        return smooth
    phase = np.arctan2(across, along) - np.log(radius + 1e-3) / np.tan(arms.pitch_rad) - arms.phase_rad
    return smooth * (1 + arms.strength * radius**2 / (radius**2 + 0.25) * np.cos(arms.n_arms * phase))


def _annulus(light, along, across):
    along, across = _circular(light, along, across, light.radius_arcsec)
    width = light.width_arcsec / light.radius_arcsec

    def ring(radius):
        return np.exp(-0.5 * ((radius - 1) / width) ** 2)

    def arc(azimuth):
        return 1.0 if light.spread_rad is None else np.exp(-0.5 * (azimuth / light.spread_rad) ** 2)

    flux = quad(lambda r: r * ring(r), 0, 1 + 12 * width, points=[1.0])[0] * quad(arc, -np.pi, np.pi)[0]
    azimuth = np.angle((along + 1j * across) * np.exp(-1j * light.middle_rad))
    return ring(np.hypot(along, across)) * arc(azimuth) / (flux * light.radius_arcsec**2)


def _spikes(light, along, across):
    """Three lines through the star: a Gaussian across, and along them 1 / (1 + (r / length)^2), whose integral is pi length."""
    value = np.zeros(np.shape(along + across))
    for turn in (0, np.pi / 3, 2 * np.pi / 3):
        turned = (along + 1j * across) * np.exp(-1j * turn)
        value += np.exp(-0.5 * (turned.imag / light.width_arcsec) ** 2) / (1 + (turned.real / light.length_arcsec) ** 2)
    return value / (3 * np.pi * light.length_arcsec * np.sqrt(2 * np.pi) * light.width_arcsec)


def _picture(light, along, across):
    """Interpolate linearly between pixels, and to 0 beyond the outermost."""
    pixels, side = light.texture.pixels, light.half_light_radius_arcsec / light.texture.half_light_radius_pixels
    middle = (len(pixels) - 1) / 2
    rows, columns = (-across if light.is_mirrored else across) / side + middle, along / side + middle
    return map_coordinates(pixels.astype(float), np.broadcast_arrays(rows, columns), order=1, mode="grid-constant") / side**2


def _circular(light, along, across, radius_arcsec):
    """Stretch the ellipse to the circle of its area, in units of its radius."""
    root = np.sqrt(light.axis_ratio)
    return along * root / radius_arcsec, across / (root * radius_arcsec)
