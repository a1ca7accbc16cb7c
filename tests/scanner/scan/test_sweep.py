"""Compare fast and exact scores, with ensembles whose rounding is known by hand and with the shipped networks."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.catalogue.plan import ScanConfig
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.log_odds import log_odds
from scanner.scan import scoring
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.scan.sweep import (
    Sweep,
    SweepCount,
    SweepError,
    is_worthwhile,
    largest_error,
    make_sweep,
    margin_of,
    reaches,
    synthetic_stamps,
)
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.rounding import sweep_by_rounding
from tests.scanner.scanned import score_rows
from tests.scanner.shifted import stamps_of


class Told:
    """Ensemble whose p_lens is the first pixel of VIS; the error of its log-odds is the second pixel times `rounding`."""

    geometry = CHALLENGE
    network_names = ("A",)

    def __init__(self, rounding=0.0):
        self.rounding = rounding
        self.n_scored = 0

    def score(self, stamps):
        self.n_scored += len(stamps["VIS"])
        odds = log_odds(stamps["VIS"][:, 0, 0]) + self.rounding * stamps["VIS"][:, 0, 1]
        p = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return EnsembleScores({"A": p}, p * 0, p, None, None)


def cutouts(p, off):
    stamps = {band: np.zeros((len(p), grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
    stamps["VIS"][:, 0, 0], stamps["VIS"][:, 0, 1] = p, off
    return [Cutout({band: images[i] for band, images in stamps.items()}) for i in range(len(p))]


def test_candidates_and_their_numbers_do_not_depend_on_the_sweep():
    rng = np.random.default_rng(0)
    rows = cutouts(rng.uniform(0.01, 0.99, 1000), rng.uniform(-1, 1, 1000))
    exact = score_rows(CutoutScanner(Told(), 64), rows)
    slow = Told()
    table = score_rows(CutoutScanner(slow, 64, Sweep(Told(0.2), "bfloat16", 0.8, margin=0.4)), rows)
    is_candidate = exact["p_lens"].to_numpy() >= 0.8
    assert is_candidate.sum() > 100
    assert (table["p_lens"].to_numpy() >= 0.8).tolist() == is_candidate.tolist()
    assert table.filter(is_candidate).equals(exact.filter(is_candidate))
    precision = np.array(table["precision"].to_pylist())
    again = precision == "float32"
    assert slow.n_scored == again.sum() < 400
    assert table["p_lens"].to_numpy()[again].tolist() == exact["p_lens"].to_numpy()[again].tolist()
    assert again[::256].all()
    # The fast ensemble does round: the test could fail.
    assert not np.isclose(table["p_lens"].to_numpy()[~again], exact["p_lens"].to_numpy()[~again], atol=1e-4).all()


def shifted(n):
    """Return `n` objects whose H lies 0.6 arcsec off, and their p_lens; the two pixels that `Told` reads lie outside them."""
    stamps = stamps_of(CHALLENGE, np.random.default_rng(5), (0.6, 0.0))
    rows = [Cutout({band: images[0].copy() for band, images in stamps.items()}, ("padded: VIS",)) for _ in range(n)]
    p = np.linspace(0.01, 0.99, n)
    for row, value in zip(rows, p, strict=True):
        row.stamps["VIS"][0, :2] = value, 0
    return rows, p.astype(np.float32)


@pytest.mark.parametrize("sweep", [None, Sweep(Told(0.2), "bfloat16", 0.8, margin=0.4)], ids=["exact", "sweep"])
@pytest.mark.parametrize("batch_size", [3, 64])
def test_candidates_with_misregistered_bands_have_a_note(sweep, batch_size):
    """Rows below the threshold have none, even if they are scored in float32."""
    rows, p = shifted(20)
    table = score_rows(CutoutScanner(Told(), batch_size, sweep, check_above=0.8), rows)
    note = "padded: VIS; misregistered: H 0.60 arcsec from VIS"
    assert table["detail"].to_pylist() == [note if value >= 0.8 else "padded: VIS" for value in p]
    shifts = [0.6 if value >= 0.8 else None for value in p]
    assert table["bands_shift_arcsec"].to_pylist() == [shift and pytest.approx(shift, abs=0.03) for shift in shifts]


def test_notes_stay_with_their_rows():
    """Rows of a batch that are scored again, and those after the end of a sweep, keep their own notes."""
    rng = np.random.default_rng(2)
    p = rng.permutation(np.repeat([0.2, 0.9], 200))
    rows = [replace(row, notes=(f"padded: {i}",)) for i, row in enumerate(cutouts(p, np.zeros(400)))]
    table = score_rows(CutoutScanner(Told(), 48, Sweep(Told(), "bfloat16", 0.5, margin=0.4), check_above=None), rows)
    assert set(table["precision"].to_pylist()) == {"bfloat16", "float32"}
    assert table["detail"].to_pylist() == [f"padded: {i}" for i in range(400)]


def test_a_row_at_the_threshold_is_checked():
    rows, p = shifted(5)
    table = score_rows(CutoutScanner(Told(), 64, check_above=float(p[3])), rows)
    assert table["bands_shift_arcsec"].is_valid().to_pylist() == [False, False, False, True, True]


def test_misregistered_bands_are_noted_by_default_and_change_no_score():
    rows, _ = shifted(4)
    noted, silent = (score_rows(CutoutScanner(Told(), 3, **options), rows) for options in ({}, {"check_above": None}))
    assert ["misregistered" in detail for detail in noted["detail"].to_pylist()] == [True] * 4
    assert set(silent["detail"].to_pylist()) == {"padded: VIS"}
    assert noted["bands_shift_arcsec"].to_pylist() == [pytest.approx(0.6, abs=0.03)] * 4
    assert silent["bands_shift_arcsec"].null_count == 4
    said = ["detail", "bands_shift_arcsec"]
    assert noted.drop_columns(said).equals(silent.drop_columns(said))


def test_an_opened_scanner_checks_candidates_only():
    scanner = open_scanner(SHIPPED_DIR / "mer3-sim", ScanConfig(engine="torch", candidate_threshold=0.25, sweep=False), 1)
    assert scanner._check_above == 0.25
    assert scanner.with_batch_size(7)._check_above == 0.25


def test_a_sweep_with_a_large_error_is_given_up(caplog):
    rows = cutouts(np.full(300, 0.5), np.ones(300))
    exact = score_rows(CutoutScanner(Told(), 64), rows)
    table = score_rows(CutoutScanner(Told(), 64, Sweep(Told(0.3), "bfloat16", 0.99, margin=0.4)), rows)
    assert table.equals(exact)
    assert "bfloat16 is off by 0.3 in log-odds, at most 0.2 is allowed: every row" in caplog.text


def test_a_sweep_with_many_possible_candidates_is_given_up():
    rows = cutouts(np.full(2000, 0.9), np.zeros(2000))
    fast, slow = Told(), Told()
    table = score_rows(CutoutScanner(slow, 64, Sweep(fast, "bfloat16", 0.5, margin=0.4)), rows)
    assert table.equals(score_rows(CutoutScanner(Told(), 64), rows))
    assert (fast.n_scored, slow.n_scored) == (256, 2000)


def test_scores_do_not_depend_on_batches_when_a_sweep_ends():
    """Half of the rows could be candidates, so the sweep is given up in the middle of most batches."""
    rng = np.random.default_rng(1)
    rows = cutouts(rng.permutation(np.repeat([0.2, 0.9], 300)), rng.uniform(-1, 1, 600))
    rows[100:110] = [Rejection(RejectCode.OUTSIDE_TILE, "far away")] * 10
    scanner = CutoutScanner(Told(), 64, Sweep(Told(0.1), "bfloat16", 0.5, margin=0.4))
    table, *others = (score_rows(scanner.with_batch_size(size), rows) for size in (64, 1, 7, 100, 256, 600))
    assert all(table.equals(other) for other in others)
    swept = np.flatnonzero(np.array(table["precision"].to_pylist()) == "bfloat16")
    assert len(swept) > 100
    # Ten rows are rejected: the 256th scored row is row 265.
    assert 250 < swept.max() <= 265


def test_a_batch_of_rejections_alone_does_not_end_the_sweep():
    rows = cutouts(np.full(192, 0.01), np.zeros(192))
    rows[64:128] = [Rejection(RejectCode.OUTSIDE_TILE, "far away")] * 64
    fast = Told()
    table = score_rows(CutoutScanner(Told(), 64, Sweep(fast, "bfloat16", 0.5, margin=0.4)), rows)
    assert table["status"].to_pylist() == ["scored"] * 64 + ["rejected:outside_tile"] * 64 + ["scored"] * 64
    assert fast.n_scored == 128


def test_the_audit_finds_errors_far_below_the_threshold():
    sweep = Sweep(Told(), "bfloat16", 0.99, 0.4)
    chosen = sweep.needs_rescoring(np.arange(255, 514), np.full(259, 0.01, np.float32))
    assert np.flatnonzero(chosen).tolist() == [1, 257]
    sweep.check(np.array([0.5]), np.array([0.54]))
    with pytest.raises(SweepError, match=r"off by 0\.201"):
        sweep.check(np.array([0.5]), np.array([0.55]))


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, True), (1.0, False)])
def test_thresholds_of_zero_and_one_are_allowed(threshold, expected):
    sweep = Sweep(Told(), "bfloat16", threshold, 0.1)
    assert sweep.needs_rescoring(np.array([1, 2]), np.array([0.2, 0.8], np.float32)).tolist() == [expected] * 2
    # A probability of exactly one is a candidate at any threshold.
    assert sweep.needs_rescoring(np.array([1]), np.array([1.0], np.float32)).all()


def test_the_margin_is_four_times_the_largest_error():
    class Off(Told):
        def score(self, stamps):
            odds = stamps["VIS"].mean(axis=(1, 2)).astype(np.float64) * self.rounding
            p = (1 / (1 + np.exp(-odds))).astype(np.float32)
            return EnsembleScores({"A": p}, p * 0, p, None, None)

    sweep = make_sweep(Off(1.1), "bfloat16", Off(1.0), 0.5)
    means = synthetic_stamps(CHALLENGE, 32)["VIS"].mean(axis=(1, 2))
    assert sweep.margin == pytest.approx(4 * 0.1 * np.abs(means).max(), rel=1e-3)
    assert make_sweep(Off(1.0), "bfloat16", Off(1.0), 0.5).margin == 0.05


def test_made_images_are_reproducible_and_span_faint_to_bright():
    first, second = synthetic_stamps(MER_10, 32), synthetic_stamps(MER_10, 32)
    assert all(np.array_equal(first[band], second[band]) for band in MER_10.grids)
    peaks = first["VIS"].max(axis=(1, 2))
    assert peaks[0] < 10
    assert peaks[-1] > 100


def test_made_images_show_the_same_sky_on_every_grid():
    made = synthetic_stamps(CHALLENGE, 32)
    # A NISP pixel is three VIS pixels wide, so every third VIS pixel has the same centre as a NISP pixel.
    difference = made["VIS"][:, 2:200:3, 2:200:3] - made["H"]
    assert difference.std() == pytest.approx(np.sqrt(2), rel=0.01)
    assert np.abs(difference).max() < 6 * np.sqrt(2)


def test_made_galaxies_are_discs_with_a_ring_on_one_side():
    vis = synthetic_stamps(CHALLENGE, 32)["VIS"]
    middle = vis[:, 99:101].mean(axis=1)
    left, right = middle[:, :100][:, ::-1], middle[:, 100:]
    radius = 0.05 + 0.1 * np.arange(100)
    near, rings = radius < 0.7, []
    for i in range(24, 32):
        slope, at_centre = np.polyfit(radius[near], np.log(left[i, near]), 1)
        assert np.exp(at_centre) == pytest.approx(2 * 150 ** (i / 31), rel=0.1)
        # Scale length times axis ratio.
        assert 0.3 * 0.5 < -1 / slope < 1.2
        rings.append(radius[(right - left)[i].argmax()])
    assert all(0.6 * 0.5 < ring < 2.5 for ring in rings)
    assert np.ptp(rings) > 0.5


def test_the_numbers_of_made_images_never_change():
    """The margin is measured on them, and which rows are stored in float32 depends on the margin."""
    made = synthetic_stamps(CHALLENGE, 32)
    at = {"VIS": ([100, 100, 105, 3], [100, 95, 100, 7]), "H": ([33, 33, 38, 3], [33, 28, 33, 7])}
    found = {band: [made[band][i][places].tolist() for i in (4, 16, 30)] for band, places in at.items()}
    assert found["VIS"] == [
        pytest.approx([3.337332, 0.528980, 0.550018, -0.990459], abs=1e-4),
        pytest.approx([24.87968, 13.76975, 16.16125, -0.545403], abs=1e-4),
        pytest.approx([240.1732, 167.1779, 157.6176, 0.776297], abs=1e-3),
    ]
    assert found["H"] == [
        pytest.approx([1.205851, 1.511813, 0.678168, -0.537637], abs=1e-4),
        pytest.approx([20.28575, 1.329310, 5.974222, 0.902916], abs=1e-4),
        pytest.approx([212.1757, 69.84657, 64.76279, -0.470429], abs=1e-3),
    ]


def test_the_largest_error_is_symmetric_and_zero_for_no_rows():
    half, more = np.float32([0.5, 0.5]), np.float32([0.5, 0.75])
    assert largest_error(half, more) == largest_error(more, half) == pytest.approx(np.log(3))
    assert largest_error(half[:0], half[:0]) == 0


def test_rows_from_threshold_minus_margin_on_are_scored_again():
    sweep = Sweep(Told(), "bfloat16", 0.75, np.log(3))
    p_lens = 1 / (1 + np.exp([-1e-6, 1e-6]))
    assert sweep.needs_rescoring(np.array([1, 2]), p_lens).tolist() == [True, False]
    exactly = Sweep(Told(), "bfloat16", 0.5, 0.0)
    assert exactly.needs_rescoring(np.array([1, 2]), np.float32([0.5, np.nextafter(0.5, 0, dtype=np.float32)])).tolist() == [
        True,
        False,
    ]


def test_rows_without_a_number_are_scored_again():
    sweep = Sweep(Told(), "bfloat16", 0.75, 0.1)
    p_lens = np.float32([np.nan, 0.1])
    assert sweep.needs_rescoring(np.array([1, 2]), p_lens).tolist() == [True, False]
    assert sweep.is_undecided(np.array([1, 2]), p_lens).all()
    with pytest.raises(SweepError, match="off by nan"):
        sweep.check(p_lens, np.float32([0.5, 0.1]))


def test_a_margin_that_cannot_be_measured_has_no_end():
    assert margin_of([0.1, 0.3], 0.5) == 4 * 0.3
    assert margin_of([0.1, 0.3], 2.0) == 2.0
    assert margin_of([np.nan, 0.3], 0.5) == margin_of([0.3, np.nan], 0.5) == np.inf
    sweep = Sweep(Told(), "bfloat16", 0.75, np.inf)
    assert sweep.needs_rescoring(np.array([1, 2]), np.float32([1e-9, 0.9])).all()


def test_rows_within_the_margin_of_the_threshold_are_undecided():
    sweep = Sweep(Told(), "bfloat16", 0.25, np.log(3))
    p_lens = 1 / (1 + np.exp([1e-6, -1e-6, -1e-6]))
    assert sweep.is_undecided(np.array([1, 2, 512]), p_lens).tolist() == [True, False, True]


def test_only_values_at_a_distance_above_a_limit_reach_it():
    assert reaches(np.float32([0.5, 0.7501, 0.7499, np.nan]), 0.5, np.log(3)).tolist() == [False, True, False, False]


def test_an_error_of_just_half_the_margin_is_allowed():
    fast, exact = np.float32([0.5]), np.float32([0.7])
    Sweep(Told(), "bfloat16", 0.9, 2 * largest_error(fast, exact)).check(fast, exact)
    with pytest.raises(SweepError, match=r"^bfloat16 is off by 0\.847 in log-odds, at most 0\.846 is allowed$"):
        Sweep(Told(), "bfloat16", 0.9, 1.692).check(fast, exact)


@pytest.mark.parametrize(
    ("n_seen", "n_again", "expected"),
    [
        (0, 0, True),
        (255, 255, True),
        (256, 256, False),
        (256, 102, True),
        (256, 103, False),
        (1000, 400, True),
        (1000, 401, False),
    ],
)
def test_a_sweep_pays_for_up_to_two_in_five_rows(n_seen, n_again, expected):
    assert is_worthwhile(n_seen, n_again) is expected


def test_a_sweep_ends_at_the_same_row_in_any_batch():
    """The share of the second case is above two in five between two checks only, and falls in time for the next."""
    ends = np.zeros(400, bool)
    ends[:128] = True
    between = np.zeros(400, bool)
    between[:102] = between[256:280] = True
    for size in (1, 7, 64, 100, 256, 400):
        assert [_n_swept(chosen, size) for chosen in (ends, between)] == [256, 400]


def _n_swept(chosen, size):
    count, n_swept = SweepCount(), 0
    for start in range(0, len(chosen), size):
        if not count.is_over:
            n_swept += count.add(chosen[start : start + size])
    return n_swept


def test_make_sweep_keeps_its_arguments():
    fast, exact = Told(), Told()
    sweep = make_sweep(fast, "bfloat16", exact, 0.25)
    assert (sweep.ensemble, sweep.precision, sweep.candidate_threshold, sweep.margin) == (fast, "bfloat16", 0.25, 0.05)
    assert fast.n_scored == exact.n_scored == 32


@pytest.fixture
def told_packages(monkeypatch):
    """Replace every package by an ensemble with given scores, which has an error if it is loaded in bfloat16."""
    monkeypatch.setattr(scoring, "fast_precision", lambda _engine: "bfloat16")
    monkeypatch.setattr(scoring, "load_scorer", lambda *_, **__: Told())
    monkeypatch.setattr(scoring, "load_package", lambda *_, **__: Told(0.02))


def test_every_possible_candidate_has_exact_scores(told_packages, tmp_path):
    rows = cutouts(np.linspace(0.02, 0.98, 97), np.ones(97))
    exact = score_rows(CutoutScanner(Told()), rows)["p_lens"].to_numpy()
    table = score_rows(open_scanner(tmp_path, ScanConfig(candidate_threshold=0.6, engine="torch")), rows)
    is_candidate = exact >= 0.6
    assert table["p_lens"].to_numpy()[is_candidate].tolist() == exact[is_candidate].tolist()
    precision = np.array(table["precision"].to_pylist())
    assert set(precision[is_candidate]) == {"float32"}
    # The first row is scored for the audit. The margin is four times the largest error of noise, some 0.3.
    is_far = log_odds(exact) < log_odds(0.6) - 0.5
    assert set(precision[is_far][1:]) == {"bfloat16"}
    assert is_far.sum() > 10


def test_without_a_sweep_every_row_has_exact_scores(told_packages, tmp_path):
    rows = cutouts(np.linspace(0.02, 0.98, 97), np.ones(97))
    table = score_rows(open_scanner(tmp_path, ScanConfig(candidate_threshold=0.9, engine="torch", sweep=False)), rows)
    assert table.equals(score_rows(CutoutScanner(Told()), rows))


def test_shipped_networks_find_the_same_candidates_in_emulated_bfloat16(monkeypatch):
    sweep_by_rounding(monkeypatch)
    swept_as_exact("mer3-sim", MER_10, 40, "torch")


SHIPPED = [("mer3-sim", MER_10, 48), ("mer3-cascade", MER_10, 48), ("ou7-sim", CHALLENGE, 16)]


@pytest.mark.parametrize(("name", "geometry", "n"), SHIPPED)
def test_shipped_networks_find_the_same_candidates_with_a_sweep(name, geometry, n):
    engine = resolve_engine("auto")
    if fast_precision(engine) is None:
        pytest.skip(f"{engine} has no faster precision on this machine")
    swept_as_exact(name, geometry, n, engine)


def swept_as_exact(name, geometry, n, engine):
    """Compare a sweep with exact scores of `n` objects, in one full batch and a part of one."""
    stamps, size = synthetic_stamps(geometry, n), 2 * n // 3
    rows = [Cutout({band: images[i] for band, images in stamps.items()}) for i in range(n)]
    every = score_rows(open_scanner(SHIPPED_DIR / name, ScanConfig(engine=engine, sweep=False, batch_size=size), 1), rows)
    threshold = float(np.sort(every["p_lens"].to_numpy())[-n // 8])
    config = ScanConfig(engine=engine, candidate_threshold=threshold, batch_size=size)
    # A threshold below the limit of a first stage lowers the limit.
    exact = score_rows(open_scanner(SHIPPED_DIR / name, config.model_copy(update={"sweep": False}), 1), rows)
    swept = score_rows(open_scanner(SHIPPED_DIR / name, config, 1), rows)
    is_candidate = exact["p_lens"].to_numpy() >= threshold
    assert swept.filter(is_candidate).equals(exact.filter(is_candidate))
    assert ((swept["p_lens"].to_numpy() >= threshold) == is_candidate).all()
    fast = np.array(swept["precision"].to_pylist()) == "bfloat16"
    assert fast.any()
    assert 0 < largest_error(swept["p_lens"].to_numpy()[fast], exact["p_lens"].to_numpy()[fast]) < 0.5
