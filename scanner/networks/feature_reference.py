"""The reference of an ensemble: the axes of its embeddings, objects that anomalies are measured against, and histograms.

An embedding is what the last layers of the networks read, projected to a few axes that the reference fixes. Its values are
multiples of `STEP` and at most `MOST`, so that a sum of their products is exact in float32, whatever the order of the terms:
an object's embedding and anomaly are the same bits in every batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from infra.provenance import sha256_bytes
from infra.store.files import replace_whole
from scanner.networks.card import EnsembleCard, FeatureReferenceCard
from scanner.networks.card_file import read_beside
from scanner.networks.errors import PackageError

REFERENCE_FILE = "reference.safetensors"
N_AXES = 32
"""Number of axes of an embedding."""
STEP, MOST = 1 / 64, 8.0
"""Rounding of the values of an embedding, and their largest size; the scatter of the reference on each axis is about 1."""
NEIGHBOUR = 5
"""Number of the neighbour whose distance counts: one alike, such as a rare flaw of the simulator, makes no object usual."""
USUAL_SHARE = 0.95
"""Share of the reference that is nearer to its own than an anomaly of 1."""
P_LENS, ANOMALY = "p_lens", "anomaly"
AXES = ("axis_1", "axis_2", "axis_3")
"""Names of the histograms: log-odds of `p_lens`, `anomaly`, and the first axes of embeddings."""
QUANTITIES = (P_LENS, ANOMALY, *AXES)
_MAX_BYTES = 2**26
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Histogram:
    """Counts of a quantity; objects below the first edge and above the last have a bin each."""

    edges: NDArray[np.float64]
    """`[bin - 1]`, ascending."""
    counts: NDArray[np.int64]
    """`[bin]`."""

    def of(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the counts `[bin]` of other values `[n]` in the same bins."""
        return counts_between(self.edges, values)


def counts_between(edges: NDArray[np.float64], values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the number of values `[n]` below, between and above edges, `[bin]`."""
    return np.bincount(np.searchsorted(edges, values.astype(np.float64), side="right"), minlength=len(edges) + 1)


@dataclass(frozen=True, eq=False)
class FeatureReference:
    """The axes of embeddings, and the objects that they are compared with."""

    centre: NDArray[np.float32]
    """`[feature]`."""
    projection: NDArray[np.float32]
    """`[feature, axis]`."""
    objects: NDArray[np.int16]
    """`[object, axis]`: embeddings of some objects of the reference, in units of `STEP`."""
    usual_distance: float
    """Distance to the `NEIGHBOUR`-th nearest of `objects` that `USUAL_SHARE` of the reference's other objects stay below."""
    histograms: Mapping[str, Histogram]
    """One for each of `QUANTITIES`."""

    def embeddings(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings `[n, axis]` of features `[n, feature]`, which must be finite."""
        return embedded(features, self.centre, self.projection)

    def anomalies(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `[n]`: distance of each embedding to the `NEIGHBOUR`-th nearest object of the reference over the usual one."""
        starts = range(0, len(embeddings), _ROWS_AT_ONCE)
        parts = [self._distances(embeddings[i : i + _ROWS_AT_ONCE]) for i in starts]
        return np.asarray(np.concatenate([np.empty(0, np.float32), *parts]) / np.float32(self.usual_distance), np.float32)

    def _distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        known, squares = self._known
        squared = (embeddings**2).sum(axis=1)[:, None] + squares - 2 * (embeddings @ known)
        nearest = np.partition(squared, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
        return np.asarray(np.sqrt(np.maximum(nearest, 0)))

    @cached_property
    def _known(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Objects as columns `[axis, object]`, and the square of the length of each."""
        known = self.objects.T.astype(np.float32) * np.float32(STEP)
        return known, (known**2).sum(axis=0)


def embedded(
    features: NDArray[np.float32], centre: NDArray[np.float32], projection: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return embeddings `[n, axis]`, rounded to `STEP`."""
    # In float64 the rounding errors of the sum, which depend on the batch, are far smaller than a step.
    values = (features.astype(np.float64) - centre) @ projection.astype(np.float64)
    return np.asarray(np.round(np.clip(values, -MOST, MOST) / STEP) * STEP, np.float32)


def with_reference(folder: Path, card: EnsembleCard, reference: FeatureReference, about: FeatureReferenceCard) -> EnsembleCard:
    """Write the file of a reference into a package, and return a copy of its card that names it; the caller writes the card.

    Args:
        folder: Folder of the package.
        card: Card of the package, whose ensemble made the features.
        reference: The reference.
        about: Numbers and description of its objects; file and digests are filled in here.
    """
    tensors = {
        "centre": reference.centre,
        "projection": reference.projection,
        "objects": reference.objects,
        "usual_distance": np.array([reference.usual_distance]),
    }
    for name, histogram in reference.histograms.items():
        tensors |= {f"{name}.edges": histogram.edges, f"{name}.counts": histogram.counts}
    data = save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
    with replace_whole(folder / REFERENCE_FILE) as part:
        part.write_bytes(data)
    digests = {"file": REFERENCE_FILE, "sha256": sha256_bytes(data), "ensemble_sha256": card.sha256}
    return card.model_copy(update={"feature_reference": about.model_copy(update=digests)})


def read_reference(folder: Path, card: EnsembleCard) -> FeatureReference | None:
    """Return the reference of a package; None if it has none, or one that other weights made.

    Raises:
        PackageError: the file is missing, damaged, or not the one of the card.
    """
    about = card.feature_reference
    if about is None or card.reference_sha256 is None:
        return None
    path = folder / about.file
    data = read_beside(path, _MAX_BYTES, "embeddings need the reference on the card")
    if sha256_bytes(data) != about.sha256:
        raise PackageError(f"{path}: sha256 must be {about.sha256} as on the card, got {sha256_bytes(data)}")
    try:
        return _checked(load(data))
    except (SafetensorError, KeyError, ValueError) as error:
        raise PackageError(f"{path}: not a reference ({' '.join(str(error).split())[:200]})") from error


def _checked(tensors: Mapping[str, NDArray[np.generic]]) -> FeatureReference:
    """Return the reference that some tensors are; raise KeyError or ValueError if they are none."""
    centre, projection = (tensors[name].astype(np.float32) for name in ("centre", "projection"))
    objects = tensors["objects"].astype(np.int16)
    if projection.shape != (*centre.shape, N_AXES) or objects.shape[1:] != (N_AXES,) or len(objects) < NEIGHBOUR:
        raise ValueError(f"projection {projection.shape} and objects {objects.shape} must have {N_AXES} axes")
    usual = float(tensors["usual_distance"].astype(np.float64)[0])
    if not (np.isfinite(projection).all() and np.isfinite(centre).all() and 0 < usual < np.inf):
        raise ValueError("projection, centre and usual_distance must be finite, and the last above 0")
    histograms = {name: _histogram(tensors[f"{name}.edges"], tensors[f"{name}.counts"]) for name in QUANTITIES}
    return FeatureReference(centre, projection, objects, usual, histograms)


def _histogram(edges: NDArray[np.generic], counts: NDArray[np.generic]) -> Histogram:
    found = Histogram(edges.astype(np.float64), counts.astype(np.int64))
    if found.counts.shape != (len(found.edges) + 1,) or np.any(np.diff(found.edges) <= 0) or found.counts.min() < 0:
        raise ValueError("a histogram needs ascending edges, and one count more than edges")
    return found
