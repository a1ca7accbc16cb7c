"""Read the footers of shards that an ensemble must not know from its training or calibration."""

from scanner.networks.card import EnsembleCard
from training.errors import TrainingError
from training.evaluation.shard_scores import Footers, shard_footers, shards_digest
from training.evaluation.stated_data import same_objects, simulations


def unknown_footers(uri: str, card: EnsembleCard, advice: str) -> Footers:
    """Return the footers of shards after a check that the ensemble was not trained or calibrated on them or their objects.

    Args:
        uri: Folder or `s3://` prefix of the shards.
        card: Card of the ensemble.
        advice: What to do with other shards, such as `evaluate it on`.

    Raises:
        TrainingError: there are no shards, a file is none, or the ensemble was trained or calibrated on some.
    """
    footers = shard_footers(uri)
    if (known := card.training_data.known_data_sets) and shards_digest(footers) in known:
        raise TrainingError(f"{uri}: {card.name} was trained or calibrated on these shards; {advice} others")
    if objects := same_objects(simulations(footers.values()), card.training_data.simulations):
        raise TrainingError(
            f"{uri}: {card.name} was trained or calibrated on objects of this simulation ({objects}); {advice} another seed"
        )
    return footers
