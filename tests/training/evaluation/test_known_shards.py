"""Kinds of shards are read without pixels, and every error names the file."""

from pathlib import Path

import pytest

from scanner.vocabulary.kinds import KINDS
from tests.damaged_parquet import with_damaged_footer
from tests.training.shards import write_shards
from training.errors import TrainingError
from training.evaluation.known_shards import decoded, footer_of, kind_counts, kinds_in, read_kinds


def test_kinds_are_indices_in_the_order_of_the_shards(tmp_path):
    write_shards(tmp_path, 10)
    paths = sorted(tmp_path.glob("*.parquet"))
    found = read_kinds(map(str, paths))
    assert found.tolist() == [i % len(KINDS) for i in range(10)]
    assert kinds_in("x", decoded("x", paths[1].read_bytes())).tolist() == found[5:].tolist()
    assert kind_counts(found) == dict(zip(KINDS, (3, 3, 2, 2), strict=True))
    assert read_kinds([]).tolist() == []


@pytest.mark.parametrize("kind", [None, "quasar"])
def test_objects_of_no_known_kind_are_refused(tmp_path, kind):
    write_shards(tmp_path, 4, n_shards=1, kinds=("single", kind))
    path = tmp_path / "shard-00000.parquet"
    says = rf"shard-00000\.parquet: kind must be one of .*, got \['{kind}'\]"
    with pytest.raises(TrainingError, match=says):
        read_kinds([str(path)])
    with pytest.raises(TrainingError, match=says):
        kinds_in(str(path), decoded(str(path), path.read_bytes()))


def test_files_that_are_no_shards_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    shard = Path(write_shards(tmp_path / "shards", 1, n_shards=1)) / "shard-00000.parquet"
    for content in (b"no shard", with_damaged_footer(shard.read_bytes())):
        path.write_bytes(content)
        for read in (footer_of, lambda uri: read_kinds([uri]), lambda uri: decoded(uri, path.read_bytes())):
            with pytest.raises(TrainingError, match=r"a\.parquet: not a readable Parquet"):
                read(str(path))
