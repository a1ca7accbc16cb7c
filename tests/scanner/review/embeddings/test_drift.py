"""Drift of nights whose objects are drawn from the reference, and of one that is not."""

import numpy as np
import pytest

from scanner.networks.feature_reference import AXES, QUANTITIES
from scanner.review.embeddings.drift import LARGE, night_drifts
from scanner.review.embeddings.rows import EmbeddingsError
from scanner.stability import stability
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished
from tests.scanner.ensembles import SPECS, write_test_package
from tests.scanner.feature_references import drawn_reference, give_reference

N = 400
LATER = "2026-11-25"


@pytest.fixture
def package(tmp_path):
    write_test_package(tmp_path / "ensembles" / "test", SPECS[:1])
    return give_reference(tmp_path / "ensembles" / "test", drawn_reference(5))


def night_of(root, card, night=NIGHT, shift=0.0, seed=0, **changes):
    """Write a night of two tiles whose log-odds and axes are standard normal, the axes of the second tile moved by a shift."""
    rng = np.random.default_rng(seed)
    odds, axes = rng.normal(size=N), rng.normal(size=(N, 32))
    axes[N // 2 :] += shift
    p_lens = (1 / (1 + np.exp(-odds))).tolist()
    tiles = {"a": dict(enumerate(p_lens[: N // 2])), "b": {i: p_lens[i] for i in range(N // 2, N)} | {N: None}}
    embeddings = {i: row for i, row in enumerate(axes.astype(np.float32).tolist()) if i % 4}
    options = {"reference_sha256": card.reference_sha256, "ensemble": EnsembleName("test", card.sha256)} | changes
    finished(root, tiles, night=night, embeddings=embeddings, **options)
    return odds, axes.astype(np.float32)


def test_the_index_is_that_of_the_histograms(tmp_path, package):
    odds, axes = night_of(str(tmp_path / "cat"), package)
    night, a, b = night_drifts(str(tmp_path / "cat"), None, tmp_path / "ensembles")
    assert [(of.night, of.tile, of.ensemble) for of in (night, a, b)] == [
        (NIGHT, None, "test"),
        (NIGHT, "a", "test"),
        (NIGHT, "b", "test"),
    ]
    assert [of.quantity for of in night.quantities] == list(QUANTITIES)
    seen = np.arange(N) % 4 > 0
    values = {"p_lens": odds, **{name: axes[seen, k] for k, name in enumerate(AXES)}}
    for of in night.quantities:
        if of.quantity == "anomaly":
            assert of.n == seen.sum()
            continue
        histogram = drawn_reference(5).histograms[of.quantity]
        counts = np.histogram(values[of.quantity], [-np.inf, *histogram.edges, np.inf])[0]
        expected = stability(histogram.counts, counts)
        assert (of.n, of.index, of.expected, of.p_chance) == (len(values[of.quantity]), *map(pytest.approx, expected))
        assert not of.differs
    # Tiles hold each row once; the rejected one is in none.
    assert [sum(of.quantities[0].n for of in (a, b)), night.quantities[0].n] == [N, N]


def test_shards_of_one_name_are_counted_together(tmp_path, package):
    root = str(tmp_path / "cat")
    options = {"reference_sha256": package.reference_sha256, "ensemble": EnsembleName("test", package.sha256), "kind": "shard"}
    for first, n in ((0, 200), (1000, 100)):
        p_lens = {first + i: (i + 0.5) / n for i in range(n)}
        finished(root, {"shard": p_lens}, embeddings={i: [0.0] * 32 for i in p_lens}, **options)
    night, shard = night_drifts(root, None, tmp_path / "ensembles")
    assert (night.tile, shard.tile) == (None, "shard")
    assert [{of.n for of in drift.quantities} for drift in (night, shard)] == [{300}, {300}]


def test_a_tile_that_has_moved_is_told(tmp_path, package):
    night_of(str(tmp_path / "cat"), package, shift=1.0)
    _, a, b = night_drifts(str(tmp_path / "cat"), NIGHT, tmp_path / "ensembles")
    moved = {of.quantity for of in b.quantities if of.differs}
    assert moved >= set(AXES)
    assert "p_lens" not in moved
    assert not {of.quantity for of in a.quantities if of.differs} & {"p_lens", *AXES}
    assert all(of.index > LARGE for of in b.quantities if of.differs)


def test_chance_alone_is_no_drift(tmp_path, package):
    """Few objects have a large index by chance: of 12 tiny nights, none differs in what is drawn from the reference."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        p_lens = dict(enumerate((1 / (1 + np.exp(-rng.normal(size=9)))).tolist()))
        values = dict(enumerate(rng.normal(size=(9, 32)).astype(np.float32).tolist()))
        options = {"reference_sha256": package.reference_sha256, "ensemble": EnsembleName("test", package.sha256)}
        finished(str(tmp_path / "cat"), {"a": p_lens}, night=f"2026-10-{seed + 1:02}", embeddings=values, **options)
    found = [of for of in night_drifts(str(tmp_path / "cat"), None, tmp_path / "ensembles") if of.tile is None]
    drawn = [of for night in found for of in night.quantities if of.quantity != "anomaly"]
    assert len(found) == 12
    assert max(of.index for of in drawn) > LARGE
    assert not any(of.differs for of in drawn)


def test_what_is_missing_is_said(tmp_path, package):
    root = str(tmp_path / "cat")
    finished(root, {"a": {1: 0.9}})
    with pytest.raises(EmbeddingsError, match="its scans had none"):
        night_drifts(root, None, tmp_path / "ensembles")
    night_of(root, package, LATER, reference_sha256="c" * 64)
    with pytest.raises(EmbeddingsError, match="needs the reference cccccccccccc of the scan"):
        night_drifts(root, LATER, tmp_path / "ensembles")
    with pytest.raises(EmbeddingsError, match=f"drift needs the ensemble that scanned night {LATER}"):
        night_drifts(root, LATER, tmp_path / "none")
