"""Maps of networks and objects on one scale, and their mean over the networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.explain.explanation import NetworkMaps
from scanner.explain.map_grid import LEAST_CHANGE
from scanner.preprocess.resample import area_operator, regrid

_CELL_ARCSEC = 0.2
"""Side of a cell of the maps that all networks share."""
_SATURATED = 50
"""Percentage of the maps whose highest value may lie beyond the scale: else one strong map would make all others pale."""
_LEAST_GUIDED = 1e-3
"""Smallest sum of a drawn map of Guided Grad-CAM. Objects near the prior have 0.01 to 1; below, only rounding has a shape."""
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
"""Leading digits of the ends of scales."""


@dataclass(frozen=True)
class DrawnMaps:
    """Maps `[batch, y, x]` of one network, or of several together, in units that all networks share."""

    name: str
    p_lens: NDArray[np.float32] | None
    """`[batch]`; None for several networks."""
    occlusion: NDArray[np.floating]
    """Change of the log-odds of a lens when pixels are hidden; NaN where no mask is centred."""
    occlusion_extent: tuple[float, float, float, float]
    """Left, right, lower and upper edge of `occlusion`, in arcsec from the middle."""
    guided: NDArray[np.floating]
    """Guided Grad-CAM as percent of the sum of the map in a square arcsec; zero where the map holds nearly nothing."""
    guided_extent: tuple[float, float, float, float]


def drawn_maps(maps: Sequence[NetworkMaps]) -> list[DrawnMaps]:
    """Return the maps of each network; if there are several, the mean of all first.

    The mean of occlusion maps is that of their changes of log-odds. Guided Grad-CAM is summed in its own unit, so a network
    with little evidence has little weight, as in the maps that a scan stores.
    """
    n_cells = math.ceil(max(of_network.side_arcsec for of_network in maps) / _CELL_ARCSEC - 1e-6)
    guided = [_on_cells(of_network, n_cells) for of_network in maps]
    each = [
        DrawnMaps(
            of_network.network,
            of_network.p_lens,
            of_network.occlusion,
            _occlusion_extent(of_network),
            _percent(cells),
            _centred(n_cells),
        )
        for of_network, cells in zip(maps, guided, strict=True)
    ]
    if len(maps) == 1:
        return each
    occlusion = np.mean([_occlusion_on_cells(of_network, n_cells) for of_network in maps], axis=0)
    name = f"these {len(maps)} networks"
    return [DrawnMaps(name, None, occlusion, _centred(n_cells), _percent(np.sum(guided, axis=0)), _centred(n_cells)), *each]


def occlusion_end(drawn: Sequence[DrawnMaps]) -> float:
    """Return the change of log-odds that has a full colour in all maps; rounding errors have no colour."""
    return max(_end([of_some.occlusion for of_some in drawn]), LEAST_CHANGE)


def guided_end(drawn: Sequence[DrawnMaps]) -> float:
    """Return the Guided Grad-CAM, in percent of a map per square arcsec, that is brightest in all maps."""
    return _end([of_some.guided for of_some in drawn]) or 1.0


def _end(maps: Sequence[NDArray[np.floating]]) -> float:
    """Return a round number above the highest values of most maps, zero if all are zero."""
    highest = np.percentile([np.nanmax(np.abs(one)) for of_some in maps for one in of_some], 100 - _SATURATED)
    if not highest > 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(highest))
    return power * next(step for step in _STEPS if step * power >= highest * (1 - 1e-6))


def _occlusion_extent(maps: NetworkMaps) -> tuple[float, float, float, float]:
    low = maps.occlusion_start_arcsec - maps.side_arcsec / 2
    return low, low + maps.occlusion_side_arcsec, low, low + maps.occlusion_side_arcsec


def _centred(n_cells: int) -> tuple[float, float, float, float]:
    half = n_cells * _CELL_ARCSEC / 2
    return -half, half, -half, half


def _on_cells(maps: NetworkMaps, n_cells: int) -> NDArray[np.float64]:
    """Return Guided Grad-CAM summed over cells."""
    n = maps.guided.shape[-1]
    return regrid(maps.guided, area_operator(n, maps.side_arcsec / n, n_cells, _CELL_ARCSEC)).astype(np.float64)


def _percent(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    total = cells.sum(axis=(1, 2), keepdims=True)
    return 100 * np.divide(cells, total, out=np.zeros_like(cells), where=total >= _LEAST_GUIDED) / _CELL_ARCSEC**2


def _occlusion_on_cells(maps: NetworkMaps, n_cells: int) -> NDArray[np.float64]:
    """Return the change of the mask that is centred nearest to each cell; NaN where there is none."""
    low, high, _, _ = _occlusion_extent(maps)
    n = maps.occlusion.shape[-1]
    middles = (np.arange(n_cells) + 0.5 - n_cells / 2) * _CELL_ARCSEC
    at = np.floor((middles - low) / (high - low) * n).astype(int)
    inside = (at >= 0) & (at < n)
    at = np.clip(at, 0, n - 1)
    known = inside[:, None] & inside[None, :]
    return np.where(known, maps.occlusion[:, at[:, None], at[None, :]], np.nan)
