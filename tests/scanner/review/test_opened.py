from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from infra.errors import LensscanError
from scanner.catalogue.injected import write_injected
from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.catalogue.seal import seal
from scanner.review.opened import Catalogue
from scanner.review.votes.log import VoteLog
from scanner.review.yields.guarantee import guaranteed
from scanner.review.yields.night import expected_lists, read_night
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, finished, scores, unit_of, with_maps
from tests.scanner.injected_parts import injected_into
from tests.scanner.review.votes.made_votes import vote_of
from tests.scanner.review.yields.nights import known_night

CONFIG = ScanConfig(maps_per_unit=1)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Two sealed nights, with maps of the best candidate of each."""
    root = str(tmp_path_factory.mktemp("catalogue"))
    tables = {"2026-11-22": scores([1, 2, 5], [0.6, 0.9, 0.1]), "2026-11-23": scores([3, 4], [0.95, None])}
    for night, scored in tables.items():
        table = with_maps(scored, {1} if night == "2026-11-22" else {0})
        unit = unit_of("a", table["object_id"].to_pylist())
        plan = make_plan(night, EnsembleName(), CONFIG, [unit])
        index = table.schema.get_field_index("night")
        publish(table.set_column(index, table.schema.field(index), [[night] * table.num_rows]), unit, plan, root, "try")
        seal(plan, root)
        show(plan, root)
    return Catalogue(root)


def ids(rows):
    return [row["object_id"] for row in rows]


def test_candidates_come_best_first_with_maps(catalogue):
    rows = catalogue.candidates()
    assert ids(rows) == [3, 2, 1]
    assert len(rows[0]["map_guided"]) == 1600
    assert rows[2]["map_guided"] is None
    assert "map_guided" not in catalogue.candidates(maps=False).columns


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"min_p_lens": 0.7}, [3, 2]),
        ({"night": "2026-11-22"}, [2, 1]),
        ({"night": date(2026, 11, 23)}, [3]),
        ({"limit": 1}, [3]),
        ({"subclass": "double_ring"}, []),
        ({"cone": (2.0, 1.0, 1.1)}, [3, 2, 1]),
        ({"cone": (2.0, 1.0, 0.9)}, [2]),
        ({"cone": (2.0, 1.0, 1.1), "limit": 2}, [3, 2]),
    ],
)
def test_filters_of_candidates(catalogue, filters, expected):
    assert ids(catalogue.candidates(**filters)) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [({}, {1, 2, 3, 4, 5}), ({"min_p_lens": 0.6}, {1, 2, 3}), ({"night": "2026-11-23"}, {3, 4}), ({"limit": 0}, set())],
)
def test_scores_are_all_rows_without_maps(catalogue, filters, expected):
    rows = catalogue.scores(**filters)
    assert set(ids(rows)) == expected
    assert "map_guided" not in rows.columns


def test_columns_carry_their_meaning(catalogue):
    for rows in (catalogue.candidates(), catalogue.scores(), catalogue.sql("select ra from candidates")):
        assert rows.to_arrow().schema.field("ra").metadata[b"unit"] == b"deg"
    assert b"network OU_66" in catalogue.scores().to_arrow().schema.field("p_OU_66").metadata[b"description"]


def test_rows_go_to_every_library(catalogue):
    rows = catalogue.sql("select object_id, p_lens from candidates order by object_id")
    assert rows.to_pandas()["object_id"].tolist() == [1, 2, 3]
    assert rows.to_astropy()["object_id"].tolist() == [1, 2, 3]
    assert isinstance(rows.to_arrow(), pa.Table)
    assert (ids(rows[1:]), rows[-1]["object_id"], len(rows)) == ([2, 3], 3, 3)
    assert repr(rows) == "3 rows of object_id, p_lens"
    with pytest.raises(IndexError):
        rows[3]


def test_a_slice_without_rows_keeps_the_columns(catalogue):
    rows = catalogue.sql("select object_id, p_lens from candidates order by object_id")
    for none in (rows[5:5], rows[5:5][:2], catalogue.candidates(limit=0)[:1]):
        assert (len(none), list(none)) == (0, [])
    assert rows[5:5].columns == ["object_id", "p_lens"]
    assert ids(rows[::-2]) == [3, 1]


def test_a_cone_off_the_sky_is_refused(catalogue):
    with pytest.raises(LensscanError, match=r"cone: dec_deg: .* less than or equal to 90, got 91"):
        catalogue.candidates(cone=(0.0, 91.0, 1.0))


def test_arguments_out_of_range_are_named(catalogue):
    with pytest.raises(LensscanError, match="subclass must be one of single, compound_arc, double_ring, got 'ring'"):
        catalogue.candidates(subclass="ring")
    with pytest.raises(LensscanError, match="top must be 0 or more, got -1"):
        catalogue.like(1, top=-1)
    for least in (50, -0.1, float("nan"), "0.5"):
        for read in (
            catalogue.candidates,
            catalogue.scores,
            partial(catalogue.like, 1),
            partial(catalogue.completeness, "single"),
        ):
            with pytest.raises(LensscanError, match=f"min_p_lens must be a number between 0 and 1, got {least!r}"):
                read(min_p_lens=least)


@pytest.mark.parametrize("night", ["tomorrow", "2026-11-22' or 1=1 --"])
def test_a_night_that_is_no_date_is_refused(catalogue, night):
    for read in (catalogue.candidates, catalogue.scores):
        with pytest.raises(LensscanError, match="night must be a date, YYYY-MM-DD, or undated, got "):
            read(night=night)


def test_rows_of_an_undated_scan_are_chosen_by_that_word(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.9}})
    finished(root, {"b": {2: 0.8, 3: 0.1}}, night=None)
    opened = Catalogue(root)
    assert ids(opened.candidates(night="undated")) == [2]
    assert set(ids(opened.scores(night="undated"))) == {2, 3}


def test_a_folder_without_a_catalogue_is_named(tmp_path):
    with pytest.raises(LensscanError, match="no complete scan"):
        Catalogue(str(tmp_path)).candidates()


def test_grades_come_beside_candidates_and_alone(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9, 2: 0.8}}, maps_per_unit=1)
    opened = Catalogue(str(tmp_path))
    assert len(opened.grades()) == 0
    VoteLog(str(tmp_path)).append(vote_of(2, grade="B"))
    (graded,) = opened.grades()
    assert (graded["object_id"], graded["grade"], graded["n_votes"]) == (2, "B", 1)
    assert opened.grades().to_astropy()["p_graded"].meta["ucd"] == "stat.probability"
    rows = opened.candidates(grades=True)
    assert [row["grade"] for row in rows] == ["", "B"]
    assert rows.to_arrow().select(opened.candidates().columns).equals(opened.candidates().to_arrow())
    assert list(opened.sql("SELECT grade FROM grades")) == [{"grade": "B"}]


def test_lists_of_a_night_are_foretold(tmp_path):
    made = known_night(tmp_path)
    opened = Catalogue(made.root)
    assert opened.expected(night=NIGHT) == expected_lists(read_night(made.root))
    (only,) = opened.expected(cut=0.1).lists
    assert (only.p_lens, only.n_listed) == (0.1, int((made.p_lens >= np.float32(0.1)).sum()))
    assert [of.p_lens for of in opened.expected(cut=[0.1, 0.2]).lists] == [0.1, 0.2]
    for cut in (np.float32(0.1), [np.float32(0.1)], np.float32([0.1])):
        assert opened.expected(cut=cut).lists[0].n_listed == only.n_listed
    for cut in ({0.1, 0.2}, "high", [[0.1], [0.1, 0.2]]):
        with pytest.raises(LensscanError, match="cut must be a number or a list of numbers, got "):
            opened.expected(cut=cut)


def test_a_list_with_a_guarantee_is_opened(tmp_path, monkeypatch):
    made = known_night(tmp_path)
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", made.ensembles)
    found = guaranteed(made.root, None, 0.2, tmp_path / "ensembles")
    opened = Catalogue(made.root)
    assert len(opened.candidates(fdr=0.2)) == found.n_listed == len(opened.candidates(fdr=0.2, night=NIGHT))
    assert len(opened.candidates(fdr=0.2, limit=3)) == 3
    with pytest.raises(LensscanError, match="no other condition than night goes with it"):
        opened.candidates(fdr=0.2, subclass="single")
    with pytest.raises(LensscanError, match="can hold a false discovery rate of 1e-05"):
        opened.candidates(fdr=1e-5)


def test_a_survey_without_the_guarantee_is_warned_of(tmp_path, monkeypatch):
    made = known_night(tmp_path, survey=ATLAS)
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", made.ensembles)
    with pytest.warns(UserWarning, match=UNCALIBRATED):
        assert len(Catalogue(made.root).candidates(fdr=0.2))


def test_completeness_comes_from_injected_lenses(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9}})
    injected = injected_into(str(tmp_path), 90)
    write_injected(injected, str(tmp_path))
    opened = Catalogue(str(tmp_path))
    table = opened.injections().to_arrow()
    assert (table.num_rows, table.schema.field("arc_snr").metadata is not None) == (90, True)
    near = {"einstein_radius_arcsec": 1.0, "arc_snr": 60.0, "source_vis_minus_h": 1.0, "lens_mag_vis": 20.0}
    given = {**near, "sky_sigma_vis_ujy": 0.015}
    assert opened.completeness("single", **given) == injected.sample().at("single", **given)
    for name, value in given.items():
        assert opened.completeness("single", **{name: value}) == injected.sample().at("single", **{name: value})
    assert opened.completeness("double_ring", night="2026-11-24").n == pytest.approx(30)
    assert opened.completeness("single", min_p_lens=0.05).value == 1
    assert opened.completeness("single", min_p_lens=0.95).value == 0
    with pytest.raises(LensscanError, match="arc_snr of a single must be in the range"):
        opened.completeness("single", arc_snr=1e4)
    with pytest.raises(LensscanError, match="no lenses were injected into night undated"):
        opened.completeness("single", night="undated")
    with pytest.raises(LensscanError, match="night must be a date"):
        opened.injections(night="yesterday")
