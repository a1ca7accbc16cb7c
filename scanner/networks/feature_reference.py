"""The reference of an ensemble: the axes of its embeddings, objects that anomalies are measured against, and histograms.

An embedding is the square root of what the last layers of the networks read, projected to a few axes that the reference fixes.
Objects that networks see alike differ by a small angle: lengths tell bright from faint more than kind from kind. An anomaly is
a distance after the axes are scaled to the scatter of the reference. Values of both are rounded to `STEP`, and those of the
second are at most `MOST`, so that a sum of their products is exact in float32, whatever the order of the terms: an object's
embedding and anomaly are the same bits in every batch.
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
from scanner.networks.card import EnsembleCard, FeatureReferenceCard
from scanner.networks.card_file import read_beside, write_beside
from scanner.networks.errors import PackageError

REFERENCE_FILE = "reference.safetensors"
"""Name to which digits of the digest are added."""
N_AXES = 32
"""Number of axes of an embedding."""
LENGTH = 8.0
"""Root mean square of the lengths of the reference's embeddings: then `STEP` is small beside the scatter on the last axes."""
STEP, MOST = 1 / 64, 8.0
"""Rounding of values, and their largest size where the scatter of the reference on each axis is about 1."""
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

    projection: NDArray[np.float32]
    """`[feature, axis]`: roots of features times this are embeddings."""
    centre: NDArray[np.float32]
    """`[axis]`: mean of the embeddings."""
    scaling: NDArray[np.float32]
    """`[axis, scaled axis]`: embeddings less the centre, times this, have a scatter of about 1 on each axis."""
    objects: NDArray[np.int16]
    """`[object, scaled axis]`: some objects of the reference after this scaling, in units of `STEP`."""
    usual_distance: float
    """Distance to the `NEIGHBOUR`-th nearest of `objects` that `USUAL_SHARE` of the reference's other objects stay below."""
    histograms: Mapping[str, Histogram]
    """One for each of `QUANTITIES`."""

    def embeddings(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings `[n, axis]` of features `[n, feature]`, which must be finite."""
        return embedded(features, self.projection)

    def anomalies(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `[n]`: distance of each embedding to the `NEIGHBOUR`-th nearest object of the reference over the usual one."""
        scaled = scaled_about(embeddings, self.centre, self.scaling)
        parts = [self._distances(scaled[i : i + _ROWS_AT_ONCE]) for i in range(0, len(scaled), _ROWS_AT_ONCE)]
        return np.asarray(np.concatenate([np.empty(0, np.float32), *parts]) / np.float32(self.usual_distance), np.float32)

    def _distances(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        known, squares = self._known
        squared = (scaled**2).sum(axis=1)[:, None] + squares - 2 * (scaled @ known)
        nearest = np.partition(squared, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
        return np.asarray(np.sqrt(np.maximum(nearest, 0)))

    @cached_property
    def _known(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Objects as columns `[axis, object]`, and the square of the length of each."""
        known = self.objects.T.astype(np.float32) * np.float32(STEP)
        return known, (known**2).sum(axis=0)


def embedded(features: NDArray[np.float32], projection: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return embeddings `[n, axis]`, rounded to `STEP`."""
    # In float64 the rounding errors of the sum, which depend on the batch, are far smaller than a step.
    return _rounded(roots(features) @ projection.astype(np.float64))


def roots(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the square roots of features, with their signs: few of a network's features are large, and these would decide."""
    wide = features.astype(np.float64)
    return np.asarray(np.sign(wide) * np.sqrt(np.abs(wide)))


def scaled_about(
    embeddings: NDArray[np.float32], centre: NDArray[np.float32], scaling: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return embeddings less the centre, times the scaling, `[n, scaled axis]`, rounded to `STEP` and at most `MOST`."""
    values = (embeddings.astype(np.float64) - centre) @ scaling.astype(np.float64)
    return _rounded(np.clip(values, -MOST, MOST))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(np.round(values / STEP) * STEP, np.float32)


def with_reference(folder: Path, card: EnsembleCard, reference: FeatureReference, about: FeatureReferenceCard) -> EnsembleCard:
    """Write the file of a reference into a package, and return a copy of its card that names it; the caller writes the card.

    Args:
        folder: Folder of the package.
        card: Card of the package, whose ensemble made the features.
        reference: The reference.
        about: Numbers and description of its objects; file and digests are filled in here.
    """
    tensors = {
        "projection": reference.projection,
        "centre": reference.centre,
        "scaling": reference.scaling,
        "objects": reference.objects,
        "usual_distance": np.array([reference.usual_distance]),
    }
    for name, histogram in reference.histograms.items():
        tensors |= {f"{name}.edges": histogram.edges, f"{name}.counts": histogram.counts}
    data = save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
    file = write_beside(folder, REFERENCE_FILE, data)
    digests = {"file": file, "sha256": sha256_bytes(data), "ensemble_sha256": card.lens_sha256}
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
    projection, centre, scaling = (tensors[name].astype(np.float32) for name in ("projection", "centre", "scaling"))
    objects = tensors["objects"].astype(np.int16)
    shapes = {"projection": projection.shape[1:], "centre": centre.shape, "objects": objects.shape[1:]}
    if {*shapes.values()} != {(N_AXES,)} or scaling.shape != (N_AXES, N_AXES) or len(objects) < NEIGHBOUR:
        raise ValueError(f"must have {N_AXES} axes and at least {NEIGHBOUR} objects, got {shapes}, scaling {scaling.shape}")
    usual = float(tensors["usual_distance"].astype(np.float64)[0])
    if not (all(np.isfinite(values).all() for values in (projection, centre, scaling)) and 0 < usual < np.inf):
        raise ValueError("projection, centre, scaling and usual_distance must be finite, and the last above 0")
    histograms = {name: _histogram(tensors[f"{name}.edges"], tensors[f"{name}.counts"]) for name in QUANTITIES}
    return FeatureReference(projection, centre, scaling, objects, usual, histograms)


def _histogram(edges: NDArray[np.generic], counts: NDArray[np.generic]) -> Histogram:
    found = Histogram(edges.astype(np.float64), counts.astype(np.int64))
    if found.counts.shape != (len(found.edges) + 1,) or np.any(np.diff(found.edges) <= 0) or found.counts.min() < 0:
        raise ValueError("a histogram needs ascending edges, and one count more than edges")
    return found
