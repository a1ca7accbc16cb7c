"""Charts of completeness: points and intervals stand where their numbers are on the axes."""

import numpy as np
import pytest

from scanner.completeness import EDGES, Sample
from scanner.review.report.completeness_chart import completeness_charts
from tests.scanner.injected_parts import injected_rows

ROWS = injected_rows(120, seed=4)


@pytest.fixture(scope="module")
def sample():
    properties = {name: np.array([row[name] for row in ROWS]) for name in EDGES}
    return Sample(np.array([row["kind"] for row in ROWS]), properties, np.array([row["is_recovered"] for row in ROWS]))


def test_points_stand_at_their_completeness(sample):
    charts = completeness_charts(sample)
    assert [chart.title.split()[0] for chart in charts] == ["Einstein", "S/N"]
    for name, chart in zip(EDGES, charts, strict=True):
        share_of = np.poly1d(np.polyfit([t.at for t in chart.ticks_y], [float(t.text[:-2]) / 100 for t in chart.ticks_y], 1))
        value_of = np.poly1d(np.polyfit([t.at for t in chart.ticks_x], [np.log(float(t.text)) for t in chart.ticks_x], 1))
        assert len(chart.ticks_x) >= 3
        for series in chart.series:
            cells = [cell for cell in sample.cells({name: EDGES[name]}) if cell.kind == series.kind and cell.n]
            assert len(cells) == len(series.points)
            for cell, point in zip(sorted(cells, key=lambda cell: cell.middle[name]), series.points, strict=True):
                found = cell.completeness
                shares = [share_of(y) for y in (point.low, point.y, point.high)]
                assert shares == pytest.approx([found.low, found.value, found.high], abs=0.003)
                assert np.exp(value_of(point.x)) == pytest.approx(cell.middle[name], rel=0.06)
                assert point.text.startswith(f"{found} of {cell.n} injected")


def test_kinds_stand_side_by_side(sample):
    """Points of equal properties do not hide each other, and all lie in the frame."""
    same = Sample(sample.kind, {name: np.full(len(ROWS), 1.0) for name in EDGES}, sample.is_recovered)
    chart = completeness_charts(same)[0]
    xs = [series.points[0].x for series in chart.series]
    assert np.diff(xs).min() > 5
    for chart in completeness_charts(sample):
        points = [point for series in chart.series for point in series.points]
        assert all(
            chart.left < point.x < chart.right and chart.top <= point.high <= point.low <= chart.bottom for point in points
        )
        assert np.diff([tick.at for tick in chart.ticks_x]).min() >= 44


def test_a_line_joins_the_points_of_a_kind(sample):
    for series in completeness_charts(sample)[0].series:
        assert series.line == "M" + "L".join(f"{point.x} {point.y}" for point in series.points)
        assert [point.x for point in series.points] == sorted(point.x for point in series.points)
