"""A small scan runs in processes without Ray; one that is killed inside a unit costs no row."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from scanner.scan.request import ScanRequest
from scanner.workers import local
from scanner.workers.local import local_pool
from scanner.workers.pools import MOST_LOCAL_ROWS, is_local
from scanner.workers.run import scan_night
from tests.faults.harness.harm import assert_none, compare, read_files
from tests.faults.harness.scanned_night import NIGHT, write_shards
from tests.scanner.catalogue_parts import unit_of
from tests.scanner.ensembles import SPECS, write_test_package

N_UNITS, N_ROWS = 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    write_test_package(folder / "package", SPECS[:1])
    return write_shards(folder / "shards", N_UNITS, N_ROWS, {}), folder / "package"


@pytest.fixture
def scan(made, forked_workers, tmp_path, monkeypatch):
    """Return a function that scans with faulty workers, and returns the summary and the rows of all units."""
    monkeypatch.setattr("infra.ray.cluster.ray_session", None)
    monkeypatch.setattr(local, "SCANNER", "tests.faults.harness.worker_faults:FaultyScanner")
    monkeypatch.setenv("FAULT_FLAGS", str(tmp_path))
    source, package = made

    def run(name, **faults):
        for variable, value in faults.items():
            monkeypatch.setenv(variable, value)
        request = ScanRequest(input_uri=str(source), night=NIGHT, package=package, engine="torch", candidate_threshold=0.5)
        summary = scan_night(request, str(tmp_path / name), workers=2)
        return summary, read_files(sorted((tmp_path / name / "_scan" / "units").rglob("*.unit")))[0]

    return run


def test_a_worker_killed_inside_a_unit_costs_no_row(scan):
    undisturbed, expected = scan("undisturbed")
    killed, found = scan("killed", FAULT_CRASH_AT="opened")
    assert (undisturbed.n_workers_lost, killed.n_workers_lost) == (0, 1)
    for summary in (undisturbed, killed):
        assert summary.rows_by_status == {"scored": N_UNITS * N_ROWS}
        assert summary.units_by_outcome == {"committed": N_UNITS}
    assert len(found) == N_UNITS
    for one, other in zip(found, expected, strict=True):
        assert_none(compare(one, other))


def test_the_limit_of_rows_and_an_address_decide():
    few, many = ([unit_of("a", range(n))] for n in (MOST_LOCAL_ROWS, MOST_LOCAL_ROWS + 1))
    assert is_local(few, None)
    assert not is_local(many, None)
    assert not is_local(few, "local")


def test_the_command_imports_no_slow_library():
    code = (
        "import sys, flows.cli.main, flows.commands.scan, flows.ensembles, scanner.workers.run, scanner.scan.request\n"
        "print([m for m in ('torch', 'ray', 'prefect', 'openvino', 'numba', 'scipy', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_worker_draws_maps_without_a_plotting_library():
    code = (
        "import sys, scanner.workers.unit_scanner\n"
        "from scanner.explain.candidate_maps import candidate_mapper\n"
        "from scanner.networks.card_file import read_card\n"
        "from scanner.networks.locate import SHIPPED_DIR\n"
        "from scanner.scan.sweep import synthetic_stamps\n"
        "from scanner.vocabulary.geometry import MER_10\n"
        "folder = SHIPPED_DIR / 'mer3-sim'\n"
        "found = candidate_mapper(folder, read_card(folder)).maps(synthetic_stamps(MER_10, 1))\n"
        "print(found.map_guided.shape, [m for m in ('matplotlib', 'captum') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "(1, 40, 40) []\n"


@pytest.fixture
def started(monkeypatch):
    """Record the number of workers of each pool, and the number of threads of each worker, on a machine of eight cores."""
    pools = []
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(local, "LocalPool", lambda _, given, n, *__: pools.append((n, given[3])))
    return pools


@pytest.mark.parametrize(
    ("n_rows", "n", "threads"),
    [([3, 3], 1, 8), ([999], 1, 8), ([400, 600], 2, 4), ([600, 600, 1800], 3, 2), ([9000], 1, 2), ([2000] * 5, 4, 2)],
)
def test_more_rows_get_more_workers(started, n_rows, n, threads):
    units = [unit_of(str(i), range(rows)) for i, rows in enumerate(n_rows)]
    local_pool(SimpleNamespace(units=units), units, None, "", 4)
    assert started == [(n, threads)]


def test_what_is_left_of_a_plan_has_the_same_threads(started):
    units = [unit_of(str(i), range(2000)) for i in range(4)]
    for todo in (units, units[:1]):
        local_pool(SimpleNamespace(units=units), todo, None, "", 4)
    assert started == [(4, 2), (1, 2)]


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="workers must be >= 1, got 0"):
        local_pool(None, [], None, "", 0)
