"""Fit the reference of an ensemble to shards: axes of embeddings, objects to compare with, and histograms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import nn

from infra.progress import Progress
from infra.store.storage import read_bytes
from scanner.networks.card import EnsembleCard
from scanner.networks.cascade import Scorer
from scanner.networks.feature_reference import (
    ANOMALY,
    AXES,
    LENGTH,
    N_AXES,
    P_LENS,
    STEP,
    USUAL_SHARE,
    FeatureReference,
    Histogram,
    counts_between,
    embedded,
    roots,
    scaled_about,
)
from scanner.networks.log_odds import log_odds
from scanner.networks.package import load_network
from scanner.sources.shard_batches import shard_batches
from training.errors import TrainingError
from training.evaluation.known_shards import decoded
from training.evaluation.shard_scores import shard_footers

N_OBJECTS = 2048
"""Largest number of objects that embeddings are compared with: their distances take 1 % of the time of the committee."""
N_BINS = 10
"""Bins of a histogram: tenths of the reference, as usual for the stability index."""
NONLENS = "nonlens"
_BATCH, _SEED = 64, 1
LENS_WEIGHT = 3.0
"""Added weight of the direction of `p_lens`. With 17 lenses among 2062 others that no axis rests on, of the 6 nearest of a
double ring 0.73 are lenses; without it 0.63, and with 10, 0.75, but then fewer non-lenses are near others of their shape. Of
the 6 best by `p_lens` itself, 0.84 are."""
RIDGE = 0.02
"""Part of the mean variance that is added to that of each axis before it is scaled: axes of noise must not decide distances."""


@dataclass(frozen=True)
class Described:
    """Outputs of the networks for the objects of some shards."""

    features: NDArray[np.float32]
    """`[object, feature]`, NaN where the committee did not see the object."""
    p_lens: NDArray[np.float32]
    kinds: NDArray[np.str_]
    """Kind of each object; an empty text where the shards do not know it."""

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.features).any(axis=1))


def fit_reference(parts: Sequence[Described], importance: NDArray[np.float64]) -> FeatureReference:
    """Return the reference of objects that an ensemble has scored.

    Args:
        parts: Objects of several origins. Those of the first that are no lenses make the histograms, because nearly all objects
            of a night are no lenses.
        importance: `[feature]`, as `importance_of` returns it.

    Raises:
        TrainingError: too few objects have features.
    """
    rng = default_rng(_SEED)
    seen = [part.features[part.is_seen] for part in parts]
    kinds = np.concatenate([part.kinds[part.is_seen] for part in parts])
    features = np.concatenate(seen)
    is_natural = np.arange(len(features)) < len(seen[0])
    is_natural &= ~is_lens(kinds)
    least = 4 * N_AXES
    if is_natural.sum() < least or len(features) < 2 * least:
        raise TrainingError(
            f"a reference needs {2 * least} objects that the networks describe, {least} of them non-lenses of the first "
            f"shards, got {len(features)} and {int(is_natural.sum())}"
        )
    p_lens = np.concatenate([part.p_lens[part.is_seen] for part in parts])
    projection = axes_of(features, p_lens, importance)
    embeddings = embedded(features, projection)
    centre, scaling = scaling_of(embeddings)
    chosen = _chosen(len(features), rng)
    held_out = ~chosen
    objects = np.round(scaled_about(embeddings[chosen], centre, scaling) / STEP).astype(np.int16)
    bare = FeatureReference(projection, centre, scaling, objects, 1.0, {})
    distances = bare.anomalies(embeddings[held_out])
    usual = float(np.quantile(distances, USUAL_SHARE))
    anomalies = (distances / np.float32(usual))[is_natural[held_out]]
    axes = embeddings[is_natural][:, : len(AXES)]
    scores = log_odds(parts[0].p_lens[~is_lens(parts[0].kinds)])
    histograms = {P_LENS: _histogram(scores), ANOMALY: _histogram(anomalies)}
    histograms |= {name: _histogram(values) for name, values in zip(AXES, axes.T, strict=True)}
    return FeatureReference(projection, centre, scaling, objects, usual, histograms)


def axes_of(features: NDArray[np.float32], p_lens: NDArray[np.float32], importance: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the projection `[feature, axis]` of roots of features `[object, feature]` to embeddings.

    Roots count as much as the last layers make of them, and more in the direction in which the log-odds of `p_lens` grow. The
    axes are those on which they are largest then, about zero and not the mean: features are never negative, and zero means that
    a network sees nothing of a kind.

    Args:
        features: Features of the objects.
        p_lens: Score of each object.
        importance: `[feature]`, as `importance_of` returns it.
    """
    weighted = roots(features) * importance
    towards = _growth(weighted, log_odds(p_lens))
    stretch = np.eye(len(towards)) + LENS_WEIGHT * np.outer(towards, towards)
    stretched = weighted @ stretch
    _, directions = np.linalg.eigh(stretched.T @ stretched / len(stretched))
    axes = directions[:, ::-1][:, :N_AXES]
    # The sign of an axis is arbitrary; this one does not depend on the library.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    length = np.sqrt(((stretched @ axes) ** 2).sum(axis=1).mean())
    return np.asarray(importance[:, None] * (stretch @ axes) * LENGTH / length, np.float32)


def importance_of(folder: Path, card: EnsembleCard) -> NDArray[np.float64]:
    """Return how much the last layers make of each feature, `[feature]`: the largest weight for a class less the mean.

    Raises:
        PackageError: a weights file does not fit the card.
    """
    found = []
    for network in card.networks:
        last = cast("nn.Linear", load_network(folder, network)[-1])
        weights = last.weight.detach().numpy().astype(np.float64)
        found.append(np.abs(weights - weights.mean(axis=0)).max(axis=0))
    return np.concatenate(found)


def _growth(values: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vector `[feature]` along which values `[object, feature]` grow with the log-odds, by least squares."""
    about, target = values - values.mean(axis=0), odds - odds.mean()
    # A small ridge, because features that are always zero have no variance.
    scatter = about.T @ about + 1e-3 * len(values) * np.eye(values.shape[1]) * about.var(axis=0).mean()
    slope = np.linalg.solve(scatter, about.T @ target)
    return np.asarray(slope / np.linalg.norm(slope))


def scaling_of(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centre `[axis]` of embeddings `[object, axis]`, and the scaling to a scatter of about 1 in each direction."""
    wide = embeddings.astype(np.float64)
    variances, directions = np.linalg.eigh(np.cov(wide.T))
    scaling = directions / np.sqrt(variances + RIDGE * variances.mean())
    return wide.mean(axis=0).astype(np.float32), np.asarray(scaling, np.float32)


def describe(scorer: Scorer, shards_uris: Sequence[str], progress: Progress) -> list[Described]:
    """Return what an ensemble, loaded with `features`, says of every object of the shards of each folder.

    Objects that cannot be scored are left out.

    Raises:
        TrainingError: there are no shards, a file is not a shard, or the committee sees no object.
    """
    found = [shard_footers(uri) for uri in shards_uris]
    n_objects, n_done = sum(footer.num_rows for footers in found for footer in footers.values()), 0
    folders: list[list[_Batch]] = []
    for footers in found:
        folders.append([])
        for uri, footer in footers.items():
            folders[-1] += _batches(scorer, uri)
            n_done += footer.num_rows
            progress(n_done, n_objects)
    widths = {batch.features.shape[1] for batches in folders for batch in batches if batch.features is not None}
    if not widths:
        raise TrainingError(
            f"{', '.join(shards_uris)}: a reference needs objects that the committee sees, got none of {n_objects}: each "
            "cannot be scored, or is excluded by the first stage"
        )
    return [_together(batches, max(widths)) for batches in folders]


class _Batch(NamedTuple):
    """Scores of a batch of objects."""

    features: NDArray[np.float32] | None
    """`[object, feature]`; None if the committee saw no object of the batch."""
    p_lens: NDArray[np.float32]
    kinds: NDArray[np.str_]


def _batches(scorer: Scorer, uri: str) -> Iterator[_Batch]:
    """Yield the scores of the objects of a shard that can be scored."""
    shard = decoded(uri, read_bytes(uri))
    kinds = np.array(shard.truth["kind"].fill_null("").to_pylist(), np.str_)
    for batch in shard_batches(shard, np.arange(len(shard.object_ids)), scorer.geometry, _BATCH):
        if len(batch.rows):
            scores = scorer.score(batch.stamps)
            yield _Batch(scores.features, scores.p_lens, kinds[batch.rows])


def _together(batches: Sequence[_Batch], n_features: int) -> Described:
    """Return the objects of batches, of which there may be none, as one."""
    none = _Batch(np.empty((0, n_features), np.float32), np.empty(0, np.float32), np.empty(0, np.str_))
    features, p_lens, kinds = zip(none, *batches, strict=True)
    blank = (np.full((len(p), n_features), np.nan, np.float32) for p in p_lens)
    filled = [unseen if seen is None else seen for seen, unseen in zip(features, blank, strict=True)]
    return Described(np.concatenate(filled), np.concatenate(p_lens), np.concatenate(kinds))


def is_lens(kinds: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return which objects are known to be lenses."""
    return ~np.isin(kinds, (NONLENS, ""))


def _chosen(n: int, rng: Generator) -> NDArray[np.bool_]:
    """Choose at most `N_OBJECTS` of `n` objects, and at most half."""
    chosen = np.zeros(n, bool)
    chosen[rng.choice(n, min(N_OBJECTS, n // 2), replace=False)] = True
    return chosen


def _histogram(values: NDArray[np.floating]) -> Histogram:
    """Return the histogram of values in bins that hold about equal numbers of them."""
    edges = np.unique(np.quantile(values.astype(np.float64), np.arange(1, N_BINS) / N_BINS))
    return Histogram(edges, counts_between(edges, values))
