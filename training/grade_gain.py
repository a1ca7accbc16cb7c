"""The gain of training with grades: the objects that people inspect for each lens, before and after, on objects held out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.frozen import Frozen
from infra.progress import Progress
from infra.store.storage import list_files
from scanner.networks.cascade import Scorer
from scanner.purity import ValueWithInterval
from scanner.sources.shards import Shard
from training.config import TrainConfig
from training.dataset import Dataset, group_ids_of
from training.evaluation.inspected import SHARES_FOUND, inspected_per_lens
from training.evaluation.metrics import auroc, recall_at_false_positives
from training.evaluation.shard_scores import score_shards, shard_footers
from training.graded import GradedShards

FALSE_POSITIVE_RATE = 0.01


class Separation(Frozen):
    """Figures of how well scores tell lenses from other objects."""

    auroc: float
    recall_at_1_percent: float
    """Share of the lenses above the threshold that 1 % of the others exceed."""
    inspected_per_lens: dict[str, ValueWithInterval]
    """Objects above a threshold per lens above it, by the share of the lenses that are above it; with 95 % limits."""


class Compared(Frozen):
    """Some objects, and the separation of their lenses by the ensemble before and after training."""

    n_lenses: int
    n_others: int
    before: Separation | None
    """None where the objects hold no lens, or lenses alone."""
    after: Separation | None

    @property
    def n_objects(self) -> int:
        return self.n_lenses + self.n_others


class GradeGain(Frozen):
    """The same two ensembles on graded objects held out of training, and on the simulated objects of the test split."""

    graded: Compared
    simulated: Compared


def separation(p_lens: NDArray[np.float64], is_lens: NDArray[np.bool_]) -> Separation | None:
    """Return the separation of lenses `[object]` from others in this very mixture; None if one of the two is absent."""
    if not is_lens.any() or is_lens.all():
        return None
    share, others = float(is_lens.mean()), p_lens[~is_lens]
    return Separation(
        auroc=auroc(p_lens, is_lens),
        recall_at_1_percent=recall_at_false_positives(p_lens, is_lens, int(FALSE_POSITIVE_RATE * np.sum(~is_lens))),
        inspected_per_lens={
            f"{found:g}": inspected_per_lens(p_lens[is_lens], others, len(others), share, found) for found in SHARES_FOUND
        },
    )


def grade_gain(
    before: Scorer, after: Scorer, graded: Path, shards_uri: str, config: TrainConfig, progress: Progress
) -> GradeGain:
    """Score the graded objects that were held out, and the test split of the simulated ones, with both ensembles.

    Args:
        before: Ensemble that training started from.
        after: Ensemble that was trained.
        graded: Folder of `training.graded`.
        shards_uri: Shards of the simulated objects.
        config: Configuration of the training.
        progress: Called with (objects done, objects in all) of each of the four scorings in turn.

    Raises:
        TrainingError: a file is not a shard.
    """

    def in_test_split(shard: Shard) -> NDArray[np.int64]:
        groups = group_ids_of(shard)
        dataset = Dataset({}, np.zeros(len(groups), np.int8), groups, "")
        return dataset.rows("test", config.validation_fraction, config.test_fraction)

    def compared(uri: str, *, is_split: bool) -> Compared:
        if not list_files(uri, ".parquet"):
            return Compared(n_lenses=0, n_others=0, before=None, after=None)
        footers, chosen = shard_footers(uri), in_test_split if is_split else None
        tables = [score_shards(footers, scorer, progress, chosen) for scorer in (before, after)]
        # An object that one of the two cannot score is left out of both.
        is_scored = np.all([np.array(scores["status"].to_pylist()) == "scored" for scores, _ in tables], axis=0)
        is_lens = np.array(tables[0][1]["kind"].to_pylist())[is_scored] != "nonlens"
        p_before, p_after = (_p_lens(scores)[is_scored] for scores, _ in tables)
        return Compared(
            n_lenses=int(is_lens.sum()),
            n_others=int(np.sum(~is_lens)),
            before=separation(p_before, is_lens),
            after=separation(p_after, is_lens),
        )

    held_out = str(GradedShards(graded).held_out)
    return GradeGain(graded=compared(held_out, is_split=False), simulated=compared(shards_uri, is_split=True))


def _p_lens(scores: pa.Table) -> NDArray[np.float64]:
    return np.asarray(scores["p_lens"].to_numpy(), np.float64)
