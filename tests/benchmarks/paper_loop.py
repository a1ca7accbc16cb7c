"""The way of Wilde et al. 2022: four FITS files an object, scikit-image, eager float32 networks; nothing else."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from numpy.typing import NDArray
from skimage.transform import resize
from torch import nn

from scanner.networks.card import EnsembleCard
from scanner.pixels.geometry import Stamps

BATCH = 64


def write_cutouts(folder: Path, stamps: Stamps) -> list[dict[str, Path]]:
    """One file an object and band, as the challenge distributed them."""
    files = []
    for i in range(len(stamps["VIS"])):
        of_object = {band: folder / f"EUC_{band}" / f"imageEUC_{band}-{i:06d}.fits" for band in stamps}
        for band, path in of_object.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fits.PrimaryHDU(stamps[band][i]).writeto(path, overwrite=True)
        files.append(of_object)
    return files


def score(files: Sequence[dict[str, Path]], card: EnsembleCard, networks: dict[str, nn.Module]) -> dict[str, NDArray]:
    """Network to `[n]` probability of a lens."""
    found: dict[str, list[NDArray]] = {name: [] for name in networks}
    sizes = sorted({network.input_pixels for network in card.networks})
    for start in range(0, len(files), BATCH):
        batch = [_read(of_object) for of_object in files[start : start + BATCH]]
        with torch.inference_mode():
            for n_pixels in sizes:
                scaled = [_prepared(bands, n_pixels) for bands in batch]
                for network in (n for n in card.networks if n.input_pixels == n_pixels):
                    order = [channel.band for channel in network.channels]
                    inputs = np.stack([np.stack([bands[band] for band in order]) for bands in scaled])
                    logits = networks[network.name](torch.from_numpy(inputs))
                    found[network.name].append(torch.softmax(logits, 1)[:, 1].numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def rate(
    files: Sequence[dict[str, Path]], card: EnsembleCard, networks: dict[str, nn.Module]
) -> tuple[float, dict[str, NDArray]]:
    """Cutouts per second, and the scores."""
    score(files[:8], card, networks)
    start = time.perf_counter()
    scores = score(files, card, networks)
    return len(files) / (time.perf_counter() - start), scores


def _read(of_object: dict[str, Path]) -> dict[str, NDArray]:
    bands = {}
    for band, path in of_object.items():
        with fits.open(path) as hdus:
            bands[band] = np.array(hdus[0].data)
    return bands


def _prepared(bands: dict[str, NDArray], n_pixels: int) -> dict[str, NDArray]:
    resized = {b: image if len(image) == n_pixels else resize(image, (n_pixels, n_pixels)) for b, image in bands.items()}
    return {band: ((x - x.min()) / (x.max() - x.min())).astype(np.float32) for band, x in resized.items()}
