"""Tests of the page and its numbers as files, from made scores and without drawing."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.locate import SHIPPED_DIR
from tests.training.reproduction.made import FLAGSHIP, OURS, card_of, made_sample
from training.errors import TrainingError
from training.reproduction import reproduce
from training.reproduction.page import reproduction_markdown
from training.reproduction.reproduce import PAGE, PAPER, RESULTS, Scored, counts_compound, write_page
from training.reproduction.results import Picture, Reproduction
from training.reproduction.sample import ScoredSample


@pytest.fixture
def scored():
    return Scored(
        n=150,
        seed=3,
        command="lensscan reproduce wilde2022",
        samples={PAPER: made_sample(OURS, n=150), "own": made_sample(OURS, FLAGSHIP, n=150)},
        specs={PAPER: ("wilde2022", "challenge"), "own": ("euclid", "mer")},
        folders={OURS: SHIPPED_DIR / OURS},
        ensembles={name: card_of(name).sha256 for name in (OURS, FLAGSHIP)},
        ours=OURS,
        known=None,
        known_scores=None,
        simulate=lambda indices: pytest.fail(f"{indices} simulated"),
        settings=VisualisationSettings().of_at_most(1),
    )


def test_the_page_is_made_from_the_written_numbers(scored, tmp_path, monkeypatch, few_resamples):
    drawn = []

    def draw(what, shelf, progress):
        drawn.append(what)
        progress(1, 1)
        return (Picture(figure="4", file=None, text="nothing is drawn here."),)

    monkeypatch.setattr(reproduce, "pictures", draw)
    counts = []
    results = write_page(scored, tmp_path, tmp_path / "kept", lambda *count: counts.append(count))
    assert counts == [(1, 1)]
    stored = json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))
    assert Reproduction.model_validate(stored) == results
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == reproduction_markdown(results)
    assert {selection.data for selection in results.selection} == {PAPER, "own"}
    assert (results.data["own"].preset, results.data["own"].geometry) == ("euclid", "mer")
    assert results.geometries == {OURS: "challenge", FLAGSHIP: "mer10"}
    assert (results.ours, results.counts_compound, results.known) == (OURS, True, ())
    (what,) = drawn
    assert what.explained[0] == SHIPPED_DIR / OURS
    assert len(what.grids[OURS].outputs) == len(what.is_reference_lens)
    again = write_page(scored, tmp_path / "again", tmp_path / "kept", lambda *_: None)
    assert again == results, "the same scores give the same numbers"


def test_a_card_counts_compound_lenses_of_its_training():
    assert counts_compound(card_of(OURS))
    assert not counts_compound(card_of(FLAGSHIP)), "its card counts nothing"


def test_too_few_objects_for_the_tables_are_refused(scored, tmp_path):
    paper = scored.samples[PAPER]
    is_kept = pa.array(paper.kinds != "single")
    fewer = ScoredSample(paper.truth.filter(is_kept), {OURS: paper.scores[OURS].filter(is_kept)}, paper.cards)
    lacking = Scored(**{**vars(scored), "samples": {**scored.samples, PAPER: fewer}})
    with pytest.raises(TrainingError, match=r"single and compound lenses, got .*: simulate more"):
        write_page(lacking, tmp_path, tmp_path / "kept", lambda *_: None)


def test_other_scores_have_another_origin(scored, tmp_path, monkeypatch, few_resamples):
    origins = []
    monkeypatch.setattr(reproduce, "pictures", lambda what, *_: origins.append(what.origin) or ())
    for change in ({}, {"n": 151}, {"seed": 4}, {"ensembles": {OURS: "0"}}, {}):
        write_page(Scored(**{**vars(scored), **change}), tmp_path, Path(tmp_path, "kept"), lambda *_: None)
    assert len(set(origins)) == 4
    assert origins[0] == origins[-1]
