"""Gold subjects of a catalogue: made once, kept for all graders, and left out with a reason where they cannot be made."""

import shutil
from pathlib import Path

import pytest

import flows.commands.vet_gold as module
from flows.commands.vet_gold import N_TRAINING, gold_of
from infra.progress import no_progress
from scanner.catalogue.paths import gold_uri
from scanner.catalogue.plan import ScanConfig, build_plan, freeze
from scanner.catalogue.unitfile import unit_files
from scanner.review.vetting.errors import VettingError
from tests.damaged_parquet import with_damaged_footer
from tests.other_survey import TOML, write_tile
from tests.scanner.catalogue_parts import EnsembleName, finished
from tests.vetting import catalogue_with_tile


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gold")
    return str(folder / "catalogue"), catalogue_with_tile(folder / "catalogue", folder / "tiles").plan_id, folder


def ask(made, votes, n=None):
    return gold_of(made[0], str(votes), made[1], n, no_progress)


def test_the_first_grader_makes_them_for_all(made, tmp_path, monkeypatch):
    gold, why = ask(made, tmp_path, 3)
    assert why == ""
    roles = [known.answer.role for known in gold.subjects]
    assert (len(roles), len(gold.of_role("training"))) == (3 + N_TRAINING, N_TRAINING)
    assert [role.endswith("_lens") for role in roles].count(True) == 2 + N_TRAINING // 2
    monkeypatch.setattr(module, "_made", lambda *_: pytest.fail("they are made once"))
    again, why = ask(made, tmp_path, 3)
    assert (again.encode(), why) == (gold.encode(), "")


def test_none_are_wanted_with_zero(made, tmp_path):
    gold, why = ask(made, tmp_path, 0)
    assert (list(gold.subjects), why, list(tmp_path.iterdir())) == ([], "", [])


def test_large_tiles_are_read_only_if_that_is_asked(made, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_QUICK_BYTES", 1000)
    gold, why = ask(made, tmp_path)
    assert not gold.subjects
    assert why == "their tiles have 0.0 GB; --gold 10 reads them, once for all graders"
    assert ask(made, tmp_path, 2)[0].subjects


def test_too_few_hosts_are_told(made, tmp_path):
    gold, why = ask(made, tmp_path, 100)
    assert why == f"{len(gold.subjects)} of 106 could be made: too few galaxies can be hosts"
    assert gold.subjects


def test_a_damaged_file_is_an_error(made, tmp_path):
    ask(made, tmp_path, 2)
    path = tmp_path / gold_uri("", 2).strip("/")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(VettingError, match=r"2\.gold: is damaged; remove it"):
        ask(made, tmp_path, 2)


def test_lost_tiles_leave_the_candidates(made, tmp_path):
    root = tmp_path / "catalogue"
    plan = catalogue_with_tile(root, tmp_path / "tiles", n_objects=12, n_candidates=2)
    shutil.rmtree(tmp_path / "tiles")
    gold, why = gold_of(str(root), str(tmp_path / "votes"), plan.plan_id, 2, no_progress)
    assert not gold.subjects
    assert "is gone" in why
    assert "\n" not in why


@pytest.mark.parametrize("damage", [lambda data: data[:-100], with_damaged_footer, lambda _: b""])
def test_damaged_unit_files_leave_the_candidates(made, tmp_path, damage):
    root = tmp_path / "catalogue"
    shutil.copytree(made[0], root)
    (unit,) = unit_files(str(root), made[1]).values()
    Path(unit.uri).write_bytes(damage(Path(unit.uri).read_bytes()))
    gold, why = gold_of(str(root), str(tmp_path / "votes"), made[1], 2, no_progress)
    assert not gold.subjects
    assert why.startswith(f"{unit.uri}: cannot be read: ")
    assert "\n" not in why


def test_unknown_ensembles_and_other_surveys_have_none(tmp_path):
    plan = finished(str(tmp_path / "c"), {"t": {1: 0.9}}, maps_per_unit=1)
    gold, why = gold_of(str(tmp_path / "c"), str(tmp_path / "v"), plan.plan_id, 2, no_progress)
    assert (list(gold.subjects), "test: no ensemble of that name" in why) == ([], True)
    from scanner.sources.survey import find_survey

    (tmp_path / "atlas.toml").write_text(TOML)
    write_tile(tmp_path / "atlas", "N01,1", -20.0, 3)
    survey = find_survey(str(tmp_path / "atlas.toml"))
    other = build_plan(str(tmp_path / "atlas"), None, EnsembleName("mer3-sim"), ScanConfig(), survey=survey)
    freeze(other, str(tmp_path / "c"))
    gold, why = gold_of(str(tmp_path / "c"), str(tmp_path / "v"), other.plan_id, 2, no_progress)
    assert (list(gold.subjects), why) == ([], f"arcs are simulated for images of Euclid, not of {survey.name}")
