"""Lenses injected into a scanned night: the same whoever computes them, made once, and none of the night's objects."""

import shutil
from dataclasses import replace as changed
from pathlib import Path

import pytest

from infra.store.replacement import replace
from infra.store.storage import info, list_files, read_bytes
from scanner.catalogue.gate import begin
from scanner.catalogue.injected import current_injected, read_injected, write_injected
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import entry_uri, injected_uri
from scanner.catalogue.query import query
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.review.opened import Catalogue
from simulation.injection import census
from simulation.injection.arcs import InjectionError
from tests.scanner.catalogue_parts import finished
from tests.simulation.injection.scanned_night import NIGHT, ScannedNight, inject, scan_tiles

pytestmark = pytest.mark.usefixtures("torch_threads")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    return scan_tiles(tmp_path_factory.mktemp("night"))


@pytest.fixture
def night(scanned, tmp_path):
    """Return a copy of the catalogue of the night, into which nothing was injected."""
    root = tmp_path / "catalogue"
    shutil.copytree(scanned.root, root, ignore=shutil.ignore_patterns("injected"))
    return ScannedNight(str(root), scanned.tiles, scanned.plan)


@pytest.fixture(scope="module")
def made(scanned):
    """Return the lenses that were injected into the night."""
    seen = []
    injected, is_new = inject(scanned, progress=lambda done, total: seen.append((done, total)))
    assert is_new
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    return injected


def test_each_lens_lies_about_a_galaxy_of_the_night(scanned, made):
    assert made.table.num_rows + made.facts.n_failed == 12
    assert made.table.num_rows >= 10
    scores = {row["object_id"]: row for row in Catalogue(scanned.root).scores().to_arrow().to_pylist()}
    for row in made.table.to_pylist():
        host = scores[row["object_id"]]
        assert host["tile"] == row["tile"]
        assert host["p_lens"] < made.arguments.threshold
        assert row["is_recovered"] == (row["p_lens"] >= made.arguments.threshold)
        assert (row["einstein_radius2_arcsec"] is None) == (row["kind"] == "single")
    assert set(made.table["tile"].to_pylist()) == set(made.facts.units) == {"102000001", "102000002"}
    assert set(made.table["kind"].to_pylist()) <= {"single", "compound_arc", "double_ring"}


def test_the_record_says_what_was_done(scanned, made):
    about, facts = made.arguments, made.facts
    assert (about.night, about.n, about.seed, about.ensemble_name) == (NIGHT, 12, 1, "mer3-cascade")
    assert about.ensemble_sha256 == scanned.plan.ensemble_sha256
    # Readers see the list; the plan's candidates go deeper.
    assert about.threshold == read_card(SHIPPED_DIR / "mer3-cascade").candidate_threshold
    assert about.threshold > scanned.plan.config.candidate_threshold
    assert about.code_version == scanned.plan.code_version
    assert about.shown == ((scanned.plan.plan_id, about.threshold),)
    assert (facts.n_units, facts.realism, facts.psf) == (2, None, "the model of Euclid's PSFs, turned at random")
    assert "the catalogue lacks spurious_prob" in facts.hosts
    assert 0 < facts.unlike_share < 1
    assert current_injected(scanned.root).table.equals(made.table)


def test_a_held_plan_is_measured_as_if_readers_saw_it(night, made):
    Path(entry_uri(night.root, NIGHT, 2)).unlink()
    begin(
        night.plan,
        night.root,
        made.arguments.threshold,
        read_card(SHIPPED_DIR / "mer3-cascade").purity_table,
        gate=True,
    )
    with pytest.raises(InjectionError, match="no complete scan"):
        inject(night)
    injected, _ = inject(night, plan_id=night.plan.plan_id)
    assert injected.table.equals(made.table)
    assert injected.arguments == made.arguments
    show(night.plan, night.root)
    assert current_injected(night.root).table.equals(made.table)


def test_workers_and_batches_do_not_change_the_result(night, made, monkeypatch):
    assert inject(night, workers=2)[0].table.equals(made.table)
    Path(injected_uri(night.root, NIGHT)).unlink()
    monkeypatch.setattr(census, "_BATCH", 4)
    found, _ = inject(night)
    assert found.table.equals(made.table)
    assert found.arguments == made.arguments


def test_a_second_run_does_nothing(night, made):
    write_injected(made, night.root)
    before = info(injected_uri(night.root, NIGHT))
    found, is_new = inject(night, package_of=lambda name: SHIPPED_DIR / name, workers=3)
    assert not is_new
    assert found.table.equals(made.table)
    assert info(injected_uri(night.root, NIGHT)) == before


@pytest.mark.parametrize("other", [{"seed": 2}, {"n": 3}, {"most_units": 1}])
def test_other_arguments_replace_it(night, made, other):
    write_injected(made, night.root)
    found, is_new = inject(night, **{"n": 4, **other})
    assert is_new
    assert read_injected(night.root, NIGHT).arguments == found.arguments
    assert not found.table.equals(made.table)
    assert len([file for file in list_files(night.root) if "/injected/" in file.uri]) == 1
    if "most_units" in other:
        assert (len(found.facts.units), found.facts.n_units) == (1, 2)
    if "seed" in other:
        assert set(found.table["p_lens"].to_pylist()).isdisjoint(made.table["p_lens"].to_pylist())


def test_a_damaged_file_is_made_again(night, made):
    Path(injected_uri(night.root, NIGHT)).parent.mkdir(parents=True)
    Path(injected_uri(night.root, NIGHT)).write_bytes(b"half a fi")
    found, is_new = inject(night, n=2)
    assert (is_new, found.table.num_rows) == (True, 2)
    assert made.table.num_rows > 2


def test_the_catalogue_stays_as_it_was(night):
    before = {file.uri: read_bytes(file.uri) for file in list_files(night.root)}
    rows = query(night.root).to_pylist()
    inject(night, n=2)
    after = {file.uri: read_bytes(file.uri) for file in list_files(night.root)}
    assert {uri: data for uri, data in after.items() if uri in before} == before
    assert set(after) - set(before) == {injected_uri(night.root, NIGHT)}
    assert query(night.root).to_pylist() == rows


def test_a_shown_threshold_decides_who_is_a_host(night):
    """With a threshold above all scores every galaxy may be a host, and nothing is recovered."""
    show(night.plan, night.root, 1.0)
    found, _ = inject(night, n=4)
    assert found.arguments.threshold == 1.0
    assert found.table["is_recovered"].to_pylist() == [False] * found.table.num_rows


def test_a_night_that_cannot_be_used_is_refused(night, tmp_path):
    with pytest.raises(InjectionError, match=f"holds {'[0-9a-f]' * 12}$"):
        inject(night, package_of=lambda _: SHIPPED_DIR / "mer3-sim")
    with pytest.raises(InjectionError, match="no complete scan of night 2026-11-24"):
        inject(changed(night, root=str(tmp_path / "nowhere")))
    root = str(tmp_path / "coarse")
    card = type("Card", (), {"name": "ou7-sim", "sha256": read_card(SHIPPED_DIR / "ou7-sim").sha256})
    finished(root, {"a": {1: 0.9}}, ensemble=card)
    with pytest.raises(InjectionError, match="not into those of challenge"):
        inject(changed(night, root=root), package_of=lambda _: SHIPPED_DIR / "ou7-sim")


@pytest.mark.server
def test_a_catalogue_in_a_bucket_has_it_too(scanned, made, s3):
    for file in list_files(scanned.root):
        if "/injected/" not in file.uri:
            replace(s3 + file.uri.removeprefix("file://").removeprefix(scanned.root), read_bytes(file.uri))
    found, is_new = inject(changed(scanned, root=s3))
    assert is_new
    assert found.table.equals(made.table)
    assert current_injected(s3).table.equals(made.table)
    assert inject(changed(scanned, root=s3))[1] is False
