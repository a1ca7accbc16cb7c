"""The report of the simulated survey, on few tiles, and the committed report beside its data."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks.survey_scale import (
    DATA,
    FAILURES,
    FAST_CORE_S,
    FIGURE,
    N_TILES,
    NO_FAILURES,
    REPORT,
    SLOW_CORE_S,
    STORES_GB_S,
    TILE_BYTES,
    WORKERS,
    draw,
    markdown,
    rows_of,
    saturation,
    with_failures,
)

FEW_TILES = 2000


@pytest.fixture(scope="module")
def rows():
    return rows_of(70.0, [NO_FAILURES], STORES_GB_S, FEW_TILES)


def test_the_store_saturates_where_its_rate_is_used_up(rows):
    """Fewer workers score all the time, but for the start and the last round; with more of them the store is full."""
    for row in rows:
        full = saturation(70.0, row.store_gb_s)
        if row.n_workers > 1.5 * full:
            expected = FEW_TILES * TILE_BYTES / (row.store_gb_s * 1e9)
            assert expected < row.scanned.wall_s < expected + 2 * 70.0
        elif row.n_workers < 0.7 * full:
            rounds = FEW_TILES / row.n_workers
            assert rounds * 70.0 < row.scanned.wall_s < (rounds + 3) * 70.0 + 2 * TILE_BYTES / 0.2e9


def test_cores_cost_what_they_are_paid_for(rows):
    for row in rows:
        assert row.usd == pytest.approx(0.04 * row.n_workers * row.scanned.wall_s / 3600)
        assert row.busy_share == pytest.approx(FEW_TILES * 70.0 / (row.n_workers * row.scanned.wall_s), rel=0.02)


def test_the_report_has_every_scan(rows):
    failing = [row for row in rows if row.n_workers in {64, 2000}]
    text = markdown(rows, rows, failing)
    assert text.count(" h, ") == 2 * len(WORKERS) * len(STORES_GB_S)
    assert text.count("| none |") == len(failing)
    assert "{" not in text


def test_the_figure_has_a_line_for_each_store(rows):
    axes = draw([("a", rows), ("b", rows)]).axes
    assert [len(axis.lines) for axis in axes] == [len(STORES_GB_S) + 1] * 2
    assert {text.get_text() for text in axes[1].get_legend().get_texts()} >= {f"store of {store} GB/s" for store in STORES_GB_S}


def test_failures_cost_little_time():
    scans = with_failures(SLOW_CORE_S, 100)
    assert [row.n_workers for row in scans] == [64] * 3 + [2000] * 3
    for at in (0, 3):
        ideal, rare, often = (row.scanned for row in scans[at : at + 3])
        assert ideal.wall_s < rare.wall_s < often.wall_s < 1.15 * ideal.wall_s
        assert (ideal.n_deaths, ideal.n_repeated) == (0, 0)


def test_the_committed_report_is_that_of_its_data():
    scans = json.loads(DATA.read_text(encoding="utf-8"))
    assert len(scans) == 2 * len(WORKERS) * len(STORES_GB_S) + 2 * len(FAILURES)
    text = REPORT.read_text(encoding="utf-8")
    cells = [float(hours) for hours in re.findall(r"([\d.]+) h, \d+%", text)]
    ideal = [scan for scan in scans if scan["failures"] == "none"][: len(cells)]
    by_place = {(scan["core_s_per_tile"], scan["n_workers"], scan["store_gb_s"]): scan["wall_hours"] for scan in ideal}
    costs = (round(SLOW_CORE_S, 2), round(FAST_CORE_S, 2))
    expected = [by_place[cost, n, store] for cost in costs for n in WORKERS for store in STORES_GB_S]
    assert cells == pytest.approx(expected, abs=0.051)
    assert all(scan["read_tb"] >= N_TILES * TILE_BYTES / 1e12 - 0.01 for scan in scans)


def test_the_committed_figure_is_a_drawing_of_moderate_size():
    assert FIGURE.stat().st_size < 300_000
    assert ET.parse(FIGURE).getroot().tag.endswith("svg")  # noqa: S314 - our own file
