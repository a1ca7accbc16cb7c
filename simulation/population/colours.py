"""Colours of galaxies and stars in Euclid's bands, from templates of their spectra.

A galaxy mixes an old population and a young one by their share of the light at 0.55 micron in its own frame; dust dims the
young one after Calzetti et al. (2000, ApJ 533, 682, equation 4). The template is redshifted, absorbed below Lyman alpha by
the intergalactic medium (Madau 1995, ApJ 441, 18) and averaged over each passband in photons. The results are tabulated once.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from simulation.systems import Sed

Array = NDArray[np.floating]

PASSBANDS_MICRON = {"VIS": (0.55, 0.90), "Y": (0.95, 1.21), "J": (1.17, 1.57), "H": (1.52, 2.02)}
"""Passbands as top hats (Laureijs et al. 2011, Euclid Definition Study Report, table 3.1; Schirmer et al. 2022, table 1)."""
MAX_Z = 6.0
MAX_E_BV = 1.0
"""Largest colour excess by dust in magnitudes; larger values are clipped to it."""

# Nodes of f_nu in AB magnitudes, 0 at 0.55 micron; straight lines in log wavelength, power laws in f_lambda, between them.
_OLD: dict[float, float] = {
    0.0912: 8.5, 0.120: 7.5, 0.155: 6.5, 0.200: 6.0, 0.230: 5.4, 0.260: 4.6, 0.285: 3.95, 0.320: 3.00, 0.350: 2.50, 0.385: 2.00,
    0.398: 1.80, 0.404: 1.22, 0.425: 1.12, 0.440: 0.82, 0.480: 0.43, 0.515: 0.26, 0.550: 0.0, 0.600: -0.25, 0.640: -0.40,
    0.700: -0.56, 0.790: -0.77, 0.900: -0.95, 1.000: -1.10, 1.250: -1.36, 1.650: -1.58, 2.160: -1.37, 2.500: -1.15,
}  # fmt: skip
"""An old population: colours of nearby ellipticals (B-V = 0.96, U-B = 0.5, V-R = 0.6, V-I = 1.2, V-J = 2.25, V-H = 2.95,
V-K = 3.2, Vega: Persson et al. 1979, Bruzual & Charlot 2003), D4000 of 2, ultraviolet of Coleman, Wu & Weedman (1980)."""
_YOUNG: dict[float, float] = {
    0.0912: 0.95, 0.120: 0.62, 0.155: 0.54, 0.200: 0.52, 0.230: 0.50, 0.260: 0.49, 0.285: 0.48, 0.320: 0.46, 0.362: 0.43,
    0.400: 0.15, 0.440: 0.10, 0.550: 0.0, 0.640: -0.07, 0.790: -0.16, 0.900: -0.21, 0.950: -0.24, 1.250: -0.35, 1.650: -0.45,
    2.160: -0.30, 2.500: -0.15,
}  # fmt: skip
"""A young population without dust: ultraviolet slope beta = -2, a Balmer break of 0.3 mag, V-H = 0.45 (AB)."""
_STAR_NODES_MICRON = (0.50, 0.551, 0.658, 0.806, 1.235, 1.662, 2.16)
_STARS: tuple[tuple[float, ...], ...] = (
    (0.10, 0.00, -0.07, -0.08, 0.08, 0.33, 0.80),
    (0.20, 0.00, -0.17, -0.28, -0.28, -0.10, 0.30),
    (0.28, 0.00, -0.25, -0.42, -0.55, -0.47, 0.00),
    (0.45, 0.00, -0.50, -0.88, -1.24, -1.35, -0.98),
    (0.60, 0.00, -0.69, -1.36, -1.99, -2.13, -1.82),
    (0.65, 0.00, -0.82, -1.77, -2.51, -2.63, -2.35),
    (0.75, 0.00, -1.08, -2.40, -3.44, -3.53, -3.30),
)
"""f_nu in AB magnitudes relative to V, at the wavelengths above: dwarfs F5, G2, K0, K5, M0, M2, M4 (Pecaut & Mamajek 2013)."""

_Z_STEP, _E_BV_STEP = 0.02, 0.05
_SAMPLES = 200
_SCATTER_MAG = 0.05
_QUASAR_SLOPE, _QUASAR_SLOPE_SCATTER = -0.44, 0.25
"""Slope of f_nu against frequency (Vanden Berk et al. 2001, AJ 122, 549, section 4.1), and its scatter."""


def early_type_sed(vis_mag: float, z: float, rng: Generator) -> Sed:
    """Draw an early-type galaxy: an old population and a few per cent of younger light, with more at high redshift."""
    young = min(0.02 * (1 + z) * float(np.exp(rng.normal(0, 0.6))), 0.3)
    return _scattered(vis_mag, galaxy_colours(z, young, float(rng.uniform(0, 0.3))), rng)


def star_forming_sed(vis_mag: float, z: float, rng: Generator, dust: float | None = None) -> Sed:
    """Draw a star-forming galaxy, in the whole range from blue and clear to dusty and red.

    Args:
        vis_mag: Total AB magnitude in VIS.
        z: Redshift.
        rng: Source of randomness.
        dust: Colour excess E(B-V) of the young stars in magnitudes; if None, it is drawn, less for fainter galaxies.
    """
    # Faint galaxies are less massive: younger, and with less dust; and old stars need time to age.
    maturity = min(max(1.1 - 0.25 * (vis_mag - 22.5), 0.25), 1.2)
    e_bv = float(rng.gamma(1.1, 0.14)) * maturity if dust is None else dust
    old = min(float(rng.gamma(1.0, 0.2)) * maturity / (1 + 0.3 * z), 0.8)
    return _scattered(vis_mag, galaxy_colours(z, 1 - old, e_bv), rng)


def star_sed(vis_mag: float, rng: Generator) -> Sed:
    """Draw a dwarf star of type F5 to M4, on average later if fainter; VIS - H from -0.5 to 1.7 (AB)."""
    share = float(rng.beta(1.5 + max(0.0, vis_mag - 17) / 4, 1.5))
    colours = _star_colours()
    position = share * (len(colours) - 1)
    i = min(int(position), len(colours) - 2)
    step = position - i
    return _scattered(vis_mag, [a + step * (b - a) for a, b in zip(colours[i], colours[i + 1], strict=True)], rng)


def quasar_sed(vis_mag: float, z: float, rng: Generator) -> Sed:
    """Draw a quasar: a power law without lines, absorbed by the intergalactic medium."""
    slope = float(rng.normal(_QUASAR_SLOPE, _QUASAR_SLOPE_SCATTER))
    vis, *others = (mean_flux(w, w**-slope * transmission(w, z)) for w in map(_wavelengths, PASSBANDS_MICRON))
    return _scattered(vis_mag, [float(2.5 * np.log10(other / vis)) for other in others], rng)


def galaxy_colours(z: float, young_share: float, e_bv: float = 0.0) -> list[float]:
    """Return VIS - Y, VIS - J and VIS - H (AB) of a mixture of the two populations.

    Args:
        z: Redshift, 0 to `MAX_Z`; larger values are clipped to `MAX_Z`.
        young_share: Share of the young population in the light at 0.55 micron in the galaxy's frame, after attenuation.
        e_bv: Colour excess of the young population in magnitudes.
    """
    vis, *others = _mixed_fluxes(z, young_share, e_bv)
    return [float(2.5 * np.log10(other / vis)) for other in others]


def k_correction_mag(z: float, band: str) -> float:
    """Return the old population's magnitude in a band less its rest-frame one at 0.55 micron, without distance modulus.

    Raises:
        KeyError: there is no such band.
    """
    flux = _mixed_fluxes(z, 0.0, 0.0)[list(PASSBANDS_MICRON).index(band)]
    return float(-2.5 * np.log10(flux * (1 + z)))


def attenuation_mag(wavelength_micron: Array, e_bv: float) -> Array:
    """Apply Calzetti et al. (2000), equation 4, with R_V = 4.05; wavelengths are clipped to 0.12 to 2.2 micron."""
    w = np.clip(wavelength_micron, 0.12, 2.2)
    blue = 2.659 * (-2.156 + 1.509 / w - 0.198 / w**2 + 0.011 / w**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 / w) + 4.05
    return e_bv * np.maximum(np.where(w < 0.63, blue, red), 0.0)


def mean_flux(wavelength_micron: Array, f_nu: Array) -> float:
    """Return the f_nu that a passband's photon count stands for, int f_nu dln(nu) / int dln(nu); wavelengths evenly spaced."""
    return float(np.sum(f_nu / wavelength_micron) / np.sum(1 / wavelength_micron))


def template(wavelength_micron: Array, young_share: float, e_bv: float) -> Array:
    """Return f_nu of the mixture at wavelengths in the galaxy's frame, 1 at 0.55 micron; 0 below the Lyman limit."""
    young = _power_laws(wavelength_micron, tuple(_YOUNG), tuple(_YOUNG.values()))
    dust = attenuation_mag(wavelength_micron, e_bv) - attenuation_mag(np.array(0.55), e_bv)
    old = _power_laws(wavelength_micron, tuple(_OLD), tuple(_OLD.values()))
    mixed = young_share * young * 10 ** (-0.4 * dust) + (1 - young_share) * old
    return np.where(wavelength_micron < 0.0912, 0.0, mixed)


def transmission(observed_micron: Array, z: float) -> Array:
    """Return the transmission of the intergalactic medium between Lyman alpha and the Lyman limit.

    Madau (1995), equation 12, for Lyman alpha alone.
    """
    depth = 0.0036 * (observed_micron / 0.121567) ** 3.46
    return np.where(observed_micron < 0.121567 * (1 + z), np.exp(-depth), 1.0)


def _power_laws(wavelength_micron: Array, nodes_micron: Sequence[float], mags: Sequence[float]) -> Array:
    return 10 ** (-0.4 * np.interp(np.log(wavelength_micron), np.log(nodes_micron), mags))


def _wavelengths(band: str) -> Array:
    """Return the midpoints of equal steps through a passband."""
    low, high = PASSBANDS_MICRON[band]
    return low + (np.arange(_SAMPLES) + 0.5) * (high - low) / _SAMPLES


@lru_cache(maxsize=1)
def _tables() -> tuple[list[list[float]], list[list[list[float]]]]:
    """Tabulate mean f_nu per band of the old population at each redshift, and of the young one at each redshift and dust."""
    redshifts = np.arange(round(MAX_Z / _Z_STEP) + 2) * _Z_STEP
    dusts = np.arange(round(MAX_E_BV / _E_BV_STEP) + 2) * _E_BV_STEP
    n_bands = len(PASSBANDS_MICRON)
    old, young = np.empty((redshifts.size, n_bands)), np.empty((redshifts.size, dusts.size, n_bands))
    for b, band in enumerate(PASSBANDS_MICRON):
        observed = _wavelengths(band)
        for i, z in enumerate(redshifts):
            rest, clear = observed / (1 + z), transmission(observed, z)
            old[i, b] = mean_flux(observed, template(rest, 0.0, 0.0) * clear)
            bare = template(rest, 1.0, 0.0) * clear
            reddening = attenuation_mag(rest, 1.0) - attenuation_mag(np.array(0.55), 1.0)
            weight = bare / observed / np.sum(1 / observed)
            young[i, :, b] = 10 ** (-0.4 * dusts[:, None] * reddening) @ weight
    return old.tolist(), young.tolist()


def _mixed_fluxes(z: float, young_share: float, e_bv: float) -> list[float]:
    """Return mean f_nu in VIS, Y, J and H, in units of that at 0.55 micron in the galaxy's frame."""
    old, young = _tables()
    # Plain floats, since numpy is slower for four numbers.
    at_z, at_dust = min(max(z, 0.0), MAX_Z) / _Z_STEP, min(max(e_bv, 0.0), MAX_E_BV) / _E_BV_STEP
    i, j = int(at_z), int(at_dust)
    s, t = at_z - i, at_dust - j
    olds = (a + s * (b - a) for a, b in zip(old[i], old[i + 1], strict=True))
    corners = zip(young[i][j], young[i][j + 1], young[i + 1][j], young[i + 1][j + 1], strict=True)
    youngs = ((1 - s) * (a + t * (b - a)) + s * (c + t * (d - c)) for a, b, c, d in corners)
    return [(1 - young_share) * o + young_share * y for o, y in zip(olds, youngs, strict=True)]


@lru_cache(maxsize=1)
def _star_colours() -> list[list[float]]:
    """Return VIS - Y, VIS - J and VIS - H of each star of the table."""
    colours = []
    for mags in _STARS:
        vis, *others = (mean_flux(w, _power_laws(w, _STAR_NODES_MICRON, mags)) for w in map(_wavelengths, PASSBANDS_MICRON))
        colours.append([float(2.5 * np.log10(other / vis)) for other in others])
    return colours


def _scattered(vis_mag: float, colours: Sequence[float], rng: Generator) -> Sed:
    """Return an SED with the exact VIS magnitude; the other bands scatter about their colours."""
    y, j, h = (float(vis_mag - c + s) for c, s in zip(colours, rng.normal(0, _SCATTER_MAG, 3), strict=True))
    return Sed(float(vis_mag), y, j, h)
