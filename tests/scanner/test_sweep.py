"""Fast and exact scores side by side: with ensembles whose rounding is known by hand, and with the shipped networks."""

import numpy as np
import pytest

from scanner.catalogue.plan import ScanConfig
from scanner.networks.engines import fast_precision, resolve_engine
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.locate import SHIPPED_DIR
from scanner.pixels.cutouts import Cutout
from scanner.pixels.geometry import CHALLENGE, MER_10
from scanner.scoring import CutoutScanner, open_scanner
from scanner.sweep import AUDIT_EVERY, MIN_MARGIN, Sweep, SweepError, largest_error, log_odds, made_stamps, make_sweep


class Told:
    """p_lens is written in the first pixel of VIS; log odds are off by what the second says, times `rounding`."""

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
    exact = CutoutScanner(Told(), 64).score(rows)
    slow = Told()
    table = CutoutScanner(slow, 64, Sweep(Told(0.2), "bfloat16", 0.8, margin=0.4)).score(rows)
    is_candidate = exact["p_lens"].to_numpy() >= 0.8
    assert is_candidate.sum() > 100
    assert (table["p_lens"].to_numpy() >= 0.8).tolist() == is_candidate.tolist()
    assert table.filter(is_candidate).equals(exact.filter(is_candidate))
    precision = np.array(table["precision"].to_pylist())
    again = precision == "float32"
    assert slow.n_scored == again.sum() < 400
    assert table["p_lens"].to_numpy()[again].tolist() == exact["p_lens"].to_numpy()[again].tolist()
    assert again[::AUDIT_EVERY].all()
    # The fast ensemble does round: the test could fail.
    assert not np.isclose(table["p_lens"].to_numpy()[~again], exact["p_lens"].to_numpy()[~again], atol=1e-4).all()


def test_a_sweep_that_is_off_by_more_than_it_may_be_is_given_up(caplog):
    rows = cutouts(np.full(300, 0.5), np.ones(300))
    exact = CutoutScanner(Told(), 64).score(rows)
    table = CutoutScanner(Told(), 64, Sweep(Told(0.3), "bfloat16", 0.99, margin=0.4)).score(rows)
    assert table.equals(exact)
    assert "bfloat16 is off by 0.3 in log odds, at most 0.2 is allowed for: every row" in caplog.text


def test_where_most_rows_could_be_candidates_the_sweep_is_given_up():
    rows = cutouts(np.full(2000, 0.9), np.zeros(2000))
    fast, slow = Told(), Told()
    table = CutoutScanner(slow, 64, Sweep(fast, "bfloat16", 0.5, margin=0.4)).score(rows)
    assert table.equals(CutoutScanner(Told(), 64).score(rows))
    assert (fast.n_scored, slow.n_scored) == (256, 2000)


def test_the_audit_sees_what_the_threshold_does_not():
    sweep = Sweep(Told(), "bfloat16", 0.99, 0.4)
    chosen = sweep.to_score_again(np.arange(AUDIT_EVERY, 2 * AUDIT_EVERY), np.full(AUDIT_EVERY, 0.01, np.float32))
    assert chosen.tolist() == [True] + [False] * (AUDIT_EVERY - 1)
    sweep.check(np.array([0.5]), np.array([0.54]))
    with pytest.raises(SweepError, match=r"off by 0\.201"):
        sweep.check(np.array([0.5]), np.array([0.55]))


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, True), (1.0, False)])
def test_thresholds_at_the_ends_of_the_scale(threshold, expected):
    sweep = Sweep(Told(), "bfloat16", threshold, 0.1)
    assert sweep.to_score_again(np.array([1, 2]), np.array([0.2, 0.8], np.float32)).tolist() == [expected] * 2
    # A probability of exactly one is a candidate at any threshold.
    assert sweep.to_score_again(np.array([1]), np.array([1.0], np.float32)).all()


def test_the_margin_is_four_times_the_largest_error_on_made_images():
    class Off(Told):
        def score(self, stamps):
            odds = stamps["VIS"].mean(axis=(1, 2)).astype(np.float64) * self.rounding
            p = (1 / (1 + np.exp(-odds))).astype(np.float32)
            return EnsembleScores({"A": p}, p * 0, p, None, None)

    sweep = make_sweep(Off(1.1), "bfloat16", Off(1.0), 0.5)
    means = made_stamps(CHALLENGE, 32)["VIS"].mean(axis=(1, 2))
    assert sweep.margin == pytest.approx(4 * 0.1 * np.abs(means).max(), rel=1e-3)
    assert make_sweep(Off(1.0), "bfloat16", Off(1.0), 0.5).margin == MIN_MARGIN


def test_made_images_are_the_same_every_time_and_span_faint_to_bright():
    first, second = made_stamps(MER_10, 32), made_stamps(MER_10, 32)
    assert all(np.array_equal(first[band], second[band]) for band in MER_10.grids)
    peaks = first["VIS"].max(axis=(1, 2))
    assert peaks[0] < 10
    assert peaks[-1] > 100


@pytest.mark.parametrize(("name", "geometry", "n"), [("mer3-sim", MER_10, 96), ("ou7-sim", CHALLENGE, 32)])
def test_the_shipped_networks_give_the_same_candidates_swept_and_not(name, geometry, n):
    engine = resolve_engine("auto")
    if fast_precision(engine) is None:
        pytest.skip(f"{engine} has no faster precision on this machine")
    stamps = made_stamps(geometry, n)
    rows = [Cutout({band: images[i] for band, images in stamps.items()}) for i in range(n)]
    exact = open_scanner(SHIPPED_DIR / name, ScanConfig(sweep=False), 1).score(rows)
    threshold = float(np.sort(exact["p_lens"].to_numpy())[-n // 8])
    swept = open_scanner(SHIPPED_DIR / name, ScanConfig(candidate_threshold=threshold), 1).score(rows)
    is_candidate = exact["p_lens"].to_numpy() >= threshold
    assert swept.filter(is_candidate).equals(exact.filter(is_candidate))
    assert ((swept["p_lens"].to_numpy() >= threshold) == is_candidate).all()
    fast = np.array(swept["precision"].to_pylist()) == "bfloat16"
    assert fast.any()
    assert 0 < largest_error(swept["p_lens"].to_numpy()[fast], exact["p_lens"].to_numpy()[fast]) < 0.5
