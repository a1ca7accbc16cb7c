"""What a network reads: bands, each on one of a few scales."""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator
from scipy.ndimage import gaussian_filter1d

from scanner.pixels.bands import EUCLID
from scanner.pixels.sky import sky_level_and_sigma

Scaling = Literal["min_max", "sky_asinh", "centre_asinh", "detail"]
Images = NDArray[np.floating[Any]]
"""`[batch, y, x]` of one band."""

_LINEAR_BELOW_SIGMA = 3.0
_ASINH_RANGE = (-2.0, 6.0)
_CENTRE_SHARE = 0.3
"""Side of the middle that the brightness of the object is read off, as a share of the stamp's."""
_CENTRE_RANK = 9
"""The pixel, counted from the brightest, that stands for the object: neither a cosmic ray nor a dead pixel decides."""
_MIN_CENTRE_SIGMA = 10.0
_MAX_SKY_UNITS = 1e12
"""A patch of one repeated value has no scatter: whatever stands out of it must stay finite."""
_CENTRE_CONTRAST = 30.0
_BLUR_PIXELS = 4.0
"""Gaussian sigma, 0.4 arcsec: wider than an arc, narrower than the light of a lens galaxy."""
_SHOT_NOISE_SIGMA = 30.0
"""Sky sigma of light per pixel at which its shot noise equals the sky's, in MER mosaics of every band."""
_DETAIL_RANGE = (-3.0, 5.0)


class Channel(BaseModel):
    """One band on one scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    band: str
    scaling: Scaling

    @field_validator("band")
    @classmethod
    def _known_band(cls, value: str) -> str:
        if value not in EUCLID:
            raise ValueError(f"band must be one of {list(EUCLID)}, got {value!r}")
        return value


def channels(scaling: Scaling, *bands: str) -> tuple[Channel, ...]:
    """Bands, in that order, all on one scale."""
    return tuple(Channel(band=band, scaling=scaling) for band in bands)


def min_max(images: Images) -> NDArray[np.float32]:
    """Scale each `[y, x]` image of `[..., y, x]` to 0-1 on its own (Wilde et al. 2022, section 2.1).

    Raises:
        ValueError: an image is constant; such rows are rejected before they come here.
    """
    low = images.min(axis=(-2, -1), keepdims=True)
    span = images.max(axis=(-2, -1), keepdims=True) - low
    if not np.all(span > 0):
        raise ValueError(f"min-max needs images that vary, got {int(np.sum(~(span > 0)))} constant or non-finite image(s)")
    return np.asarray((images - low) / span, dtype=np.float32)


def sky_units(images: Images) -> NDArray[np.float32]:
    """Each image of `[batch, y, x]` less its sky, in units of the sky's sigma; masked pixels, exactly zero, become sky."""
    level, sigma = sky_level_and_sigma(images)
    units = np.clip((images - level[:, None, None]) / sigma[:, None, None], -_MAX_SKY_UNITS, _MAX_SKY_UNITS)
    return np.where(images == 0, 0, units).astype(np.float32)


def sky_asinh(units: Images) -> NDArray[np.float32]:
    """Linear in the noise, logarithmic in the light: what is bright elsewhere in the stamp has no say."""
    return np.clip(np.arcsinh(units / _LINEAR_BELOW_SIGMA), *_ASINH_RANGE)


def centre_asinh(units: Images) -> NDArray[np.float32]:
    """As `sky_asinh`, in units of the brightness of the object at the centre: the same for bright and faint objects."""
    margin = round(units.shape[-1] * (1 - _CENTRE_SHARE) / 2)
    middle = units[:, margin:-margin, margin:-margin].reshape(len(units), -1)
    centre = np.maximum(np.partition(middle, -_CENTRE_RANK, axis=1)[:, -_CENTRE_RANK], _MIN_CENTRE_SIGMA)
    return np.clip(np.arcsinh(_CENTRE_CONTRAST * units / centre[:, None, None]), *_ASINH_RANGE)


def detail(units: Images) -> NDArray[np.float32]:
    """What stands out of its surroundings, in units of the noise there, shot noise included: arcs on a galaxy's light."""
    blur = _blur_operator(units.shape[-1])
    smooth = blur @ units @ blur.T
    noise = np.sqrt(1 + np.maximum(smooth, 0) / _SHOT_NOISE_SIGMA)
    return np.clip(np.arcsinh((units - smooth) / (2 * noise)), *_DETAIL_RANGE)


_OF_SKY_UNITS: Mapping[Scaling, Callable[[Images], NDArray[np.float32]]] = MappingProxyType(
    {"sky_asinh": sky_asinh, "centre_asinh": centre_asinh, "detail": detail}
)


def scaled(images: Images, scalings: Collection[Scaling]) -> dict[Scaling, NDArray[np.float32]]:
    """`[batch, y, x]` of one band on each of some scales; the sky is looked for once."""
    found: dict[Scaling, NDArray[np.float32]] = {"min_max": min_max(images)} if "min_max" in scalings else {}
    of_sky = [scaling for scaling in scalings if scaling in _OF_SKY_UNITS]
    if of_sky:
        units = sky_units(images)
        found |= {scaling: _OF_SKY_UNITS[scaling](units) for scaling in of_sky}
    return found


@lru_cache(maxsize=8)
def _blur_operator(n_pixels: int) -> NDArray[np.float32]:
    operator = gaussian_filter1d(np.eye(n_pixels), _BLUR_PIXELS, axis=0, mode="nearest").astype(np.float32)
    operator.setflags(write=False)
    return operator
