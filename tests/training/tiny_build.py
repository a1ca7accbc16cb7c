"""The configuration of a build that takes seconds."""

from scanner.networks.architectures import PAPER_NETWORKS
from training.config import TrainConfig

OU_H, OU_66 = PAPER_NETWORKS[2], PAPER_NETWORKS[5]
BUILD_CONFIG = TrainConfig(
    epochs=4,
    batch_size=8,
    networks=(OU_H, OU_66),
    learning_rate=1e-3,
    validation_fraction=0.35,
    test_fraction=0.35,
    bfloat16=False,
)
"""Two networks that read 66 pixels; large held-out splits, so that the combiner has enough objects."""
N_BOOTSTRAP = 20
"""Number of resamples of its build."""
