"""A scan with a cascade finds what the committee would find among the rows that the exact first stage passes."""

import numpy as np
import pytest

from scanner.catalogue.outcomes import check_outcomes
from scanner.catalogue.plan import ScanConfig
from scanner.networks.package import load_first_stage, load_package
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import open_scanner
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import write_cascade
from tests.scanner.rounding import sweep_by_rounding

N = 72


@pytest.fixture(scope="module")
def stamps():
    return synthetic_stamps(MER_10, N)


@pytest.fixture(scope="module")
def limit(stamps, tmp_path_factory):
    """Return the median of the first stage's scores, so that half of the rows pass."""
    folder = tmp_path_factory.mktemp("packs") / "pack"
    write_cascade(folder)
    return float(np.median(load_first_stage(folder).score(stamps).p_lens))


@pytest.fixture
def package(limit, tmp_path):
    write_cascade(tmp_path / "pack", limit)
    return tmp_path / "pack"


def scored(package, stamps, **config):
    settings = {"candidate_threshold": 0.5, "engine": "torch", "batch_size": 16, **config}
    return score_stamps(stamps, open_scanner(package, ScanConfig(**settings)))


def test_rows_have_the_score_of_the_stage_that_saw_them(package, stamps, limit):
    table = scored(package, stamps)
    check_outcomes(table)
    first, committee = load_first_stage(package).score(stamps), load_package(package).score(stamps)
    passes = first.p_lens >= np.float32(limit)
    assert 0 < passes.sum() < N
    assert table["stage"].to_pylist() == np.where(passes, 2, 1).tolist()
    # Torch rounds the same object differently in another batch.
    np.testing.assert_allclose(table["p_lens"].to_numpy(), np.where(passes, committee.p_lens, first.p_lens), rtol=1e-5)
    np.testing.assert_allclose(table["p_light"].to_numpy(), first.p_networks["light"], rtol=1e-5)
    assert table["p_A"].is_null().to_pylist() == (~passes).tolist()
    assert table["disagreement"].is_null().to_pylist() == (~passes).tolist()
    assert set(table["precision"].to_pylist()) == {"float32"}


def test_the_precision_of_the_first_stage_changes_no_candidate(package, stamps, limit, monkeypatch):
    exact = scored(package, stamps, sweep=False)
    sweep_by_rounding(monkeypatch)
    swept = scored(package, stamps)
    check_outcomes(swept)
    passes = np.array(exact["stage"]) == 2
    assert swept["stage"].to_pylist() == exact["stage"].to_pylist()
    assert swept.filter(passes).equals(exact.filter(passes))
    precision = np.array(swept["precision"].to_pylist())
    assert {"bfloat16", "float32"} == set(precision[~passes])


def test_scores_do_not_depend_on_the_batch_size(package, stamps):
    small, large = (scored(package, stamps, batch_size=size, engine="openvino") for size in (7, 64))
    assert small.equals(large)


def test_a_lower_threshold_sends_more_rows_to_the_committee(package, stamps, limit):
    lower = limit / 2
    table = scored(package, stamps, candidate_threshold=lower)
    first = load_first_stage(package).score(stamps)
    assert table["stage"].to_pylist() == np.where(first.p_lens >= np.float32(lower), 2, 1).tolist()
    is_candidate = table["p_lens"].to_numpy() >= lower
    assert set(np.array(table["stage"])[is_candidate]) == {2}


def test_maps_are_those_of_the_committee(package, stamps):
    table = scored(package, stamps, candidate_threshold=1e-6, maps_per_unit=2)
    mapped = table.filter(table["map_guided"].is_valid())
    assert mapped.num_rows == 2
    assert set(mapped["stage"].to_pylist()) == {2}
    assert min(mapped["p_lens"].to_pylist()) >= sorted(table["p_lens"].to_pylist())[-2]
