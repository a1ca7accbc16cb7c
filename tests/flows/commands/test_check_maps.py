"""Tests of `lensscan models check-maps` on a few simulated lenses."""

import contextlib
import json
from pathlib import Path

import pytest

import flows.commands.check_maps
import scanner.networks.locate
from flows.cli.main import app
from flows.commands.check_maps import check_to_card, table_rows
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card, write_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package, with_metrics
from scanner.preprocess.channel import channels
from scanner.sources.shards import encode_shard
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.scanner.ensembles import write_test_package
from training.errors import TrainingError
from training.evaluation.map_checks import check_ensemble_maps
from training.evaluation.map_measures import METHODS

SPECS = (NetworkSpec("small", "compact", channels("sky_asinh", "VIS", "H")),)


def write_shards(folder, kind, n, *, components=True):
    folder.mkdir(parents=True, exist_ok=True)
    spec = DatasetSpec(n=n, seed=77, geometry="mer10", kinds=((kind, 1.0),), components=components)
    (folder / "shard-00000.parquet").write_bytes(encode_shard(simulate_objects(spec, range(n))))
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), "single", 16)


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "ensembles"))
    monkeypatch.setenv("LENSSCAN_ENGINE", "torch")
    monkeypatch.chdir(tmp_path)
    write_test_package(tmp_path / "ensembles" / "test", SPECS, geometry="mer10")
    return tmp_path / "ensembles" / "test"


@pytest.fixture(scope="module")
def memory():
    return []


@pytest.fixture
def measured(memory, monkeypatch):
    """Measure in the first check alone; later ones find its result, which is the same."""

    def found(*given):
        if memory:
            given[-1](1, 1)
        else:
            memory.append(check_ensemble_maps(*given))
        return memory[0]

    monkeypatch.setattr(flows.commands.check_maps, "check_ensemble_maps", found)
    return found


def check(shards, ensemble="test", out=None, n=4):
    steps = []
    found = check_to_card(str(shards), ensemble, n, out and str(out), lambda *step: steps.append(step))
    assert steps[-1] == (len(steps), len(steps))
    return found


@pytest.mark.usefixtures("measured")
def test_the_card_gains_results_and_keeps_its_digest(shards, package):
    before = read_card(package)
    checks, folder = check(shards)
    after = read_card(package)
    assert folder == package
    assert after.sha256 == before.sha256 == load_package(package).card.sha256
    (network,) = after.networks
    assert network.metrics == before.networks[0].metrics | checks.metrics()["small"]
    assert 2 <= checks.n_bright_lenses <= 4
    assert [check.method for check in checks.checks] == list(METHODS)
    assert "| small | occlusion | " in (package / "CARD.md").read_text()
    assert {path.suffix for path in package.iterdir()} == {".json", ".md", ".safetensors"}
    assert [row["map"] for row in table_rows(checks)] == list(METHODS)


@pytest.mark.usefixtures("measured")
def test_a_shipped_ensemble_stays_as_installed(shards, package, monkeypatch):
    monkeypatch.setattr(scanner.networks.locate, "SHIPPED_DIR", package.parent)
    before = (package / "card.json").read_bytes()
    _, folder = check(shards)
    assert str(folder) == "evaluation-test"
    assert (package / "card.json").read_bytes() == before
    assert sorted(path.name for path in package.iterdir()) == ["card.json", "small.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == ["CARD.md", "card.json"]
    assert read_card(folder).sha256 == read_card(package).sha256


def test_the_command_prints_json(shards, package, tmp_path, capsys):
    with contextlib.suppress(SystemExit):
        app(["models", "check-maps", str(shards), "--ensemble", "test", "--n", "2", "--out", str(tmp_path / "out"), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["n_bright_lenses"] == 2
    card = read_card(tmp_path / "out")
    assert card.networks[0].metrics["maps_occlusion_hits"] == shown["checks"][2]["hits"]


def test_mistakes_are_reported_and_no_file_is_written(shards, package, tmp_path):
    before = (package / "card.json").read_bytes()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "shard.parquet").write_text("no")
    for what, says in (
        ({"shards": tmp_path / "empty"}, "empty: holds no shards"),
        ({"shards": tmp_path / "bad"}, r"shard\.parquet: "),
        ({"shards": write_shards(tmp_path / "plain", "single", 2, components=False)}, "has no components"),
        ({"shards": write_shards(tmp_path / "none", "elliptical", 2)}, "needs at least 2 lenses with arcs of S/N 40 .* has 0"),
        ({"ensemble": "ou7-sim"}, "stamps of challenge are 20 arcsec wide"),
        ({"out": tmp_path / "file"}, "file: is a file, must be a folder"),
        ({"out": tmp_path / "file" / "below"}, "below: cannot be written to: Not a directory"),
        ({"out": "s3://bucket/maps"}, "s3://bucket/maps: is on S3, but results are written to a local folder"),
        ({"out": shards}, "is the shards' own folder"),
        ({"out": f"file://{shards}/../{shards.name}"}, "is the shards' own folder"),
        ({"out": SHIPPED_DIR / "mer3-sim"}, "mer3-sim: holds the card of another ensemble than test"),
    ):
        with pytest.raises(TrainingError, match=says):
            check(**{"shards": shards, **what})
    assert (package / "card.json").read_bytes() == before
    assert sorted(path.name for path in shards.iterdir()) == ["shard-00000.parquet"]


def test_an_unwritable_folder_is_reported_before_the_work(shards, package, monkeypatch):
    monkeypatch.setattr(flows.commands.check_maps, "check_ensemble_maps", None)
    with pytest.raises(TrainingError, match="/proc: cannot be written to: "):
        check(shards, out=Path("/proc"))


def test_metrics_written_meanwhile_stay(shards, package, measured, monkeypatch):
    def written(*given):
        write_card(package, with_metrics(read_card(package), {"small": {"auroc": 0.75}}))
        return measured(*given)

    monkeypatch.setattr(flows.commands.check_maps, "check_ensemble_maps", written)
    check(shards)
    (network,) = read_card(package).networks
    assert (network.metrics["auroc"], "maps_occlusion_hits" in network.metrics) == (0.75, True)


@pytest.mark.usefixtures("measured")
def test_results_of_an_earlier_check_are_removed(shards, package):
    card = read_card(package)
    write_card(package, with_metrics(card, {"small": {"maps_occlusion_former": 0.5, "auroc": 0.75}}))
    check(shards)
    (network,) = read_card(package).networks
    assert "maps_occlusion_former" not in network.metrics
    assert network.metrics["auroc"] == 0.75


def test_a_card_refuses_a_metric_that_is_not_finite(package):
    card = read_card(package)
    with pytest.raises(ValueError, match="finite"):
        with_metrics(card, {"small": {"x": float("nan")}})
    write_card(package, with_metrics(card, {"small": {"auroc": 0.75}}))
    assert read_card(package).networks[0].metrics == {"auroc": 0.75}
