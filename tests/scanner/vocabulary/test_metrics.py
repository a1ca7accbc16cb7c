"""The table of metrics follows the customs of Prometheus."""

import pytest

from scanner.vocabulary.metrics import METRICS, MetricKind


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_customs_of_prometheus(metric):
    assert metric.name.startswith("lensscan_")
    assert metric.sample_name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert "night" not in metric.tags
    assert "tile" not in metric.tags
    assert metric.description.endswith(".")


def test_the_table_holds_each_metric_once():
    assert len({metric.name for metric in METRICS}) == len(METRICS) == 10
