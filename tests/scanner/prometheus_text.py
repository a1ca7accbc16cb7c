"""Prometheus' text, as its own parser reads it."""

from prometheus_client.parser import text_string_to_metric_families


def parsed(text):
    """Return `{sample name: [(labels, value), ...]}` of a text, and the type and help of each family."""
    families = list(text_string_to_metric_families(text))
    samples = {}
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples, {family.name: (family.type, family.documentation) for family in families}
