"""A full disk raises an error that names it and leaves no partial file; the same call succeeds once there is space."""

import subprocess
import sys

import duckdb
import pytest

from infra.store import posix
from infra.store.storage import CreateOutcome, StorageError, create_if_absent, list_files, read_bytes
from scanner.catalogue.ledger import Outcome, committed, pending, publish
from tests.faults.harness.small_disk import small_disk
from tests.scanner.catalogue_parts import plan_of, random_scores

pytestmark = pytest.mark.fault(33)
N_ROWS = 2000


@pytest.fixture(params=["size=256k", "nr_inodes=9"], ids=["no_bytes", "no_inodes"])
def disk(request, tmp_path):
    with small_disk(tmp_path / "disk", request.param) as folder:
        yield folder


def fill(disk):
    """Fill the disk; return the files whose removal frees space again."""
    fillers = []
    while True:
        path = disk / f"filler-{len(fillers)}"
        try:
            fillers.append(path)
            path.write_bytes(bytes(16_384))
        except OSError:
            return [filler for filler in fillers if filler.exists()]


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_a_unit_stays_pending_while_the_disk_is_full(disk, rng, monkeypatch, named, measured):
    if named:
        monkeypatch.setattr(posix, "_link_unnamed", lambda *_: False)
    root, ids = disk / "catalogue", list(range(N_ROWS))
    plan = plan_of({"a": ids, "b": [N_ROWS]})
    first, small = plan.units
    publish(random_scores(rng, [N_ROWS]), small, plan, str(root), "before")
    table = random_scores(rng, ids)
    fillers = fill(disk)
    for _ in range(3):
        with pytest.raises(StorageError, match=r"a\.unit: cannot be created: No space left on device"):
            publish(table, first, plan, str(root), "while full")
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["b.unit"]
    with duckdb.connect() as connection:
        assert connection.execute("SELECT count(*) FROM read_parquet(?)", [f"{root}/**/*.unit"]).fetchall() == [(1,)]
    assert pending(plan, str(root)) == [first]
    for filler in fillers:
        filler.unlink()
    assert publish(table, first, plan, str(root), "after").outcome is Outcome.COMMITTED
    assert committed(first, plan, str(root)).n_rows == N_ROWS
    assert pending(plan, str(root)) == []
    measured(runs=3)


LIMITED = """
import resource, sys
from infra.store import posix
from infra.store.storage import create_if_absent, StorageError
if sys.argv[2] == "named":
    posix._link_unnamed = lambda *_: False
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
for size in (20_000, 10_000):
    try:
        print(create_if_absent(f"{sys.argv[1]}/{size}", bytes(size), "1"))
    except StorageError as error:
        print(error)
"""


@pytest.mark.parametrize("named", ["unnamed", "named"])
def test_a_file_above_the_size_limit_leaves_nothing(tmp_path, named):
    """Python ignores SIGXFSZ: the write itself fails, after its first part."""
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path, named], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{tmp_path}/20000: cannot be created: File too large", "created"]
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["10000"]
    assert create_if_absent(f"{tmp_path}/20000", bytes(20_000), "1") is CreateOutcome.CREATED
    assert read_bytes(f"{tmp_path}/20000") == bytes(20_000)
    assert len(list_files(str(tmp_path))) == 2
