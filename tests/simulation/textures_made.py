"""Textures and images of the sky made from closed forms, and a file of them."""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from infra.store.storage import create_if_absent
from simulation.systems import Sed, Sersic, Texture
from simulation.textures.library import Specimen, encode_textures
from tests.simulation.surface_brightness import surface_brightness

N_SAMPLES = 5
"""Samples of a pixel along an axis."""


def profile_image(n_pixels, half_light_radius, *, index=1.0, axis_ratio=1.0, angle=0.0, x=0.0, y=0.0):
    """Return `[y, x]`, a Sersic profile about a point beside the middle, averaged over pixels; all lengths are in pixels."""
    light = Sersic(x, y, half_light_radius, index, axis_ratio, angle, Sed(20.0, 20.0, 20.0, 20.0))
    offsets = (np.arange(N_SAMPLES) + 0.5) / N_SAMPLES - 0.5
    axis = (np.arange(n_pixels)[:, None] - (n_pixels - 1) / 2 + offsets).ravel()
    samples = surface_brightness(light, axis[None, :], axis[:, None])
    return samples.reshape(n_pixels, N_SAMPLES, n_pixels, N_SAMPLES).mean(axis=(1, 3)).astype(np.float32)


def disc_texture(n_pixels=161, half_light_radius=16.0, blur=0.1, **profile):
    """Return the texture of an exponential disc."""
    return Texture(profile_image(n_pixels, half_light_radius, **profile), half_light_radius, blur)


def lumpy_texture(seed, n_pixels=40, blur=0.1):
    """Return the texture of a few blobs, without any symmetry."""
    rng = np.random.default_rng(seed)
    image = np.zeros((n_pixels, n_pixels))
    image[tuple(rng.integers(n_pixels // 4, 3 * n_pixels // 4, (2, 6)))] = rng.uniform(1, 3, 6)
    return Texture(gaussian_filter(image, 2.0, mode="constant"), n_pixels / 5, blur)


def write_textures(path, n=12, blur=0.1):
    """Write a file of lumpy textures; return its path as text."""
    specimens = [Specimen(lumpy_texture(seed, blur=blur), 0.1, None, "made.fits", 0, 0, "made", "none") for seed in range(n)]
    create_if_absent(str(path), encode_textures(specimens), "test")
    return str(path)


FIELD_PIXELS, FIELD_FWHM = 460, 3.0
DISC_AT, NEIGHBOURED_AT = (100, 110), (120, 330)
"""Column and row, in `sky_field`, of a lumpy disc that is alone and of one with a fainter object beside it."""
NEIGHBOUR_PIXELS = 19
STARS_AT = ((40, 40), (220, 60), (390, 40), (230, 230), (60, 400))
EARLY_AT, SATURATED_AT, SMOOTH_AT = (330, 130), (350, 350), (330, 240)
MASKED_AT, CUT_AT, FAINT_AT, CROWDED_AT = (240, 380), (2, 250), (420, 220), (200, 150)
"""Unsuitable objects: early type, saturated star, smooth disc; lumpy discs that are masked, cut off, faint, crowded."""
_LUMP_PIXELS = 10


def lumpy(profile):
    """Return `[y, x]` with lumps above and below a profile that sums to 1, which have 30 % of the light."""
    lump = profile_image(len(profile), 3.5, index=0.5)
    lumps = (np.roll(lump, _LUMP_PIXELS, axis=0) + np.roll(lump, -_LUMP_PIXELS, axis=0)) / 2
    return 0.7 * profile + 0.3 * lumps


def lumpy_disc(n_pixels):
    """Return `[y, x]` of a round disc with lumps, with a flux of 1 in all."""
    return lumpy(profile_image(n_pixels, 8.0))


def sky_field():
    """Return `[y, x]` with galaxies and stars of a known shape, in Gaussian seeing and noise of 1, on a sky of 50."""
    return _sky_field().copy()


@cache
def _sky_field():
    light = np.zeros((FIELD_PIXELS, FIELD_PIXELS))

    def add(at, image):
        (x, y), half = at, len(image) // 2
        rows, columns = slice(max(y - half, 0), y + half + 1), slice(max(x - half, 0), x + half + 1)
        target = light[rows, columns]
        target += image[max(half - y, 0) :, max(half - x, 0) :][: target.shape[0], : target.shape[1]]

    for at in (DISC_AT, NEIGHBOURED_AT, MASKED_AT, CUT_AT, CROWDED_AT):
        add(at, 40000 * lumpy_disc(201))
    add(FAINT_AT, 700 * lumpy_disc(201))
    add((NEIGHBOURED_AT[0] + NEIGHBOUR_PIXELS, NEIGHBOURED_AT[1]), 3000 * profile_image(201, 1.0, index=0.5))
    for turn in np.arange(7) * 2 * np.pi / 7:
        x, y = round(29 * np.cos(turn)), round(29 * np.sin(turn))
        add((CROWDED_AT[0] + x, CROWDED_AT[1] + y), 3000 * profile_image(201, 2.0, index=0.5))
    add(EARLY_AT, 60000 * lumpy(profile_image(201, 8.0, index=4.0)))
    add(SMOOTH_AT, 40000 * profile_image(201, 8.0, axis_ratio=0.6, angle=0.5))
    for x, y in STARS_AT:
        light[y, x] += 20000
    # A bright star with a spike.
    light[SATURATED_AT[1], SATURATED_AT[0]] = 1e9
    light[SATURATED_AT[1] - 20 : SATURATED_AT[1] + 21, SATURATED_AT[0]] += 2000
    light = np.minimum(gaussian_filter(light, FIELD_FWHM / 2.3548, mode="constant", truncate=8), 4000)
    image = (light + np.random.default_rng(1).normal(50, 1, light.shape)).astype(np.float32)
    image[MASKED_AT[1] + 4, MASKED_AT[0]] = 0
    return image
