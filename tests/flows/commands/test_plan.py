"""`lensscan plan`, with measured and with given numbers."""

import json

import numpy as np
import pytest

from flows.commands.plan import PlanArgumentsError, describe_plan
from scanner.scan import measure as measuring
from scanner.scan.errors import ScanError
from scanner.scan.sweep import synthetic_stamps
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from tests.imports_of_commands import heavy_imports
from tests.tiles import write_tiles


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for name, n in (("a", 30), ("b", 40)):
        table = shard_table(np.arange(n) + 100 * len(name), synthetic_stamps(MER_10, n), {}, MER_10)
        (folder / f"{name}.parquet").write_bytes(encode_shard(table))
    return folder


@pytest.fixture
def measured_units(monkeypatch):
    """Record which unit is measured with how many threads; the measurement itself takes the usual way."""
    units, measure = [], measuring.measure

    def spied(unit, plan, package, threads, threshold):
        units.append((unit.unit_id, threads))
        return measure(unit, plan, package, threads, threshold)

    monkeypatch.setattr(measuring, "measure", spied)
    return units


def test_a_prediction_is_of_the_input_or_of_like_units(shards, measured_units, monkeypatch):
    monkeypatch.setattr("flows.commands.plan.os.cpu_count", lambda: 4)
    whole = describe_plan(str(shards), measured=True, exact=True, workers=2, maps=3, threshold=0.01)
    assert (whole.input.units, whole.input.rows) == (2, 40)
    assert measured_units == [("a", 2)]
    found = whole.prediction
    assert (found.estimate.n_units, found.estimate.n_rows, found.is_of_input) == (2, 40, True)
    assert (found.threshold, found.cost) == (0.01, None)
    # Too few rows are scored for a share, but the ensemble was evaluated.
    assert found.candidates_by_sample is None
    assert 40 * 0.0025 < found.candidates_by_evaluation.value < 40 * 0.005
    priced = describe_plan(str(shards), measured=True, exact=True, workers=2, n_units=10, price_per_core_hour=0.5)
    assert (priced.prediction.estimate.n_units, priced.prediction.is_of_input) == (10, False)
    assert priced.prediction.estimate.n_rows == 10 * 30
    assert priced.prediction.cost == 0.5 * priced.prediction.estimate.core_hours
    assert priced.prediction.estimate.core_hours > 0
    told = json.loads(json.dumps(priced.to_json()))
    assert (told["ensemble"], told["units"], told["rows"], told["estimate"]["n_units"]) == ("mer3-cascade", 2, 40, 10)
    assert told["measured"]["unit_id"] == "a"


@pytest.mark.parametrize(
    ("options", "named"),
    [({"n_units": 5}, "--units"), ({"workers": 2, "price_per_core_hour": 0.1}, "--workers, --price-per-core-hour")],
)
def test_options_of_the_prediction_need_it(options, named):
    with pytest.raises(PlanArgumentsError, match=f"^{named} needs --estimate"):
        describe_plan("nowhere", **options)


def test_a_tile_that_lacks_a_band_is_not_measured(tmp_path, measured_units):
    write_tiles(tmp_path, 2, 6)
    whole = describe_plan(str(tmp_path), measured=True, exact=True, workers=1, maps=0).prediction
    measured_units.clear()
    next(tmp_path.glob("*NIR-H*TILE000000001*")).unlink()
    found = describe_plan(str(tmp_path), measured=True, exact=True, workers=1, maps=0)
    assert [unit for unit, _ in measured_units] == ["000000002"]
    # Its rows are rejected, so they cost and yield nothing.
    predicted = found.prediction.estimate
    assert (found.input.rows, predicted.n_units, predicted.n_rows) == (12, 1, 6)
    assert predicted.read_bytes < found.input.input_bytes
    assert found.prediction.candidates_by_evaluation.value == pytest.approx(whole.candidates_by_evaluation.value / 2)
    next(tmp_path.glob("*VIS*TILE000000002*")).unlink()
    with pytest.raises(ScanError, match="no tile has a mosaic of every band"):
        describe_plan(str(tmp_path), measured=True)


def test_a_plan_without_a_prediction_starts_without_networks(tmp_path):
    write_tiles(tmp_path, 1, 3)
    assert heavy_imports("plan", str(tmp_path)) <= {"numpy", "pyarrow", "astropy"}
