"""Maps and numbers that are stored with a candidate: small maps on one grid, and numbers to query, alike for every ensemble."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from scanner.explain.cutout_pixels import cutout_pixels
from scanner.explain.explanation import networks_with_most_bands, stamp_side_arcsec
from scanner.explain.gradcam import GradCamMapper
from scanner.explain.map_grid import CAM_CELLS, GUIDED_CELLS, OCCLUSION_CELLS, SHOWN_ARCSEC
from scanner.explain.occlusion import Masks, OcclusionMapper
from scanner.networks.card import EnsembleCard
from scanner.networks.log_odds import lens_log_odds
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_network
from scanner.preprocess.colour_picture import composite
from scanner.preprocess.network_inputs import Inputs, network_input
from scanner.preprocess.resample import area_operator, regrid
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Stamps

CORE_ARCSEC, ARC_ARCSEC = 0.5, 3.0
"""Outer radii: that of the core is NISP's seeing, and hardly any arc lies beyond the other."""
AT_ONCE = 8
"""Number of objects mapped at once for any size of batch, because last digits depend on it; OU-200 takes 40 MB for each."""

Maps = NDArray[np.float64]
"""`[batch, y, x]`."""


@dataclass(frozen=True)
class CandidateMaps:
    """Maps and numbers, `[batch, ...]`; north is up, and the first row is the southernmost. NaN where a number is undefined."""

    cutout_rgb: NDArray[np.uint8]
    """`[batch, y, x, colour]`."""
    cutout_sigma: NDArray[np.int16]
    """`[batch, band, y, x]`, VIS, Y, J, H: above the sky, in units of `cutout_step`."""
    cutout_step: NDArray[np.float64]
    """Unit of `cutout_sigma`, in sigma of the band's own sky."""
    map_guided: NDArray[np.uint8]
    map_cam: NDArray[np.uint8]
    map_occlusion: NDArray[np.int16]
    occlusion_step: NDArray[np.float64]
    """Change of log-odds that one unit of `map_occlusion` stands for."""
    occlusion_drop: NDArray[np.float64]
    """Largest drop in log-odds when one square of `map_occlusion` is hidden."""
    attribution_core: NDArray[np.float64]
    attribution_arc: NDArray[np.float64]
    attribution_peak_arcsec: NDArray[np.float64]
    attribution_agreement: NDArray[np.float64]
    attribution_vis: NDArray[np.float64]
    attribution_y: NDArray[np.float64]
    attribution_j: NDArray[np.float64]
    attribution_h: NDArray[np.float64]


class CandidateMapper:
    """Maps of many candidates by some networks of an ensemble; the last network makes the occlusion map too."""

    def __init__(self, networks: Sequence[tuple[nn.Sequential, NetworkCard]], threads: int = 1) -> None:
        """Take at least one network, all of one geometry, and the number of threads that make maps side by side.

        Objects side by side use several cores better than torch's own threads do on one object.
        """
        self._geometry = GEOMETRIES[networks[0][1].geometry]
        self._gradients = [_Gradients(network, card) for network, card in networks]
        self._occlusion = _Occlusion(*networks[-1])
        self._threads = threads

    def maps(self, stamps: Stamps) -> CandidateMaps:
        """Return the maps of each candidate on its own.

        Args:
            stamps: Band to `[batch, y, x]`, in the ensemble's geometry.
        """
        starts = range(0, len(stamps["VIS"]), AT_ONCE)
        some = [{band: images[i : i + AT_ONCE] for band, images in stamps.items()} for i in starts]
        with ThreadPoolExecutor(self._threads) as threads:
            parts = list(threads.map(self._of_some, some))
        names = [field.name for field in fields(CandidateMaps)]
        return CandidateMaps(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def _of_some(self, stamps: Stamps) -> CandidateMaps:
        evidence = [network.evidence(stamps) for network in self._gradients]
        names = ("guided", "cam", "whole", "core", "arc")
        guided, cam, whole, core, arc = (np.sum([getattr(part, name) for part in evidence], axis=0) for name in names)
        bands = {band: np.sum([part.bands[band] for part in evidence], axis=0) for band in EUCLID}
        changes = self._occlusion.changes(stamps)
        steps = np.abs(changes).max(axis=(1, 2)) / np.iinfo(np.int16).max
        pixels, unit = cutout_pixels(stamps, self._geometry)
        return CandidateMaps(
            cutout_rgb=_pictures(stamps, self._geometry),
            cutout_sigma=pixels,
            cutout_step=unit,
            map_guided=_as_bytes(guided),
            map_cam=_as_bytes(cam),
            map_occlusion=np.round(changes / np.where(steps > 0, steps, 1)[:, None, None]).astype(np.int16),
            occlusion_step=steps,
            occlusion_drop=np.maximum(-changes.min(axis=(1, 2)), 0),
            attribution_core=_share(core, whole),
            attribution_arc=_share(arc, whole),
            attribution_peak_arcsec=_peak_arcsec(guided),
            attribution_agreement=_agreement([part.guided for part in evidence]),
            **{f"attribution_{band.lower()}": _share(bands[band], whole) for band in EUCLID},
        )


def candidate_mapper(folder: Path, card: EnsembleCard, threads: int = 1) -> CandidateMapper:
    """Return a mapper of the package in `folder`, by the networks that read the most bands, with that number of threads.

    Raises:
        PackageError: the weights of the package cannot be used.
    """
    known = {network.name: network for network in card.networks}
    chosen = [known[name] for name in networks_with_most_bands(card)]
    return CandidateMapper([(load_network(folder, network), network) for network in chosen], threads)


@dataclass(frozen=True)
class _Evidence:
    """The positive Guided Grad-CAM of one network, in its own unit: a network with little evidence has little weight."""

    guided: Maps
    cam: Maps
    whole: NDArray[np.float64]
    """`[batch]`: sum of the whole map, the cells and the pixels beyond them."""
    core: NDArray[np.float64]
    arc: NDArray[np.float64]
    bands: dict[str, NDArray[np.float64]]


class _Gradients:
    def __init__(self, network: nn.Sequential, card: NetworkCard) -> None:
        self._mapper, self._card = GradCamMapper(network), card
        self._scale_arcsec = stamp_side_arcsec(card) / card.input_pixels
        at = (np.arange(card.input_pixels) - (card.input_pixels - 1) / 2) * self._scale_arcsec
        radius_arcsec = np.hypot(at[:, None], at[None, :])
        self._is_core = radius_arcsec < CORE_ARCSEC
        self._is_arc = ~self._is_core & (radius_arcsec < ARC_ARCSEC)

    def evidence(self, stamps: Stamps) -> _Evidence:
        maps = self._mapper.maps(network_input(stamps, self._card.channels, self._card.input_pixels))
        positive = np.maximum(maps.guided, 0)
        by_channel = positive.sum(axis=(2, 3), dtype=np.float64)
        guided = positive.sum(axis=1, dtype=np.float64)
        bands = np.array([channel.band for channel in self._card.channels])
        return _Evidence(
            guided=self._on_grid(guided, GUIDED_CELLS),
            cam=self._on_grid(maps.cam, CAM_CELLS),
            whole=by_channel.sum(axis=1),
            core=guided[:, self._is_core].sum(axis=1),
            arc=guided[:, self._is_arc].sum(axis=1),
            bands={band: by_channel[:, bands == band].sum(axis=1) for band in EUCLID},
        )

    def _on_grid(self, maps: NDArray[np.floating], n_cells: int) -> Maps:
        operator = area_operator(maps.shape[-1], self._scale_arcsec, n_cells, SHOWN_ARCSEC / n_cells)
        return regrid(maps, operator).astype(np.float64)


class _Occlusion:
    """Occlusion by squares of about 1 arcsec, on whole pixels of the network."""

    def __init__(self, network: nn.Sequential, card: NetworkCard) -> None:
        self._card = card
        scale_arcsec = stamp_side_arcsec(card) / card.input_pixels
        cell_arcsec = SHOWN_ARCSEC / OCCLUSION_CELLS
        side = max(1, round(cell_arcsec / scale_arcsec))
        centres_arcsec = (np.arange(OCCLUSION_CELLS) - (OCCLUSION_CELLS - 1) / 2) * cell_arcsec
        self._starts = np.round(card.input_pixels / 2 + centres_arcsec / scale_arcsec - side / 2).astype(np.int64)
        self._mapper = OcclusionMapper(network, Masks(side, side))

    def changes(self, stamps: Stamps) -> Maps:
        """Return the change of the log-odds of a lens for each hidden square, `[batch, y, x]`."""
        inputs: Inputs = network_input(stamps, self._card.channels, self._card.input_pixels)
        whole = lens_log_odds(self._mapper.whole_logits(inputs))
        return lens_log_odds(self._mapper.logits(inputs, self._starts)) - whole[:, None, None]


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, NaN where the whole is 0."""
    return np.asarray(part / np.where(whole > 0, whole, np.nan))


def _as_bytes(maps: Maps) -> NDArray[np.uint8]:
    """Scale each map on its own, its highest value to 255; a map without positive values stays 0."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.round(255 * maps / np.where(highest > 0, highest, 1)).astype(np.uint8)


def _peak_arcsec(maps: Maps) -> NDArray[np.float64]:
    """Return the distance of the highest cell from the centre, `[batch]`; NaN for a map without positive values."""
    n = maps.shape[-1]
    at = np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), (n, n))
    offset = np.hypot(*(np.array(at) - (n - 1) / 2)) * SHOWN_ARCSEC / n
    return np.where(maps.max(axis=(1, 2)) > 0, offset, np.nan)


def _agreement(of_networks: Sequence[Maps]) -> NDArray[np.float64]:
    """Return the correlation of the maps, `[batch]`, averaged over the pairs of networks whose maps both vary."""
    flat = [maps.reshape(len(maps), -1) for maps in of_networks]
    pairs = np.array([_correlation(a, b) for a, b in combinations(flat, 2)]).reshape(-1, len(flat[0]))
    n = (~np.isnan(pairs)).sum(axis=0)
    return np.asarray(np.where(n > 0, np.nansum(pairs, axis=0) / np.maximum(n, 1), np.nan))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.where(norm > 0, norm, np.nan))


def _pictures(stamps: Stamps, geometry: Geometry) -> NDArray[np.uint8]:
    scale_arcsec = geometry.grids["VIS"].pixel_scale_arcsec
    objects = [{band: images[i] for band, images in stamps.items()} for i in range(len(stamps["VIS"]))]
    pictures = [composite(bands, scale_arcsec, SHOWN_ARCSEC) for bands in objects]
    return np.round(255 * np.stack(pictures)).astype(np.uint8)
