"""Pictures of a candidate as PNG files in `data:` URIs, the north up and the east to the left."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanner.explain.map_grid import LEAST_CHANGE
from scanner.review.candidate import CandidatePixels
from scanner.review.stretch import BRIGHT, FAINT, Picture, Stretch, colour_picture, vis_picture

ORANGE, BLUE, RED = (255, 130, 0), (40, 120, 255), (255, 60, 40)
"""Colours of evidence for Guided Grad-CAM, and of squares for and against a lens."""
_MOST_OPAQUE = 0.85
"""Opacity of the strongest evidence: the image below stays visible."""


@dataclass(frozen=True)
class Shown:
    """A picture with its name."""

    label: str
    alt: str
    uri: str
    has_maps: bool = False
    """Whether the maps lie over it."""


@dataclass(frozen=True)
class Pictures:
    """All pictures of a candidate."""

    shown: tuple[Shown, ...]
    guided: str
    """Guided Grad-CAM, transparent where it is 0."""
    occlusion: str
    """Occlusion map: blue supports a lens, red counts against one, transparent changes nothing."""
    most_change: float
    """Change of ln(p/(1-p)) that has the full colour."""


def pictures_of(pixels: CandidatePixels, stretches: tuple[Stretch, ...] = (FAINT, BRIGHT)) -> Pictures:
    """Draw VIS and colour at each stretch, and the maps; a candidate without stored bands has its ready-made picture."""
    if pixels.in_sky is None:
        stored = pixels.rgb[::-1]
        shown = [
            Shown("VIS", "VIS, as stored", png_uri(stored[..., 2]), has_maps=True),
            Shown("colour", "H, Y + J, VIS, as stored", png_uri(stored)),
        ]
    else:
        # Colours show on the last stretch: on the faint one, the galaxy is white.
        shown = [_vis(pixels.in_sky, stretch, has_maps=stretch is stretches[-1]) for stretch in stretches]
        shown += [_colour(pixels.in_sky, stretch) for stretch in stretches]
    most = max(float(np.abs(pixels.occlusion).max()), LEAST_CHANGE)
    return Pictures(tuple(shown), png_uri(_guided(pixels.guided)), png_uri(_occlusion(pixels.occlusion / most)), most)


def png_uri(picture: Picture) -> str:
    """Return a picture `[y, x]`, `[y, x, rgb]` or `[y, x, rgba]` as the URI of a PNG file."""
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(sink, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()


def _vis(in_sky: NDArray[np.float32], stretch: Stretch, *, has_maps: bool) -> Shown:
    uri = png_uri(vis_picture(in_sky, stretch))
    return Shown(f"VIS, {stretch.name}", f"VIS from {stretch.in_words}", uri, has_maps)


def _colour(in_sky: NDArray[np.float32], stretch: Stretch) -> Shown:
    uri = png_uri(colour_picture(in_sky, stretch))
    return Shown(f"colour, {stretch.name}", f"H, Y + J, VIS from {stretch.in_words}", uri)


def _guided(shares: NDArray[np.float32]) -> Picture:
    """Return one colour with the opacity of the map `[y, x]`, which lies in 0-1."""
    return _tinted(np.broadcast_to(np.array(ORANGE), (*shares.shape, 3)), shares)


def _occlusion(shares: NDArray[np.float32]) -> Picture:
    """Return two colours with the opacity of the map `[y, x]`, which lies between -1 (supports a lens) and 1."""
    colours = np.where((shares < 0)[..., None], np.array(BLUE), np.array(RED))
    return _tinted(colours, np.abs(shares))


def _tinted(colours: NDArray[np.int64], shares: NDArray[np.float32]) -> Picture:
    opacity = np.rint(255 * _MOST_OPAQUE * np.clip(shares, 0, 1))[..., None]
    return np.concatenate([colours, opacity], axis=-1)[::-1].astype(np.uint8)
