"""A scan with a cascade finds what the committee would find among the rows that the exact first stage passes."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.catalogue.outcomes import check_outcomes
from scanner.catalogue.plan import ScanConfig
from scanner.networks.log_odds import log_odds
from scanner.networks.package import load_first_stage, load_package, load_scorer
from scanner.preprocess import prepared_stamps, sky_levels
from scanner.scan import scoring, sweep
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import candidate_stage, early_exit, lens_regression, scanned_stamps, stack, write_cascade
from tests.scanner.rounding import load_rounded, sweep_by_rounding

N = 48


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
    """Return a package whose committee gives many of the rows that pass a higher `p_lens` than the first stage's limit."""
    write_cascade(tmp_path / "pack", limit, committee=stack(("A", "B"), biases=(0.0, 2.0, 2.0, 2.0)))
    return tmp_path / "pack"


def test_rows_have_the_score_of_the_stage_that_saw_them(package, stamps, limit):
    table = scanned_stamps(package, stamps)
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


def test_the_precision_of_the_sweep_changes_no_candidate(package, stamps, limit, monkeypatch):
    """The threshold lies above the first stage's limit, so that rows between the two reach the committee by the limit alone."""
    # Torch rounds the same object differently in another batch.
    settings = {"engine": "openvino"}
    exact = scanned_stamps(package, stamps, sweep=False, **settings)
    seen = np.array(exact["stage"].to_pylist()) == 2
    threshold = float(np.median(exact["p_lens"].to_numpy()[seen]))
    p_first = load_first_stage(package).score(stamps).p_lens
    assert (seen & (log_odds(p_first) < log_odds(np.float64(threshold)) - 0.2)).sum() > 3
    assert limit < threshold
    settings["candidate_threshold"] = threshold
    exact = scanned_stamps(package, stamps, sweep=False, **settings)
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 0.05)
    swept = scanned_stamps(package, stamps, **settings)
    check_outcomes(swept)
    assert swept["stage"].to_pylist() == exact["stage"].to_pylist()
    is_candidate = exact["p_lens"].to_numpy() >= threshold
    assert 3 < is_candidate.sum() < seen.sum()
    assert swept.filter(is_candidate).equals(exact.filter(is_candidate))
    precision, p, p_exact = (np.array(column.to_pylist()) for column in (swept["precision"], swept["p_lens"], exact["p_lens"]))
    below = seen & (log_odds(p_exact) < log_odds(np.float64(threshold)) - 0.1)
    below[0] = False  # scored exactly, to measure the error
    assert below.sum() > 3
    assert set(precision[below]) == {"bfloat16"}
    assert 0 < np.abs(log_odds(p[below]) - log_odds(p_exact[below])).max() < 0.5
    assert set(precision[~seen]) == {"bfloat16", "float32"}


def test_a_committee_that_rounds_too_much_ends_its_sweep(package, stamps, monkeypatch, caplog):
    exact = scanned_stamps(package, stamps, sweep=False, candidate_threshold=1e-4)
    sweep_by_rounding(monkeypatch)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-4, engine="torch", batch_size=16))
    monkeypatch.setattr(scanner, "_committee_sweep", replace(scanner._committee_sweep, margin=1e-9))
    assert score_stamps(stamps, scanner).equals(exact)
    assert "bfloat16 is off by" in caplog.text


def test_margins_of_stages_allow_for_unmeasured_images(package, monkeypatch):
    """The images that are measured round little, and others were off by up to 0.25: three times this is the least margin."""
    sweep_by_rounding(monkeypatch)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-4, engine="torch"))
    assert min(scanner._sweep.margin, scanner._committee_sweep.margin) > 3 * 0.25


def test_later_stages_score_several_batches_at_once(package, stamps, monkeypatch):
    """Every row is a possible candidate: four batches are scored again and confirmed at once, and the rest at the end."""
    sweep_by_rounding(monkeypatch)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-6, engine="torch", batch_size=4))
    sizes = {"again": [], "confirmed": []}
    rounded, exact = scanner._committee_sweep.ensemble, scanner._ensemble
    again, score = rounded.score_again, exact.score
    monkeypatch.setattr(
        rounded, "score_again", lambda given, *rest: (sizes["again"].append(len(given["VIS"])), again(given, *rest))[1]
    )
    monkeypatch.setattr(exact, "score", lambda given: (sizes["confirmed"].append(len(given["VIS"])), score(given))[1])
    score_stamps({band: images[:26] for band, images in stamps.items()}, scanner)
    assert sizes == {"again": [16, 10], "confirmed": [16, 10]}


@pytest.mark.parametrize(("batch_size", "n_rows"), [(1, 4), (64, 256), (100, 256), (1024, 1024)])
def test_later_stages_wait_for_four_batches_or_256_rows(package, monkeypatch, batch_size, n_rows):
    """Smaller batches, for use when memory is short, let fewer rows wait."""
    sweep_by_rounding(monkeypatch)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-6, engine="torch")).with_batch_size(batch_size)
    assert scanner.n_again == n_rows
    assert CutoutScanner(scanner._ensemble, batch_size, scanner._sweep).n_again == batch_size


def test_only_undecided_rows_are_passed_by_the_exact_first_stage(package, stamps, limit, monkeypatch):
    """Others reach the committee with the rounded score; rounding could not exclude them."""
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 0.05)
    monkeypatch.setattr(sweep, "AUDIT_EVERY", 1000)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=0.5, engine="torch", batch_size=4))
    margin = scanner._sweep.margin
    rounded = load_rounded(package, first=True).score(stamps).p_lens
    exact = load_first_stage(package).score(stamps).p_lens
    is_sure = log_odds(rounded) >= log_odds(np.float64(limit)) + margin
    is_near = ~is_sure & (log_odds(rounded) >= log_odds(np.float64(limit)) - margin)
    # The first row monitors the errors.
    is_sure[0] = False
    assert min(is_sure.sum(), is_near.sum()) > 3
    assert not np.isclose(rounded, exact, rtol=1e-5)[is_sure].all()
    table = score_stamps(stamps, scanner)
    assert set(np.array(table["stage"].to_pylist())[is_sure]) == {2}
    p_first, precision = table["p_light"].to_numpy(), np.array(table["precision"].to_pylist())
    np.testing.assert_allclose(
        p_first[is_near], load_first_stage(package).score(stamps).p_networks["light"][is_near], rtol=1e-5
    )
    unconfirmed = is_sure & (precision == "bfloat16")
    assert unconfirmed.sum() > 3
    of_light = load_rounded(package, first=True).score(stamps).p_networks["light"]
    np.testing.assert_allclose(p_first[unconfirmed], of_light[unconfirmed], rtol=1e-5)


@pytest.mark.parametrize("stage", [1, 2])
def test_errors_of_the_first_stage_are_measured_on_undecided_rows(package, stamps, stage, monkeypatch, caplog):
    """Rows are measured whether or not they reach the committee."""
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 0.05)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=0.5, engine="torch", batch_size=16))
    again = scanner._committee_sweep.ensemble.score_again

    def off(given, first, is_near):
        scores = again(given, first, is_near)
        is_off = is_near & (scores.stage == stage)
        return replace(scores, p_first=np.where(is_off, scores.p_first * np.float32(1.5), scores.p_first))

    monkeypatch.setattr(scanner._committee_sweep.ensemble, "score_again", off)
    assert set(score_stamps(stamps, scanner)["precision"].to_pylist()) == {"float32"}
    assert "bfloat16 is off by" in caplog.text


def test_scores_do_not_depend_on_the_batch_size(package, stamps):
    small, large = (scanned_stamps(package, stamps, batch_size=size, engine="openvino") for size in (7, 32))
    assert small.equals(large)


def test_a_lower_threshold_sends_more_rows_to_the_committee(package, stamps, limit):
    lower = limit / 2
    table = scanned_stamps(package, stamps, candidate_threshold=lower)
    first = load_first_stage(package).score(stamps)
    assert table["stage"].to_pylist() == np.where(first.p_lens >= np.float32(lower), 2, 1).tolist()
    is_candidate = table["p_lens"].to_numpy() >= lower
    assert set(np.array(table["stage"])[is_candidate]) == {2}


def test_maps_are_those_of_the_committee(package, stamps):
    table = scanned_stamps(package, stamps, candidate_threshold=1e-6, maps_per_unit=2)
    mapped = table.filter(table["map_guided"].is_valid())
    assert mapped.num_rows == 2
    assert set(mapped["stage"].to_pylist()) == {2}
    assert min(mapped["p_lens"].to_pylist()) >= sorted(table["p_lens"].to_pylist())[-2]


def test_errors_of_the_first_stage_are_measured_on_possible_candidates(package, stamps, monkeypatch, caplog):
    """The rounded first stage is sure of every row, and wrong about all by 6 in log-odds."""
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(sweep, "AUDIT_EVERY", 1000)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-6, engine="torch", batch_size=16))
    score = scanner._sweep.ensemble.score

    def off(given):
        scores = score(given)
        odds = np.exp(log_odds(scores.p_lens) + 6)
        p = (odds / (1 + odds)).astype(np.float32)
        return replace(scores, p_lens=p, p_first=p.copy())

    monkeypatch.setattr(scanner._sweep.ensemble, "score", off)
    rows = {band: images[1:] for band, images in stamps.items()}
    chosen = scanner._sweep.is_undecided(np.arange(1, N), off(rows).p_lens)
    assert not chosen.any()
    assert set(score_stamps(stamps, scanner)["precision"].to_pylist()) == {"float32"}
    assert "bfloat16 is off by" in caplog.text


def test_every_stage_of_a_sweep_computes_in_its_precision(tmp_path, monkeypatch):
    stage = candidate_stage(lens=lens_regression())
    write_cascade(tmp_path / "pack", candidate_stage=stage)
    loaded = {}
    for name in ("load_first_stage", "load_package", "load_candidate_stage"):
        load = getattr(scoring, name)

        def spy(folder, engine, precision, *rest, load=load, name=name, **options):
            loaded[name] = precision
            return load(folder, engine, "float32", *rest, **options)

        monkeypatch.setattr(scoring, name, spy)
    monkeypatch.setattr(scoring, "fast_precision", lambda _engine: "bfloat16")
    scanner = open_scanner(tmp_path / "pack", ScanConfig(candidate_threshold=0.5, engine="torch"))
    assert loaded == dict.fromkeys(loaded, "bfloat16")
    assert len(loaded) == 3
    assert scanner.with_batch_size(7)._committee_sweep is scanner._committee_sweep
    loaded.clear()
    # A network that corrects nothing is not needed before a row is confirmed.
    write_cascade(tmp_path / "pack", candidate_stage=candidate_stage())
    open_scanner(tmp_path / "pack", ScanConfig(candidate_threshold=0.5, engine="torch"))
    assert sorted(loaded) == ["load_first_stage", "load_package"]


def test_later_stages_measure_no_sky_again(package, stamps, monkeypatch):
    sweep_by_rounding(monkeypatch)
    scanner = open_scanner(package, ScanConfig(candidate_threshold=1e-6, engine="torch", batch_size=16))
    n_rows = []
    measure = sky_levels.sky_level_and_sigma
    monkeypatch.setattr(sky_levels, "sky_level_and_sigma", lambda images: (n_rows.append(len(images)), measure(images))[1])
    table = score_stamps(stamps, scanner)
    assert table["stage"].to_pylist().count(2) > 3
    # Every network reads VIS alone, in 100 pixels.
    assert sum(n_rows) == N


def test_networks_of_equal_inputs_share_them(tmp_path, stamps, monkeypatch):
    """The early exit A and B see the same middle of the stamps, `light` and the candidate network K a smaller one."""
    write_cascade(tmp_path / "pack", 1e-9, early_exit(1e-9), candidate_stage=candidate_stage(), default_cut=1e-9)
    cascade = load_scorer(tmp_path / "pack")
    made, prepare = [], prepared_stamps.network_inputs

    def counted(given, wanted, *rest):
        made.append(len(wanted))
        return prepare(given, wanted, *rest)

    monkeypatch.setattr(prepared_stamps, "network_inputs", counted)
    cascade.score(stamps)
    light, at_exit, of_others, of_candidates = made
    assert (light, at_exit, of_others, of_candidates) == (1, 1, 0, 1)
