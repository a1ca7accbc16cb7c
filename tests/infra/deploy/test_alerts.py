"""Alerts fire in the cases that they are for, and only then, with counters that do not exist before they count."""

import pytest
import yaml

from tests.infra.deploy.documents import DEPLOY
from tests.infra.deploy.promql import NAME, evaluate

RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
NIGHT = "2026-11-24"
SCRAPE_S, MINUTE_S, HOUR_S = 15, 60, 3600
NOW_S = 100_000


def series(name, value, since_s, until_s=NOW_S, **labels):
    """Return a time series with a sample at each scrape; `value` is a number or a function of seconds since its start."""
    times = range(since_s, until_s + 1, SCRAPE_S)
    samples = [(time_s, value(time_s - since_s) if callable(value) else value) for time_s in times]
    return {NAME: name, "night": NIGHT, **labels}, samples


def fires(name, *found, at_s=NOW_S):
    """Return whether the expression of an alert has a value for the night."""
    values = evaluate(RULES[name]["expr"], found, at_s)
    assert values.keys() <= {frozenset({("night", NIGHT)})}
    return bool(values)


@pytest.fixture(params=["ray_lensscan_", "lensscan_"])
def of(request):
    """Return a function that makes a time series of a metric, as Ray or the text file names it."""
    return lambda name, *args, **labels: series(f"{request.param}{name}", *args, **labels)


@pytest.mark.parametrize(
    ("n_scored", "n_rejected", "expected"), [(None, 50, True), (94, 6, True), (96, 4, False), (9, None, False)]
)
def test_many_rejected_rows_fires_above_five_percent(of, n_scored, n_rejected, expected):
    scored = [of("rows_scored_total", n_scored, NOW_S - HOUR_S)] if n_scored else []
    codes = {"blank": n_rejected // 2, "edge": n_rejected - n_rejected // 2} if n_rejected else {}
    rejected = [of("rows_rejected_total", n, NOW_S - HOUR_S, code=code) for code, n in codes.items()]
    assert fires("ManyRejectedRows", *scored, *rejected) is expected


@pytest.mark.parametrize(
    ("n_at_once", "n_earlier", "expected"),
    [(16, 0, True), (4, 0, True), (3, 0, False), (0, 16, False), (2, 16, False), (4, 16, True)],
)
def test_dead_workers_count_when_their_counter_appears(of, n_at_once, n_earlier, expected):
    """A counter of a driver that died earlier stays beside that of the driver that goes on."""
    earlier = [of("worker_deaths_total", n_earlier, NOW_S - 2 * HOUR_S, instance="old")] if n_earlier else []
    now = [of("worker_deaths_total", n_at_once, NOW_S - 10 * MINUTE_S, instance="new")] if n_at_once else []
    assert fires("WorkersDie", *earlier, *now) is expected


def test_dead_workers_count_on_an_old_counter(of):
    deaths = of("worker_deaths_total", lambda age_s: 10 + 4 * (age_s > 2.5 * HOUR_S), NOW_S - 3 * HOUR_S)
    assert fires("WorkersDie", deaths)
    assert not fires("WorkersDie", deaths, at_s=NOW_S - HOUR_S)


@pytest.mark.parametrize(
    ("progress", "age_s", "expected"),
    [
        pytest.param(0.0, HOUR_S, True, id="nothing was committed"),
        pytest.param(0.5, HOUR_S, True, id="the rest waits"),
        pytest.param(1.0, HOUR_S, False, id="complete"),
        pytest.param(0.0, 25 * MINUTE_S, False, id="just begun"),
        pytest.param(lambda age_s: age_s // (20 * MINUTE_S) / 100, 2 * HOUR_S, False, id="slow"),
    ],
)
def test_a_night_without_rows_is_told_from_a_slow_one(of, progress, age_s, expected):
    assert fires("NoRows", of("night_progress", progress, NOW_S - age_s)) is expected


def test_rejected_rows_alone_are_rows(of):
    """Progress counts them; the counter of scored rows does not exist in such a night."""
    progress = of("night_progress", lambda age_s: age_s / (4 * HOUR_S), NOW_S - 2 * HOUR_S)
    assert not fires("NoRows", progress, of("rows_rejected_total", lambda age_s: age_s, NOW_S - 2 * HOUR_S, code="blank"))
