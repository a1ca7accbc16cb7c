"""Stamps made together equal, bit for bit, those that `to_cutout` makes one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.sources.cutouts import to_cutout
from scanner.sources.stamps import BatchBuilder, Windows, cut_stamps
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.rejections import RejectCode, Rejection

GRID = Grid(24, 0.1)
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e30, -1e31, 3e38, 1e-38, 1e-44, 7.0]


def spoil(window, rng, how):
    """Change a window in place by a defect that occurs in mosaics."""
    box = tuple(slice(*sorted(rng.integers(0, len(window) + 1, 2))) for _ in range(2))
    if how == "special":
        window[tuple(rng.integers(0, len(window), (2, rng.integers(1, 80))))] = rng.choice(SPECIAL)
    elif how == "box":
        window[box] = rng.choice(SPECIAL)
    elif how == "constant":
        window[:] = rng.choice(SPECIAL)
    elif how == "nearly constant":
        window *= np.float32(10 ** rng.uniform(-5, -1))
        window += np.float32(10 ** rng.uniform(0, 4))
    elif how == "scaled":
        window *= np.float32(10 ** rng.uniform(-34, 34))


def windows_of(images, is_whole, rng, scale):
    """Return the images stacked along y in a ring buffer with a random start, with other pixels to the left and right."""
    n, side = images.shape[:2]
    left = int(rng.integers(0, 5))
    rows = np.pad(images.reshape(n * side, side), [(0, 0), (left, 3)], constant_values=np.nan)
    turn = int(rng.integers(0, n * side))
    return Windows(np.roll(rows, turn, axis=0), side * np.arange(n) + turn, np.full(n, left), is_whole, side, scale)


def alone(images, geometry):
    try:
        return to_cutout(images, geometry)
    except Rejection as rejection:
        return rejection


@settings(max_examples=200)
@given(
    st.integers(0, 2**32),
    st.sampled_from(
        [(24, 0.1), (26, 0.1), (40, 0.1), (25, 0.1), (24, 0.1003), (72, 0.1 / 3), (74, 0.033), (18, 0.15), (16, 0.1)]
    ),
    st.lists(st.sampled_from(["", "special", "box", "constant", "nearly constant", "scaled"]), min_size=1, max_size=6),
)
def test_the_fast_path_equals_the_slow_path(seed, grid, hows):
    side, scale = grid
    rng = np.random.default_rng(seed)
    n = len(hows)
    geometry = Geometry("test", {"VIS": GRID, "H": Grid(8, 0.3)})
    bands, windows = {}, {}
    for band in geometry.grids:
        images = rng.normal(rng.choice([0.0, 1.0, 100.0]), 1, (n, side, side)).astype(np.float32)
        outside = np.zeros(images.shape, dtype=bool)
        for i, how in enumerate(hows):
            spoil(images[i], rng, how)
            if rng.random() < 0.2:
                outside[i, : rng.integers(1, side)] = True
        bands[band] = [BandImage(images[i], scale, outside[i] if outside[i].any() else None) for i in range(n)]
        windows[band] = windows_of(images, ~outside.any(axis=(1, 2)), rng, scale)
    builder = BatchBuilder(np.arange(10, 10 + n), geometry)
    part = int(rng.integers(0, n + 1))
    for slots in (np.arange(part), np.arange(part, n)):
        some = {band: Windows(w.rows, w.y[slots], w.x[slots], w.is_whole[slots], side, scale) for band, w in windows.items()}
        builder.fill(slots, some, lambda slot: {band: bands[band][slot] for band in bands})
    batch = builder.batch()
    assert sorted([*batch.rows.tolist(), *(place for place, _ in batch.rejected)]) == list(range(10, 10 + n))
    found = {int(place): i for i, place in enumerate(batch.rows)}
    for i in range(n):
        cutout = alone({band: bands[band][i] for band in bands}, geometry)
        if isinstance(cutout, Rejection):
            assert (10 + i, str(cutout)) in [(place, str(reason)) for place, reason in batch.rejected]
            continue
        assert batch.notes[found[10 + i]] == cutout.notes
        for band, stamp in cutout.stamps.items():
            assert batch.stamps[band][found[10 + i]].tobytes() == stamp.tobytes()


@pytest.mark.parametrize(("side", "scale"), [(24, 0.1), (30, 0.1), (72, 0.1 / 3), (24, 0.1003)])
def test_good_windows_take_the_fast_path(side, scale):
    """Windows with masked zeros and with faint or bright noise take the fast path too."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (5, side, side)).astype(np.float32)
    images[1, :5] = 0
    images[2] *= 1e-9
    images[3] *= 1e9
    out = np.empty((5, 24, 24), np.float32)
    assert cut_stamps(windows_of(images, np.ones(5, dtype=bool), rng, scale), GRID, np.arange(5), out).all()


def test_windows_that_cannot_be_whole_stamps_are_skipped():
    rng = np.random.default_rng(0)
    for side, scale, is_whole in [(15, 0.2, True), (24, 6.0, True), (24, 1e-3, True), (20, 0.1, True), (24, 0.1, False)]:
        images = rng.normal(0, 1, (1, side, side)).astype(np.float32)
        out = np.zeros((1, 24, 24), np.float32)
        windows = windows_of(images, np.array([is_whole]), rng, scale)
        assert not cut_stamps(windows, GRID, np.arange(1), out).any()


def is_clean(window, size=24):
    """Return whether a window, whose middle is the stamp, takes the fast path."""
    n = len(window)
    windows = Windows(window.astype(np.float32), np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, bool), n, 0.1)
    (found,) = cut_stamps(windows, Grid(size, 0.1), np.zeros(1, np.int64), np.empty((1, size, size), np.float32))
    return bool(found)


def chess(low, high, n=24):
    return np.where(np.indices((n, n)).sum(axis=0) % 2, high, low)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 4.9e29, True),
        (0, 5.1e29, False),
        (-4.9e29, 0, True),
        (-5.1e29, 0, False),
        (1, 1 + 2.2e-5, True),
        (1, 1 + 1.8e-5, False),
        (-1 - 2.2e-5, -1, True),
        (-1 - 1.8e-5, -1, False),
        (-1e-5, 1.2e-5, True),
        (0, 2.2e-30, True),
        (0, 1.8e-30, False),
        (-1.1e-30, 1.1e-30, True),
        (-0.9e-30, 0.9e-30, False),
        (0, np.inf, False),
        (-np.inf, 0, False),
        (np.nan, 1, False),
        (-np.nan, 1, False),
        (3, 3, False),
    ],
)
def test_windows_near_a_limit_take_the_slow_path(low, high, expected):
    """`to_cutout` rejects values above 1e30, and variations below 1e-5 of the largest value or below 1e-30.

    Windows within a factor of two of these limits take the slow path.
    """
    assert is_clean(chess(low, high)) is expected


@pytest.mark.parametrize("n", [24, 30])
def test_windows_with_values_of_both_signs_take_the_fast_path(n):
    """The values have one magnitude, so that only their signs differ, in the stamp and in the window around it."""
    assert is_clean(chess(-1.0, 1.0, n))
    assert not is_clean(chess(-1.0, -1.0, n))


def test_the_window_and_its_middle_must_both_vary_well():
    good = chess(0.0, 1.0, 30)
    assert is_clean(good)
    constant_middle = good.copy()
    constant_middle[3:27, 3:27] = 1
    assert not is_clean(constant_middle)
    # One non-finite pixel lies in the first or last row or column, outside the stamp, or in the stamp's corner.
    for place in [(0, 0), (0, 29), (29, 0), (29, 29), (2, 10), (27, 10), (3, 3), (26, 26)]:
        spoiled = good.copy()
        spoiled[place] = np.nan
        assert not is_clean(spoiled), place


def test_a_batch_has_its_accepted_rows_in_order():
    geometry = Geometry("test", {"VIS": GRID})
    images = np.random.default_rng(1).normal(0, 1, (4, 24, 24)).astype(np.float32)
    places, reasons = np.array([7, 5, 9, 2]), {3: "third", 1: "first"}
    builder = BatchBuilder(places, geometry)
    for slot, reason in reasons.items():
        builder.reject(slot, Rejection(RejectCode.OUTSIDE_TILE, reason))
    kept = np.array([0, 2])
    windows = windows_of(images[kept], np.ones(2, dtype=bool), np.random.default_rng(2), 0.1)
    builder.fill(kept, {"VIS": windows}, lambda _slot: pytest.fail("took the slow path"))
    batch = builder.batch()
    assert (batch.rows.tolist(), batch.notes, batch.n_rows) == ([7, 9], [(), ()], 4)
    np.testing.assert_array_equal(batch.stamps["VIS"], images[kept])
    assert [(place, rejection.detail) for place, rejection in batch.rejected] == [(5, "first"), (2, "third")]


def test_the_slow_path_fills_or_rejects_the_slot():
    geometry = Geometry("test", {"VIS": GRID})
    images = np.random.default_rng(1).normal(0, 1, (3, 24, 24)).astype(np.float32)
    images[1, 4, 4] = np.nan
    images[2] = 0
    builder, asked = BatchBuilder(np.array([10, 11, 12]), geometry), []
    windows = windows_of(images, np.ones(3, dtype=bool), np.random.default_rng(2), 0.1)
    builder.fill(np.arange(3), {"VIS": windows}, lambda slot: (asked.append(slot), {"VIS": BandImage(images[slot], 0.1)})[1])
    batch = builder.batch()
    assert asked == [1, 2]
    assert (batch.rows.tolist(), batch.notes) == ([10, 11], [(), ("filled: VIS",)])
    assert batch.stamps["VIS"][1, 4, 4] == np.median(images[1][np.isfinite(images[1])].astype(np.float64)).astype(np.float32)
    assert [(place, rejection.code) for place, rejection in batch.rejected] == [(12, RejectCode.BLANK)]


@pytest.mark.parametrize("n_bad", [0, 57, 58])
def test_a_window_of_a_mosaic_fares_as_a_larger_cutout(n_bad):
    """A tenth of a stamp is 57.6 pixels; the larger cutout has bad pixels around the stamp, too."""
    geometry = Geometry("test", {"VIS": GRID})
    larger = np.random.default_rng(1).normal(0, 1, (40, 40)).astype(np.float32)
    window = larger[None, 8:32, 8:32].copy()
    window[0].reshape(-1)[:n_bad] = np.nan
    larger[:], larger[8:32, 8:32] = np.nan, window[0]
    builder = BatchBuilder(np.arange(1), geometry)
    windows = windows_of(window, np.ones(1, dtype=bool), np.random.default_rng(2), 0.1)
    builder.fill(np.arange(1), {"VIS": windows}, lambda _slot: {"VIS": BandImage(window[0], 0.1)})
    batch, cutout = builder.batch(), alone({"VIS": BandImage(larger, 0.1)}, geometry)
    if n_bad > 57:
        assert [str(reason) for _, reason in batch.rejected] == [str(cutout)]
        return
    assert batch.notes == [cutout.notes]
    np.testing.assert_array_equal(batch.stamps["VIS"][0], cutout.stamps["VIS"])
