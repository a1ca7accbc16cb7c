"""A scan with an early exit finds the same candidates whatever the precision of its sweep, and measures the rounding there."""

from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest

from scanner.catalogue.outcomes import check_outcomes
from scanner.catalogue.plan import ScanConfig
from scanner.networks.log_odds import log_odds
from scanner.networks.package import load_scorer
from scanner.scan import scoring, sweep
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import open_scanner
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import early_exit, scanned_stamps, write_cascade
from tests.scanner.feature_references import drawn_reference, give_reference
from tests.scanner.rounding import sweep_by_rounding

N = 72
FIRST_LIMIT = 1e-5
MARGIN = 0.05


@pytest.fixture(scope="module")
def stamps():
    return synthetic_stamps(MER_10, N)


@pytest.fixture(scope="module")
def package(stamps, tmp_path_factory):
    """Return a package whose first stage passes nearly every row, and whose early exit passes half."""
    folder = tmp_path_factory.mktemp("packs") / "pack"
    write_cascade(folder, FIRST_LIMIT, early_exit(0.5))
    limit = float(np.nanmedian(load_scorer(folder).score(stamps).p_exit))
    write_cascade(folder, FIRST_LIMIT, early_exit(limit))
    return folder


def threshold_of(package, stamps):
    """Return a threshold for candidates above the exit's limit that some of the rows of the committee reach."""
    exact = load_scorer(package).score(stamps)
    of_committee = np.sort(exact.p_lens[exact.stage == 2])
    return float(of_committee[of_committee >= load_scorer(package).early_exit.exclude_below][3])


def test_rows_have_the_score_of_the_network_that_excluded_them(package, stamps):
    table = scanned_stamps(package, stamps, sweep=False)
    check_outcomes(table)
    scores = load_scorer(package).score(stamps)
    assert 20 < (scores.stage == 2).sum() < N - 20
    assert table["stage"].to_pylist() == scores.stage.tolist()
    np.testing.assert_allclose(table["p_lens"].to_numpy(), scores.p_lens, rtol=1e-5)
    assert table["p_A"].is_null().to_pylist() == np.isnan(scores.p_exit).tolist()
    assert table["p_B"].is_null().to_pylist() == (scores.stage == 1).tolist()
    assert table["disagreement"].is_null().to_pylist() == (scores.stage == 1).tolist()


def test_the_precision_of_the_sweep_changes_no_candidate(package, stamps, monkeypatch):
    threshold = threshold_of(package, stamps)
    # Torch rounds the same object differently in another batch.
    settings = {"candidate_threshold": threshold, "engine": "openvino"}
    exact = scanned_stamps(package, stamps, sweep=False, **settings)
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", MARGIN)
    swept = scanned_stamps(package, stamps, **settings)
    check_outcomes(swept)
    is_candidate = exact["p_lens"].to_numpy() >= threshold
    assert is_candidate.sum() > 3
    assert swept.filter(is_candidate).equals(exact.filter(is_candidate))
    assert ((swept["p_lens"].to_numpy() >= threshold) == is_candidate).all()
    seen = np.array(exact["stage"].to_pylist()) == 2
    # The rounded exit lets a few more rows through, never fewer.
    assert set(np.array(swept["stage"].to_pylist())[seen]) == {2}
    at_exit = ~seen & exact["p_A"].is_valid().to_numpy() & swept["p_B"].is_null().to_numpy()
    precision, p, p_exact = (np.array(of.to_pylist()) for of in (swept["precision"], swept["p_lens"], exact["p_lens"]))
    is_rounded = at_exit & (precision == "bfloat16")
    assert is_rounded.sum() > 10
    assert 0 < np.abs(log_odds(p[is_rounded]) - log_odds(p_exact[is_rounded])).max() < 0.5
    # Rows that the rounded exit let through, and that could be candidates, have the exact exit's score.
    confirmed = at_exit & (precision == "float32")
    assert swept.filter(confirmed).equals(exact.filter(confirmed))


def test_the_exit_is_lower_in_the_sweep_by_its_margin(package, stamps, monkeypatch):
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", MARGIN)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=0.5, engine="torch"))
    committee, limit = scanner._committee_sweep, load_scorer(package).early_exit.exclude_below
    lowered = committee.ensemble.early_exit.exclude_below
    assert log_odds(np.array(limit)) - log_odds(np.array(lowered)) == pytest.approx(committee.margin, rel=1e-6)


def test_batches_that_the_exit_excludes_have_no_embeddings(package, stamps, tmp_path, monkeypatch):
    """The first row reaches the committee; the fourth is scored again, to measure the error, and none of its batch does."""
    copytree(package, tmp_path / "pack")
    card = give_reference(tmp_path / "pack", drawn_reference(16 + 64))
    config = {"engine": "openvino", "batch_size": 3, "reference_sha256": card.reference_sha256, "candidate_threshold": 0.5}
    stage = load_scorer(package).score(stamps).stage
    seen, excluded = np.flatnonzero(stage == 2), np.flatnonzero(stage == 1)
    rows = {band: images[np.array([seen[-1], *excluded[:5]])] for band, images in stamps.items()}
    exact = scanned_stamps(tmp_path / "pack", rows, sweep=False, **config)
    monkeypatch.setattr(sweep, "AUDIT_EVERY", 3)
    # A sweep without rounding and without a margin: the same rows reach the committee.
    monkeypatch.setattr(scoring, "fast_precision", lambda _engine: "float32")
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 1e-6)
    swept = scanned_stamps(tmp_path / "pack", rows, **config)
    assert swept["stage"].to_pylist() == exact["stage"].to_pylist() == [2, 1, 1, 1, 1, 1]
    assert swept["embedding"].is_valid().to_pylist() == exact["embedding"].is_valid().to_pylist() == [True, *[False] * 5]


def test_an_exit_that_rounds_too_much_ends_the_sweep(package, stamps, monkeypatch, caplog):
    exact = scanned_stamps(package, stamps, sweep=False, candidate_threshold=1e-5)
    sweep_by_rounding(monkeypatch)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-5, engine="torch", batch_size=16))
    # The committee's scores agree well, those of its exit alone do not.
    again = scanner._committee_sweep.ensemble.score_again
    monkeypatch.setattr(scanner._committee_sweep.ensemble, "score_again", lambda *given: _with_shifted_exit(again(*given)))
    assert score_stamps(stamps, scanner).equals(exact)
    assert "bfloat16 is off by" in caplog.text


def _with_shifted_exit(scores):
    """Return scores whose exit reports higher ones than it has."""
    odds = np.exp(log_odds(scores.p_exit) + 2)
    return replace(scores, p_exit=(odds / (1 + odds)).astype(np.float32))
