"""`lensscan drift`, `query --like` and `models reference`, from end to end."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import lensscan as api
from flows.cli.drift import COLUMNS
from flows.commands.drift import rows_of, sentences_of
from scanner.networks.card_file import read_card
from scanner.networks.feature_reference import read_reference
from scanner.networks.locate import SHIPPED_DIR
from scanner.review.embeddings.drift import Drift, QuantityDrift
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from tests.scanner.catalogue_parts import NIGHT
from tests.scanner.review.embeddings.nights import LATER, embedded_nights
from tests.training.shards import draw
from training.evaluation.card_text import card_markdown


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return embedded_nights(tmp_path_factory.mktemp("drift"))


@pytest.fixture
def run(lensscan, made):
    def run(*words, code=0):
        done = lensscan(*words, LENSSCAN_ENSEMBLES_DIR=str(made / "ensembles"), COLUMNS="200")
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_a_sentence_says_which_night_differs(run, made):
    shown = run("drift", made / "catalogue")
    assert f"Night {NIGHT} is like" in shown or f"Night {NIGHT} differs from the reference of test in the anomalies;" in shown
    assert f"Night {LATER} differs from the reference of test in the scores, " in shown
    assert "2 of 2 tiles differ." in shown
    assert all(name in shown for name in COLUMNS)


def test_tiles_that_differ_are_shown_and_others_on_request():
    def drift(tile, *, differs):
        of = QuantityDrift(quantity="axis_2", n=9, index=0.5, expected=0.1, p_chance=1e-9, differs=differs)
        return Drift(night=NIGHT, tile=tile, ensemble="test", quantities=(of,))

    found = [drift(None, differs=False), drift("a", differs=True), drift("b", differs=False)]
    shown, every = (rows_of(found, COLUMNS, all_tiles=all_tiles) for all_tiles in (False, True))
    assert [row["tile"] for row in shown] == ["all", "a"]
    assert [row["tile"] for row in every] == ["all", "a", "b"]
    assert list(shown[1].values()) == [NIGHT, "a", "axis_2", "9", "0.500", "0.100", "1e-09", "yes"]
    assert list(sentences_of(found)) == [f"Night {NIGHT} is like the reference of test; 1 of 2 tiles differ."]
    (moved,) = sentences_of([drift(None, differs=True)])
    assert (
        moved == f"Night {NIGHT} differs from the reference of test in the second axis of the embeddings; 0 of 0 tiles differ."
    )


def test_json_holds_every_tile(run, made):
    found = json.loads(run("drift", made / "catalogue", "--json"))
    assert [(of["night"], of["tile"]) for of in found] == [
        (night, tile) for night in (NIGHT, LATER) for tile in (None, "a", "b")
    ]
    assert found[3]["differs"] is True
    assert {of["quantity"]: of["differs"] for of in found[0]["quantities"]}["p_lens"] is False


def test_like_prints_and_writes_the_nearest(run, made, tmp_path):
    shown = json.loads(run("query", made / "catalogue", "--like", "7", "--top", "5", "--json"))
    rows = api.open_catalogue(made / "catalogue").like(7, top=5)
    assert [row["object_id"] for row in shown] == rows.to_arrow()["object_id"].to_pylist()
    assert [row["distance"] for row in shown] == sorted(row["distance"] for row in shown)
    assert len(shown) == 5
    likely = api.open_catalogue(made / "catalogue").like(7, top=50, night=NIGHT, min_p_lens=0.5).to_arrow()
    assert 0 < min(likely["p_lens"].to_pylist()) >= 0.5
    assert set(likely["night"].to_pylist()) == {NIGHT}
    text = run("query", made / "catalogue", "--like", "7", "--top", "5")
    assert "5 objects like 7" in text
    assert all(str(row["object_id"]) in text for row in shown)
    run("query", made / "catalogue", "--like", "7", "--min-p-lens", "0.5", "--out", tmp_path / "like.parquet")
    written = pq.read_table(tmp_path / "like.parquet")
    assert written.num_rows == 20
    assert min(written["p_lens"].to_pylist()) >= 0.5


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--like", "7", "--sql", "select 1"], "give either --like or --sql, not both"),
        (["--like", "7", "--grades"], "give either --like or --grades, not both"),
        (["--like", "EUCL J0"], "no object_id or candidate_id with an embedding is 'EUCL J0'"),
    ],
)
def test_wrong_uses_of_like_are_told(run, made, words, text):
    assert text in run("query", made / "catalogue", *words, code=2)


def test_a_reference_is_written_onto_the_card(run, tmp_path):
    """The shipped ensemble is not changed, and its copy scores as it does."""
    rng, n = np.random.default_rng(11), 300
    kinds = ["single" if i % 10 == 0 else "nonlens" for i in range(n)]
    stamps = {band: draw(grid, kinds, rng) for band, grid in MER_10.grids.items()}
    (tmp_path / "shards").mkdir()
    content = encode_shard(shard_table(np.arange(n), stamps, {"kind": kinds}, MER_10))
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(content)
    text = run("models", "reference", "mer3-sim", tmp_path / "shards", code=2)
    assert "mer3-sim is shipped and never changes: name another folder with --out" in text
    out = tmp_path / "mine"
    words = ["models", "reference", "mer3-sim", tmp_path / "shards", "--out", out, "--description", "three hundred"]
    shown = json.loads(run(*words, "--json"))
    assert (shown["objects"], shown["described by the networks"], shown["folder"]) == (300, 300, str(out))
    card = read_card(out)
    assert card.sha256 == read_card(SHIPPED_DIR / "mer3-sim").sha256
    assert read_reference(out, card).projection.shape == (16 + 16 + 64, 32)
    assert (out / "CARD.md").read_text() == card_markdown(card)
    assert "three hundred" in card_markdown(card)
    assert read_card(SHIPPED_DIR / "mer3-sim").feature_reference is None
    shutil.rmtree(out)
    assert "needs shards: name at least one folder" in run("models", "reference", "mer3-sim", code=2)
