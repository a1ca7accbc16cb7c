"""Fit the reference of an ensemble to shards: axes of embeddings, objects to compare with, and histograms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from infra.progress import Progress
from infra.store.storage import read_bytes
from scanner.networks.cascade import Scorer
from scanner.networks.feature_reference import (
    ANOMALY,
    AXES,
    N_AXES,
    P_LENS,
    STEP,
    USUAL_SHARE,
    FeatureReference,
    Histogram,
    counts_between,
    embedded,
)
from scanner.networks.log_odds import log_odds
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import decode_shard
from training.errors import TrainingError
from training.evaluation.shard_scores import shard_footers

N_OBJECTS = 2048
"""Largest number of objects that embeddings are compared with: their distances take 1 % of the time of the committee."""
N_BINS = 10
"""Bins of a histogram: tenths of the reference, as usual for the stability index."""
NONLENS = "nonlens"
_BATCH, _SEED = 64, 1
RIDGE = 1.0
"""Part of the mean scatter that is added to each axis before it is scaled to 1: axes of noise must not decide distances."""


@dataclass(frozen=True)
class Described:
    """What the networks say of the objects of some shards."""

    features: NDArray[np.float32]
    """`[object, feature]`, NaN where the committee did not see the object."""
    p_lens: NDArray[np.float32]
    kinds: NDArray[np.str_]
    """Kind of each object; an empty text where the shards do not know it."""

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.features).any(axis=1))


def fit_reference(parts: Sequence[Described]) -> FeatureReference:
    """Return the reference of objects that an ensemble has scored.

    The axes are those on which the kinds differ most from each other, compared with the scatter within a kind.

    Args:
        parts: Objects of several origins. Those of the first that are no lenses make the histograms, because nearly all objects
            of a night are no lenses.

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
    centre, projection = axes_of(features, kinds)
    embeddings = embedded(features, centre, projection)
    chosen = _chosen(len(features), rng)
    held_out = ~chosen
    bare = FeatureReference(centre, projection, np.round(embeddings[chosen] / STEP).astype(np.int16), 1.0, {})
    distances = bare.anomalies(embeddings[held_out])
    usual = float(np.quantile(distances, USUAL_SHARE))
    anomalies = (distances / np.float32(usual))[is_natural[held_out]]
    axes = embeddings[is_natural][:, : len(AXES)]
    scores = log_odds(parts[0].p_lens[~is_lens(parts[0].kinds)])
    histograms = {P_LENS: _histogram(scores), ANOMALY: _histogram(anomalies)}
    histograms |= {name: _histogram(values) for name, values in zip(AXES, axes.T, strict=True)}
    return FeatureReference(centre, projection, bare.objects, usual, histograms)


def axes_of(features: NDArray[np.float32], kinds: NDArray[np.str_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centre `[feature]` and the projection `[feature, axis]` of features `[object, feature]`.

    Features are scaled so that the scatter within a kind is about 1 in every direction; the axes are the principal ones of all
    objects after that, so the first separate the kinds.
    """
    centre = features.mean(axis=0, dtype=np.float64)
    about = features - centre
    within = np.zeros((features.shape[1],) * 2)
    for kind in np.unique(kinds):
        own = about[kinds == kind]
        within += (own - own.mean(axis=0)).T @ (own - own.mean(axis=0)) / len(features)
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    variances, directions = np.linalg.eigh(within)
    scaling = directions / np.sqrt(variances)
    scaled = about @ scaling
    spread, axes = np.linalg.eigh(scaled.T @ scaled / len(features))
    projection = scaling @ axes[:, spread.argsort()[::-1][:N_AXES]]
    # The sign of an axis is arbitrary; this one does not depend on the library.
    signs = np.sign(projection[np.abs(projection).argmax(axis=0), np.arange(projection.shape[1])])
    return centre.astype(np.float32), np.asarray(projection * signs, np.float32)


def describe(scorer: Scorer, shards_uris: Sequence[str], progress: Progress) -> list[Described]:
    """Return what an ensemble, loaded with `features`, says of every object of the shards of each folder.

    Raises:
        TrainingError: there are no shards, or a file is not a shard.
    """
    found = [shard_footers(uri) for uri in shards_uris]
    n_objects, n_done, parts = sum(footer.num_rows for footers in found for footer in footers.values()), 0, []
    for footers in found:
        described = []
        for uri, footer in footers.items():
            described.append(_described(scorer, uri))
            n_done += footer.num_rows
            progress(n_done, n_objects)
        features, p_lens, kinds = (np.concatenate(values) for values in zip(*described, strict=True))
        parts.append(Described(features, p_lens, kinds))
    return parts


def _described(scorer: Scorer, uri: str) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.str_]]:
    """Return features, `p_lens` and kinds of the objects of a shard that can be scored."""
    try:
        shard = decode_shard(read_bytes(uri))
    except ValueError as error:
        raise TrainingError(f"{uri}: {error}") from error
    batches = shard_batches(shard, np.arange(len(shard.object_ids)), scorer.geometry, _BATCH)
    found = [(batch.rows, scorer.score(batch.stamps)) for batch in batches if len(batch.rows)]
    kinds = np.array(shard.truth["kind"].fill_null("").to_pylist(), np.str_)
    n_features = next((scores.features.shape[1] for _, scores in found if scores.features is not None), 0)
    # The committee may have seen no object of a batch.
    blank = (np.full((len(rows), n_features), np.nan, np.float32) for rows, _ in found)
    features = [none if scores.features is None else scores.features for none, (_, scores) in zip(blank, found, strict=True)]
    rows = np.concatenate([rows for rows, _ in found])
    return np.concatenate(features), np.concatenate([scores.p_lens for _, scores in found]), kinds[rows]


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
