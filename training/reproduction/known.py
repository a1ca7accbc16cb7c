"""Known compound lenses in images of other telescopes, as section 2.3 of Wilde et al. (2022) scores them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.store.storage import absolute
from scanner.networks.ensemble import EnsembleScores
from scanner.purity import ValueWithInterval
from scanner.scan.chosen_objects import read_objects
from scanner.sources.image_arguments import read_images
from scanner.vocabulary.geometry import Geometry, Stamps
from training.errors import TrainingError

MANIFEST = "manifest.csv"
MOST = 24
"""Largest number of known lenses."""


@dataclass(frozen=True)
class KnownLenses:
    """Known lenses in one geometry."""

    names: tuple[str, ...]
    stamps: Stamps
    """`[lens, y, x]` by band."""
    of_one_image: tuple[str, ...] = ()
    """Names of those of which one image stands in for all bands."""


def read_known(folder: Path, geometry: Geometry) -> KnownLenses:
    """Read the lenses of `manifest.csv` in a folder, or of the manifest itself if `folder` is a file.

    Raises:
        TrainingError: there is no manifest, or a lens of it cannot be used.
        LensscanError: the manifest cannot be read.
    """
    path = folder / MANIFEST if folder.is_dir() else folder
    if not path.is_file():
        raise TrainingError(f"{folder}: needs a {MANIFEST} with object_id, VIS, Y, J, H and pixel_scale_arcsec of each lens")
    found = read_objects(str(path), [], geometry, MOST)
    if found.rejected:
        raise TrainingError(f"{path}: every lens must be usable: {'; '.join(f'{k}: {v}' for k, v in found.rejected.items())}")
    return KnownLenses(tuple(found.ids), found.stamps, _of_one_image(path))


def _of_one_image(path: Path) -> tuple[str, ...]:
    manifest = read_images([absolute(str(path))])
    files = zip(*manifest.references.values(), strict=True)
    names = manifest.object_ids.to_pylist()
    return tuple(str(name) for name, of_lens in zip(names, files, strict=True) if len(set(of_lens)) == 1)


def score_known(lenses: KnownLenses, score: Callable[[Stamps], EnsembleScores]) -> dict[str, dict[str, ValueWithInterval]]:
    """Return the lens probability by lens, then by network; the interval is the range over the eight orientations."""
    turned = [score(stamps).p_networks for stamps in _orientations(lenses.stamps)]
    scores: dict[str, dict[str, ValueWithInterval]] = {}
    for row, name in enumerate(lenses.names):
        of_network = {network: [float(p[network][row]) for p in turned] for network in turned[0]}
        scores[name] = {network: ValueWithInterval(value=p[0], low=min(p), high=max(p)) for network, p in of_network.items()}
    return scores


def _orientations(stamps: Stamps) -> Iterator[Stamps]:
    """Yield the stamps, as they are first, in the eight orientations of a square."""
    for is_mirrored in (False, True):
        for n_turns in range(4):
            mirrored = {band: images[..., ::-1] if is_mirrored else images for band, images in stamps.items()}
            yield {band: np.ascontiguousarray(np.rot90(images, n_turns, (-2, -1))) for band, images in mirrored.items()}
