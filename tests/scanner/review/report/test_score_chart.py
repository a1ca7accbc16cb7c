"""The histogram of scores: bars stand where their scores are on the axis, and are as high as their numbers."""

import numpy as np
import pytest

from scanner.review.report.score_chart import score_chart
from scanner.review.report.tally import Tally
from tests.scanner.catalogue_parts import scores


def chart_of(p_lens, thresholds=(0.001,)):
    tally = Tally()
    tally.add(scores(range(len(p_lens)), p_lens))
    return score_chart(tally.scores, thresholds)


def value_of(text):
    """Return the log-odds that the text of a tick says, in powers of ten."""
    text = text.translate(
        str.maketrans("\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u2212", "-0123456789-")
    )
    if text.startswith("1-10"):
        return -float(text[4:])
    if text.startswith("10-"):
        return float(text[2:])
    return float(np.log10(float(text) / (1 - float(text))))


def test_bars_stand_at_their_scores():
    """Bin i of some holds i scores in its middle, so the numbers tell the bars apart."""
    middles = {n: -7 + 0.75 * n + 0.125 for n in range(1, 13)}
    p_lens = [1 / (1 + 10**-dex) for n, dex in middles.items() for _ in range(n)]
    chart = chart_of(p_lens)
    xs, dex = np.array([(tick.at, value_of(tick.text)) for tick in chart.ticks_x]).T
    slope, start = np.polyfit(xs, dex, 1)
    assert np.abs(slope * xs + start - dex).max() < 0.02
    found = {int(bar.text.split()[0]): slope * (bar.x + bar.width / 2) + start for bar in chart.bars}
    assert found == pytest.approx(middles, abs=0.03)
    widths = [bar.width for bar in chart.bars]
    assert 0.2 < slope * min(widths) <= slope * max(widths) < 0.25


def test_heights_are_logarithms():
    chart = chart_of([0.02] * 100 + [0.2] * 10 + [0.6])
    heights = {int(bar.text.split()[0]): bar for bar in chart.bars}
    ticks = {int(tick.text): tick.at for tick in chart.ticks_y}
    assert {n: bar.y for n, bar in heights.items()} == {n: ticks[n] for n in (1, 10, 100)}
    assert ticks[1] - ticks[10] == pytest.approx(ticks[10] - ticks[100], abs=0.2)
    assert all(bar.y + bar.height == pytest.approx(chart.bottom) for bar in chart.bars)


def test_candidates_are_marked_from_the_lowest_threshold():
    chart = chart_of([1e-6, 1e-4, 0.0005, 0.002, 0.2, 0.9], (0.1, 0.001))
    assert [tick.text for tick in chart.thresholds] == ["0.1", "0.001"]
    least = min(tick.at for tick in chart.thresholds)
    for bar in chart.bars:
        assert bar.is_candidate == (bar.x + bar.width / 2 >= least)
    assert [bar.is_candidate for bar in chart.bars] == [False, False, False, True, True, True]


def test_extreme_scores_stay_in_the_frame():
    chart = chart_of([0.0, 1.0, 1 - 2**-24, 1e-30], (0.0, 1.0))
    assert chart.thresholds == ()
    assert all(chart.left <= bar.x and bar.x + bar.width <= chart.right + 1 for bar in chart.bars)
    assert all(chart.top <= bar.y < chart.bottom for bar in chart.bars)
    assert len(chart.ticks_x) < 14


def test_no_score_is_no_chart():
    assert chart_of([None, None]) is None
