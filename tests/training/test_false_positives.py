"""Copy non-lenses that an ensemble scores highly, from folders in a folder, and leave lenses and other objects."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from infra.progress import no_progress
from scanner.networks.package import load_scorer
from tests.scanner.ensembles import SPECS, write_test_package
from tests.training.shards import write_shards
from training.errors import TrainingError
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
