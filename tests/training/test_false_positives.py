"""Copy non-lenses that an ensemble scores highly, from folders in a folder, and leave lenses and other objects."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from infra.progress import no_progress
from infra.store.storage import read_bytes
from scanner.networks.package import load_scorer
from scanner.sources.shard_batches import shard_batches
from tests.scanner.cascades import candidate_stage, lens_regression, write_cascade
from tests.scanner.ensembles import SPECS, write_test_package
from tests.training.shards import write_shards
from training.errors import TrainingError
from training.evaluation.known_shards import decoded
from training.evaluation.shard_scores import score_shards, shard_footers
from training.false_positives import copy_false_positives


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two folders of shards, an ensemble, and its scores and the kinds of the objects by folder and id."""
    root = tmp_path_factory.mktemp("copies")
    write_test_package(root / "package", SPECS[:1])
    write_shards(root / "shards" / "a", 16, seed=1)
    write_shards(root / "shards" / "b", 16, seed=2)
    scorer = load_scorer(root / "package")
    known = {}
    for uri, footer in shard_footers(str(root / "shards")).items():
        scores, truth = score_shards({uri: footer}, scorer, no_progress)
        for object_id, p, kind in zip(
            pq.read_table(uri)["object_id"].to_pylist(), scores["p_lens"].to_pylist(), truth["kind"].to_pylist(), strict=True
        ):
            known[uri.split("/")[-2], object_id] = p, kind
    return root, scorer, known


def test_only_nonlenses_above_the_threshold_are_copied(made, tmp_path):
    root, scorer, known = made
    threshold = float(np.median([p for p, kind in known.values() if kind == "nonlens"]))
    reports = []
    found = copy_false_positives(scorer, str(root / "shards"), str(tmp_path), threshold, lambda *done: reports.append(done))
    expected = sorted(key for key, (p, kind) in known.items() if kind == "nonlens" and p >= threshold)
    copied = sorted(
        (path.parent.name, object_id)
        for path in tmp_path.rglob("*.parquet")
        for object_id in pq.read_table(path)["object_id"].to_pylist()
    )
    assert copied == expected
    assert 4 <= len(expected) < 8
    assert (found.n_nonlenses, found.n_copied, found.folder) == (8, len(expected), str(tmp_path))
    assert reports == [(8, 32), (16, 32), (24, 32), (32, 32)]
    for path in tmp_path.rglob("*.parquet"):
        original = pq.read_table(root / "shards" / path.relative_to(tmp_path))
        copy = pq.read_table(path)
        assert copy.schema.equals(original.schema, check_metadata=True)
        rows = [original["object_id"].to_pylist().index(object_id) for object_id in copy["object_id"].to_pylist()]
        assert copy.equals(original.take(rows))


def test_a_non_lens_counts_before_its_correction_too(tmp_path):
    """A candidate network that corrects p_lens looks at what the committee takes for a lens, and must learn it."""
    for name, bias in (("low", -30.0), ("high", 30.0)):
        lens = lens_regression(from_p_lens=1e-6, bias=bias)
        write_cascade(tmp_path / name, 1e-9, candidate_stage=candidate_stage(lens=lens), default_cut=1e-6)
    shards = write_shards(tmp_path / "shards", 16, seed=1)
    uncorrected = load_scorer(tmp_path / "low")
    stamps = [decoded(uri, read_bytes(uri)) for uri in shard_footers(shards)]
    batches = [batch for shard in stamps for batch in shard_batches(shard, np.arange(8), uncorrected.geometry, 8)]
    scores = [uncorrected.score(batch.stamps) for batch in batches]
    is_nonlens = np.arange(16) % 4 == 0
    committee, corrected = (np.concatenate([getattr(of, name) for of in scores]) for name in ("p_uncorrected", "p_lens"))
    above = float(np.median(committee[is_nonlens]))
    assert corrected.max() < above
    for name, n in (("low", 2), ("high", 4)):
        found = copy_false_positives(load_scorer(tmp_path / name), shards, str(tmp_path / f"{name}-out"), above, no_progress)
        assert (found.n_nonlenses, found.n_copied) == (4, n)


def test_an_object_at_the_threshold_is_copied(made, tmp_path):
    root, scorer, known = made
    scores = sorted(p for p, kind in known.values() if kind == "nonlens")
    assert copy_false_positives(scorer, str(root / "shards"), str(tmp_path), scores[-2], no_progress).n_copied == 2


def test_no_file_is_written_where_no_object_deceives(made, tmp_path):
    root, scorer, _ = made
    found = copy_false_positives(scorer, str(root / "shards" / "a"), str(tmp_path / "out"), 1.1, no_progress)
    assert found.n_copied == 0
    assert not (tmp_path / "out").exists()


def test_a_second_try_keeps_what_the_first_wrote(made, tmp_path, monkeypatch):
    root, scorer, known = made
    threshold = float(np.median([p for p, kind in known.values() if kind == "nonlens"]))
    monkeypatch.chdir(tmp_path)
    given = scorer, str(root / "shards"), "out", threshold
    first = copy_false_positives(*given, no_progress)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    max(written).unlink()
    assert copy_false_positives(*given, no_progress) == first
    again = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert again.keys() == written.keys()
    assert {path for path in written if again[path] != written[path]} <= {max(written)}


@pytest.mark.parametrize("case", ["higher", "lower", "other shards"])
def test_copies_of_another_call_are_refused(made, tmp_path, case):
    root, scorer, known = made
    middle = float(np.median([p for p, kind in known.values() if kind == "nonlens"]))
    folder, above = {"higher": ("shards", 1.1), "lower": ("shards", 0.0), "other shards": ("shards/a", middle)}[case]
    copy_false_positives(scorer, str(root / "shards"), str(tmp_path), middle, no_progress)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    with pytest.raises(TrainingError, match=r"shard-0000\d\.parquet: holds other objects than this call copies"):
        copy_false_positives(scorer, str(root / folder), str(tmp_path), above, no_progress)
    assert {path: path.read_bytes() for path in before} == before


def test_kinds_are_needed(made, tmp_path):
    _, scorer, _ = made
    shards = write_shards(tmp_path / "shards", 8, kinds=("nonlens", None))
    with pytest.raises(TrainingError, match=r"shard-00000\.parquet: kind must be one of .*None"):
        copy_false_positives(scorer, shards, str(tmp_path / "out"), 0.0, no_progress)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["", "/", "/deeper"])
def test_copies_may_not_lie_among_the_originals(made, inside):
    root, scorer, _ = made
    with pytest.raises(TrainingError, match="need a folder outside of"):
        copy_false_positives(scorer, str(root / "shards"), f"{root}/shards{inside}", 0.5, no_progress)
