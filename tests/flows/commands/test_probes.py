"""`lensscan evaluate --probes` from the command line to the files, the card and the exit code."""

import json
import shutil

import pytest

import simulation.products.probes
from flows.cli.evaluate import evaluate
from flows.commands import probes
from flows.commands.probes import probe_ensemble
from infra.progress import no_progress
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.vocabulary.kinds import UNCHANGED
from simulation.products.probes import PROBES, PROBES_OF
from tests.scanner.ensembles import add_metric
from training.errors import TrainingError
from training.evaluation import probe_gate
from training.evaluation.probe_limits import Limit


@pytest.fixture(scope="module", autouse=True)
def few():
    """Only some changes, so that the tests take seconds: what the others do is tested where they are made."""
    kept = ["red source", "one band shifted by 3 arcsec", "turned by 90 deg"]
    chosen = {kind: tuple(probe for probe in of if probe.name in kept) for kind, of in PROBES_OF.items()}
    with pytest.MonkeyPatch.context() as patch:
        for module in (probes, simulation.products.probes):
            patch.setattr(module, "PROBES_OF", chosen)
        patch.setattr(probes, "_AT_ONCE", 2)
        yield


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return the folder of an ensemble of one's own."""
    folder = tmp_path_factory.mktemp("own") / "own"
    shutil.copytree(SHIPPED_DIR / "mer3-sim", folder)
    return folder


def limited_to(monkeypatch, most_fall):
    limit = Limit("a limit for this test", most_fall, None, 1.0)
    monkeypatch.setattr(probe_gate, "LIMITS", {"red source": limit})
    monkeypatch.setattr(probe_gate, "LEAST_NOTICED", {})


def test_files_card_and_output_say_the_same(own, capsys, monkeypatch):
    limited_to(monkeypatch, most_fall=-50.0)
    before = read_card(own)
    evaluate(probes=3, ensemble=str(own), json=True)
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((own / "probes.json").read_text())
    assert {name: written[name] for name in printed} == printed
    assert (written["ensemble"], written["sha256"]) == (before.name, before.sha256)
    assert printed["n_objects"] == {"single": 3, "compound_arc": 3, "double_ring": 3, "nonlens": 3}
    order = [probe.name for probe in PROBES]
    found = [effect["probe"] for effect in printed["effects"]]
    assert found == [UNCHANGED, *sorted(found[1:], key=order.index)]
    assert len(found) == 4
    effects = {effect["probe"]: effect for effect in printed["effects"]}
    assert "nonlens" not in effects["red source"]["kinds"]
    assert effects["turned by 90 deg"]["kinds"]["nonlens"]["n"] == 3
    assert effects[UNCHANGED]["lenses"]["median_change"]["value"] == 0
    assert effects[UNCHANGED]["lenses"]["noticed"]["value"] == 0
    assert effects["one band shifted by 3 arcsec"]["lenses"]["noticed"]["value"] > 0
    assert set(effects["red source"]["networks"]) == {network.name for network in before.networks}
    assert all(sentence.startswith("red source: the log-odds") for sentence in printed["failures"])
    text = (own / "PROBES.md").read_text()
    assert f"| red source | {effects['red source']['lenses']['median_change']['value']:+.2f} (" in text
    card = read_card(own)
    assert card.sha256 == before.sha256
    assert card.probes.endswith("exceeded: red source.")
    assert f"## Bias probes\n\n{card.probes} PROBES.md has the table.\n" in (own / "CARD.md").read_text()


def test_blank_and_missing_bands_are_stated(own):
    drop_outs = json.loads((own / "probes.json").read_text())["drop_outs"]
    assert [(of["band"], of["how"]) for of in drop_outs] == [
        (b, h) for b in ("VIS", "Y", "J", "H") for h in ("blank", "missing")
    ]
    assert {of["n"] for of in drop_outs} == {12}
    assert all(of["n_stated"] == of["n"] for of in drop_outs)


def test_metrics_written_meanwhile_stay(own, monkeypatch):
    def judge(*given):
        add_metric(own)
        return probe_gate.judge_probes(*given)

    monkeypatch.setattr(probes, "judge_probes", judge)
    monkeypatch.setattr(probes, "_MOST_DROPPED", 0)
    probe_ensemble(1, str(own), None, no_progress)
    assert read_card(own).metrics["of_another_command"] == 0.5
    assert read_card(own).probes


def test_a_folder_on_s3_is_refused_before_the_work(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probes, "load_scorer", None)
    with pytest.raises(TrainingError, match="s3://bucket/results: is on S3"):
        probe_ensemble(1, str(own), "s3://bucket/results", no_progress)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("most_fall", "strict", "code"), [(-50.0, True, 1), (-50.0, False, 0), (50.0, True, 0)])
def test_strict_turns_a_failure_into_an_exit_code(tmp_path, capsys, monkeypatch, most_fall, strict, code):
    limited_to(monkeypatch, most_fall)
    shipped = (SHIPPED_DIR / "mer3-sim" / "card.json").read_bytes()
    monkeypatch.setattr(probes, "_MOST_DROPPED", 0)
    if code:
        with pytest.raises(SystemExit, match="1"):
            evaluate(probes=1, ensemble="mer3-sim", out=str(tmp_path), strict=strict)
    else:
        evaluate(probes=1, ensemble="mer3-sim", out=str(tmp_path), strict=strict)
    printed = capsys.readouterr().out
    assert ("red source: the log-odds may fall by at most -50" in printed) == (most_fall < 0)
    assert ("Every limit is kept." in printed) == (most_fall > 0)
    assert (tmp_path / "PROBES.md").exists()
    assert (SHIPPED_DIR / "mer3-sim" / "card.json").read_bytes() == shipped
