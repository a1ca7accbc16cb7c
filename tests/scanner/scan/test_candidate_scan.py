"""Scans with rounded arithmetic and a candidate network: its rows are those of exact scores."""

import numpy as np
import pytest

from scanner.networks.log_odds import log_odds
from scanner.networks.package import load_scorer
from scanner.scan import scoring
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import candidate_stage, early_exit, lens_regression, scanned_stamps, stack, write_cascade
from tests.scanner.rounding import sweep_by_rounding

N = 48


@pytest.mark.parametrize("exits", [False, True])
@pytest.mark.parametrize("bias", [-3.0, 3.0])
def test_a_scan_with_rounded_arithmetic_corrects_the_same_rows(tmp_path, monkeypatch, exits, bias):
    given = synthetic_stamps(MER_10, N)
    write_cascade(tmp_path / "first", 1e-9)
    limit = float(np.quantile(load_scorer(tmp_path / "first").score(given).p_first, 0.2))
    settings = {"engine": "openvino", "batch_size": 5}
    likely = stack(("A", "B"), biases=(0.0, 2.0, 2.0, 2.0))
    made = {"early_exit": early_exit(limit / 10) if exits else None, "committee": likely}
    write_cascade(tmp_path / "without", limit, **made)
    plain = scanned_stamps(tmp_path / "without", given, sweep=False, **settings)
    seen = np.array(plain["stage"].to_pylist()) == 2
    of_committee = plain["p_lens"].to_numpy()
    # The threshold lies above the limit of the correction: rows between them become candidates, or candidates none.
    least, threshold = (float(np.quantile(of_committee[seen], share)) for share in (0.3, 0.6))
    corrects = candidate_stage(lens=lens_regression(from_p_lens=least, bias=bias))
    write_cascade(tmp_path / "pack", limit, candidate_stage=corrects, default_cut=threshold, **made)
    settings["candidate_threshold"] = threshold
    whole = scanned_stamps(tmp_path / "pack", given, sweep=False, **settings)
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 0.05)
    swept = scanned_stamps(tmp_path / "pack", given, **settings)
    before, is_candidate = of_committee >= threshold, whole["p_lens"].to_numpy() >= threshold
    assert (before != is_candidate).sum() > 3
    assert (swept["p_lens"].to_numpy() >= threshold).tolist() == is_candidate.tolist()
    assert swept.filter(is_candidate).equals(whole.filter(is_candidate))
    precision = np.array(swept["precision"].to_pylist())
    assert "bfloat16" in set(precision[seen])
    # What the correction takes far below the threshold is not scored again.
    is_lowered = seen & before & (log_odds(whole["p_lens"].to_numpy()) < log_odds(np.float64(threshold)) - 1)
    is_lowered[0] = False
    assert is_lowered.any() == (bias < 0)
    assert set(precision[is_lowered]) <= {"bfloat16"}


@pytest.mark.parametrize("exits", [False, True])
def test_a_scan_with_rounded_arithmetic_stores_the_exact_kinds(tmp_path, monkeypatch, exits):
    given = synthetic_stamps(MER_10, N)
    write_cascade(tmp_path / "first", 1e-9)
    limit = float(np.quantile(load_scorer(tmp_path / "first").score(given).p_first, 0.2))
    of_exit = early_exit(limit / 10) if exits else None
    likely = stack(("A", "B"), biases=(0.0, 2.0, 2.0, 2.0))
    write_cascade(tmp_path / "pack", limit, of_exit, candidate_stage=candidate_stage(), committee=likely)
    whole = scanned_stamps(tmp_path / "pack", given, engine="openvino", sweep=False)
    seen = np.array(whole["stage"].to_pylist()) == 2
    threshold = float(np.quantile(whole["p_lens"].to_numpy()[seen], 0.6))
    write_cascade(tmp_path / "pack", limit, of_exit, candidate_stage=candidate_stage(), committee=likely, default_cut=threshold)
    write_cascade(tmp_path / "without", limit, of_exit, committee=likely)
    settings = {"candidate_threshold": threshold, "engine": "openvino", "batch_size": 5}
    whole = scanned_stamps(tmp_path / "pack", given, sweep=False, **settings)
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 0.05)
    swept = scanned_stamps(tmp_path / "pack", given, **settings)
    is_candidate = whole["p_lens"].to_numpy() >= threshold
    assert 3 < is_candidate.sum() < seen.sum()
    assert swept.filter(is_candidate).equals(whole.filter(is_candidate))
    # Some rows that the committee saw stay rounded: the candidate network does not look at them.
    assert "bfloat16" in set(np.array(swept["precision"].to_pylist())[seen])
    told, untold = (load_scorer(tmp_path / name, "openvino").score(given) for name in ("pack", "without"))
    assert (told.p_compound != untold.p_compound).tolist() == is_candidate.tolist()
    assert swept["p_compound"].to_numpy()[is_candidate].tolist() == told.p_compound[is_candidate].tolist()
