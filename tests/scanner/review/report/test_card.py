"""The texts of a card, from a row as the catalogue has it."""

import math

import pyarrow as pa
import pytest

from scanner.catalogue.columns import KNOWN_COLUMNS, PURITY_COLUMNS, RANK, candidate_schema
from scanner.review.report.card import card_of, meanings_of

SCHEMA = candidate_schema(("net",), maps=True)
ALL = pa.schema([*SCHEMA, *(c.field() for c in (*KNOWN_COLUMNS, RANK, *PURITY_COLUMNS)), pa.field("grade", pa.string())])
ROW = dict.fromkeys(ALL.names) | {
    "object_id": -(2**62),
    "candidate_id": "EUCL J1",
    "ra": 10.0,
    "dec": -5.5,
    "p_lens": 0.99987,
    "p_compound": 0.004,
    "subclass": "double_ring",
    "tile": "T1",
    "night": "2026-11-24",
    "mag_vis_1arcsec": 21.123456789,
    "detail": "",
}


def card(nights=(), is_euclid=False, schema=ALL, **changes):
    return card_of(3, ROW | changes, schema, nights=nights, is_euclid=is_euclid)


def test_texts_say_what_the_row_holds():
    found = card(nights=("2026-11-24",), expected_purity=0.46, expected_purity_low=0.19, expected_purity_high=0.76, rank=7)
    assert (found.number, found.name, found.object_id) == (3, "EUCL J1", str(-(2**62)))
    assert (found.p_lens, found.p_compound, found.kind_text, found.rank) == ("0.9999", "0.004", "double ring", "7")
    assert (found.position, found.purity) == ("10.00000 -5.50000", "46 % (19\u201376 %)")
    assert found.sexagesimal == "00:40:00.00 -05:30:00.0"
    # No part reaches 60 by rounding.
    assert card(ra=359.9999999, dec=89.9999999).sexagesimal == "00:00:00.00 +90:00:00.0"
    assert found.keys["p_lens"] == 0.99987
    assert {"eucl", "double", "t1", "2026-11-24", str(-(2**62))} <= set(found.searched.split())


def test_unknown_values_are_empty():
    nothing = dict.fromkeys(ALL.names) | {"object_id": 5}
    found = card_of(1, nothing, ALL)
    assert (found.name, found.known, found.links, found.details[0].text) == ("object 5", None, (), "5")
    empty = (found.p_lens, found.p_compound, found.purity, found.rank, found.tile, found.position, found.grade, found.graded)
    assert set(empty) == {""}
    assert card(ra=math.nan, dec=math.nan).links == ()
    assert card(p_lens=math.nan).p_lens == ""
    assert card(candidate_id="").name == f"object {-(2**62)}"


def test_a_known_lens_has_its_texts():
    found = card(known_name="L1", known_separation_arcsec=0.125, known_grade="A", known_reference="X+20").known
    assert (found.name, found.separation, found.grade, found.reference) == ("L1", "0.12\u2033", "A", "X+20")
    assert card(known_name="", known_separation_arcsec=0.0).known.name == "without a name"
    assert card(known_name="L1").known is None


def test_grades_are_shown_if_the_rows_have_them():
    fields = pa.schema([*ALL, pa.field("p_graded", pa.float32()), pa.field("n_votes", pa.int64())])
    found = card(schema=fields, grade="B", p_graded=0.75, n_votes=3)
    assert (found.grade, found.graded, found.keys["grade"]) == ("B", "3 votes, lens with probability 0.750", "B")
    assert card(schema=fields, grade="A", p_graded=None, n_votes=1).graded == "1 vote"
    assert card(schema=fields, grade="", p_graded=None, n_votes=0).graded == ""
    assert card(grade=None).keys["grade"] is None


@pytest.mark.parametrize("is_euclid", [True, False])
def test_links_name_the_place_and_the_survey(is_euclid):
    aladin, esasky = card(is_euclid=is_euclid).links
    survey = "&survey=CDS%2FP%2FEuclid%2FQ1%2Fcolor" if is_euclid else ""
    assert aladin.url == f"https://aladin.cds.unistra.fr/AladinLite/?target=10.000000%20-5.500000&fov=0.01{survey}"
    assert esasky.url == "https://sky.esa.int/esasky/?target=10.000000%20-5.500000&fov=0.01&cooframe=J2000"


def test_details_hold_all_columns_but_pixels():
    found = {detail.name: (detail.text, detail.unit) for detail in card(cutout_rgb=[1], cutout_sigma=[2]).details}
    assert found["mag_vis_1arcsec"] == ("21.1235", "mag")
    assert found["ra"] == ("10", "deg")
    assert {"cutout_rgb", "cutout_sigma", "detail", "p_net"} & set(found) == set()
    meanings = meanings_of(ALL)
    assert meanings["ra"] == "Right ascension, ICRS"
    assert {"cutout_rgb", "map_guided", "grade"} & set(meanings) == set()
