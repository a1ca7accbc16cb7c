"""Tests of the tables, against counts of the made objects and the paper's own numbers."""

import numpy as np
import pytest

from scanner.purity import ValueWithInterval
from tests.training.reproduction.made import OURS, made_sample
from training.evaluation.metrics import f_beta
from training.reproduction import paper, tables

COUNTS = {"tp": 30, "fn": 20, "fp": 5, "tn": 45}


@pytest.fixture(scope="module")
def table_5(few_resamples):
    return tables.table_5(made_sample(OURS), [OURS], np.random.default_rng(0))


def test_architectures_are_the_papers():
    for architecture in tables.architectures():
        assert architecture.total == architecture.paper_total
        for layer in architecture.layers:
            assert (layer.shape, layer.n_parameters) == (layer.paper_shape, layer.paper_parameters)


def test_metrics_at_a_share_are_those_of_counts():
    is_lens = np.repeat([True, True, False, False], list(COUNTS.values()))
    p = np.repeat([0.9, 0.1, 0.5, 0.4999], list(COUNTS.values()))
    found = tables.at_share(p, is_lens, 0.5)
    assert found["precision"] == pytest.approx(30 / 35)
    assert found["recall"] == pytest.approx(30 / 50)
    assert found["accuracy"] == pytest.approx(75 / 100)
    assert found["F 0.03"] == pytest.approx(f_beta(30 / 35, 30 / 50))


def test_metrics_at_another_share_are_those_of_repeated_lenses():
    is_lens = np.repeat([True, True, False, False], list(COUNTS.values()))
    p = np.repeat([0.9, 0.1, 0.5, 0.4999], list(COUNTS.values()))
    more = np.concatenate([np.tile(p[is_lens], 3), p[~is_lens]])
    is_more = np.repeat([True, False], [150, 50])
    found, expected = tables.at_share(p, is_lens, 0.75), tables.at_share(more, is_more, 0.75)
    assert found == pytest.approx(expected)
    assert found["precision"] == pytest.approx(90 / 95)
    assert found["accuracy"] == pytest.approx((90 + 45) / 200)


def test_nothing_called_a_lens_has_no_precision():
    assert tables.at_share(np.zeros(4), np.array([True, True, False, False]), 0.5)["precision"] == 0


def test_table_5_counts_single_lenses_and_non_lenses(table_5):
    table, sample = table_5[0], made_sample(OURS)
    p = sample.outputs(OURS)["OU-200"]
    recall = np.mean(p[sample.kinds == "single"] >= 0.5)
    rows = {row.what: row for row in table.rows}
    assert rows["OU-200", "recall"].ours[OURS].value == pytest.approx(recall)
    assert rows["OU-200", "recall"].paper == 0.4423
    assert len(rows) == 15
    assert all(row.ours[OURS].low <= row.ours[OURS].value <= row.ours[OURS].high + 0.1 for row in table.rows)


def test_precision_is_that_of_the_papers_share(table_5):
    sample = made_sample(OURS)
    p = sample.outputs(OURS)["OU-66"]
    recall, false = (np.mean(p[sample.kinds == kind] >= 0.5) for kind in ("single", "nonlens"))
    row = next(row for row in table_5[0].rows if row.what == ("OU-66", "precision"))
    assert tables.implied_share() == pytest.approx(0.85, abs=0.001)
    assert row.ours[OURS].value == pytest.approx(0.85 * recall / (0.85 * recall + 0.15 * false), abs=1e-3)


def test_t_sne_sees_half_of_the_objects(table_5):
    sample = made_sample(OURS)
    n = int(np.isin(sample.kinds, ("nonlens", "single")).sum())
    grid = table_5[1][OURS]
    assert len(grid.outputs) == len(tables.reference_lenses(sample)) == -(-n // 2)
    is_lens = sample.is_lens[np.isin(sample.kinds, ("nonlens", "single"))]
    assert (tables.reference_lenses(sample) == is_lens[::2]).all()


def test_table_6_counts_each_kind():
    sample = made_sample(OURS)
    for row in tables.table_6(sample, [OURS]).rows:
        data, network = row.what
        kind = {"test data": "single", "arcs": "compound_arc", "double rings": "double_ring"}.get(data)
        if kind is None:
            assert row.ours == {}
            continue
        p = [value for value, of in zip(sample.outputs(OURS)[network], sample.kinds, strict=True) if of == kind]
        assert row.ours[OURS].value == pytest.approx(sum(value >= 0.5 for value in p) / len(p))
        assert row.paper == paper.TABLE_6[data][network]


def test_table_7_puts_known_lenses_beside_the_papers():
    value = ValueWithInterval(value=0.5, low=0.4, high=0.6)
    known = {name: {OURS: {"OU-66": value, "OU-200": value}} for name in ("J0946+1006", "my lens")}
    rows = {row.what: row for row in tables.table_7(known, [OURS]).rows}
    assert rows["SDSS J0946+1006", "OU-66"].ours == {OURS: value}
    assert rows["SDSS J0946+1006", "OU-66"].paper == 0.6873
    assert rows["SDSS J1148+1930", "OU-66"].ours == {}
    assert rows["my lens", "OU-200"].paper is None
    assert len(rows) == 10


@pytest.mark.parametrize(
    ("names", "of_the_paper"),
    [
        (("J0946+1006 F160W", "J0946+1006 F814W"), "J0946+1006 F160W"),
        (("J0946+1006 F160W", "SDSS J0946+1006"), "SDSS J0946+1006"),
        (("SDSS J0946+1006", "J0946+1006 F160W"), "SDSS J0946+1006"),
    ],
)
def test_every_image_of_a_lens_has_its_rows(names, of_the_paper):
    values = {name: ValueWithInterval(value=p, low=p, high=p) for name, p in zip(names, (0.2, 0.7), strict=True)}
    known = {name: {OURS: {"OU-66": value, "OU-200": value}} for name, value in values.items()}
    rows = {row.what: row for row in tables.table_7(known, [OURS]).rows}
    (other,) = set(names) - {of_the_paper}
    assert rows["SDSS J0946+1006", "OU-66"].ours == {OURS: values[of_the_paper]}
    assert rows[other, "OU-66"].ours == {OURS: values[other]}
    assert rows[other, "OU-66"].paper is None
    assert len(rows) == 10
