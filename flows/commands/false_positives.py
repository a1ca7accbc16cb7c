"""`lensscan models false-positives`: copy the non-lenses that an ensemble takes for lenses."""

from flows.ensembles import chosen_package
from infra.progress import Progress
from infra.settings import Settings
from scanner.networks.engines import resolve_engine
from scanner.networks.package import load_scorer
from training.false_positives import FalsePositives, copy_false_positives


def copy_for_training(
    shards_uri: str, out_uri: str, ensemble: str | None, above: float | None, progress: Progress
) -> FalsePositives:
    """Copy the non-lenses with `p_lens` of at least `above`, by default the ensemble's own threshold.

    Raises:
        TrainingError: the shards cannot be used.
        PackageError: the ensemble cannot be used.
    """
    scorer = load_scorer(chosen_package(ensemble), resolve_engine(Settings.read().engine))
    threshold = scorer.card.candidate_threshold if above is None else above
    return copy_false_positives(scorer, shards_uri, out_uri, threshold, progress)
