"""The metrics that runs report, with the tags of each."""

from scanner.vocabulary.metrics import METRICS

NIGHT_TAG = "night"


def declared():
    """Return the tags of each metric by the name of its samples, as the program declares them."""
    return {metric.sample_name: set(metric.all_tags) for metric in METRICS}
