"""The command `lensscan completeness` passes its options on, and copies its table."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from flows.commands.completeness import CompletenessCommandError, check_table_path, measure_completeness, write_copy
from infra.errors import LensscanError
from scanner.catalogue.injected import INJECTED_COLUMNS, Realism
from simulation.injection.night import MOST_UNITS, SEED, N, NightInjection
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.injected_parts import injected_into


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Record the injection that is asked for, in a folder without settings."""
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("simulation.injection.night.inject_into_night", lambda *given: (calls.append(given), ("made", True))[1])
    return calls


def test_defaults_and_options_reach_the_injection(asked, tmp_path, monkeypatch):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9}})
    monkeypatch.setenv("LENSSCAN_WORKERS", "7")
    monkeypatch.setenv("LENSSCAN_ENGINE", "torch")
    assert measure_completeness("catalogue", None) == ("made", True)
    measure_completeness(root, "undated", n=5, seed=0, units=2, psf="psf.fits", workers=3, engine="openvino")
    (first, _, workers, _), (second, package_of, others, _) = asked
    assert (first, workers) == (NightInjection(root, NIGHT, N, SEED, MOST_UNITS, None, "torch"), 7)
    assert (second, others) == (NightInjection(root, "undated", 5, 0, 2, str(tmp_path / "psf.fits"), "openvino"), 3)
    assert package_of("mer3-sim").name == "mer3-sim"


def test_the_night_must_be_named_among_several(asked, tmp_path):
    root = str(tmp_path / "catalogue")
    with pytest.raises(CompletenessCommandError, match="no complete scan"):
        measure_completeness(root, None)
    finished(root, {"a": {1: 0.9}})
    finished(root, {"b": {2: 0.9}}, night=None)
    with pytest.raises(CompletenessCommandError, match=f"name one of its nights with --night: {NIGHT}, undated$"):
        measure_completeness(root, None)
    assert asked == []


def test_a_copy_says_what_determined_it(tmp_path):
    root = str(tmp_path / "catalogue")
    plan = finished(root, {"a": {1: 0.9}})
    injected = injected_into(root, 6, realism=Realism(auroc=0.7, low=0.6, high=0.8, n_injected=30, n_real=30))
    write_copy(injected, tmp_path / "copy.parquet")
    found = pq.read_table(tmp_path / "copy.parquet")
    assert found.column_names == [column.name for column in INJECTED_COLUMNS]
    about = {name.decode(): value.decode() for name, value in found.schema.metadata.items() if name.startswith(b"lensscan.")}
    assert about == {
        "lensscan.night": NIGHT,
        "lensscan.ensemble": "test",
        "lensscan.ensemble_sha256": "e" * 64,
        "lensscan.plan_id": plan.plan_id,
        "lensscan.threshold": "0.5",
        "lensscan.n": "6",
        "lensscan.seed": "1",
        "lensscan.psf": "none",
        "lensscan.code_version": injected.arguments.code_version,
        "lensscan.realism_auroc": "0.700",
    }
    for suffix in (".fits", ".vot", ".csv"):
        write_copy(injected, tmp_path / f"copy{suffix}")
        assert len(Table.read(tmp_path / f"copy{suffix}")) == 6


def test_a_copy_that_cannot_be_written_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there.csv").touch()
    for name, why in {
        "x.txt": "--out must be a file that ends in",
        "s3://bucket/x.csv": "must be a local file",
        "there.csv": "--out there.csv exists; it is not replaced without --overwrite",
        "there.csv/x.csv": "cannot be written",
    }.items():
        with pytest.raises(LensscanError, match=why):
            check_table_path(name, overwrite=False)
    assert check_table_path("there.csv", overwrite=True) == Path("there.csv")
