"""The facts that are told after the vote: texts as they are, numbers only if they are known, and the address of the place."""

import base64

import numpy as np
import pytest

from scanner.review.candidate import CandidatePixels
from scanner.review.vetting.facts import facts_of_candidate
from tests.scanner.review.votes.made_votes import vote_of

ROW = {
    "candidate_id": "EUCL J1",
    "object_id": -(2**62),
    "p_lens": 0.9876,
    "p_compound": None,
    "subclass": "double_ring",
    "ra": 52.5,
    "dec": -28.25,
    "tile": "<b>t</b>",
    "night": "",
    "mag_vis_2arcsec": float("nan"),
}


def test_only_what_is_known_is_told():
    told = facts_of_candidate(ROW, None, [])
    assert told["lines"] == [
        ["name", "EUCL J1"],
        ["object", str(-(2**62))],
        ["p_lens", "0.988"],
        ["kind, if a lens", "double ring"],
        ["position", "52.500000\u00b0 -28.250000\u00b0"],
        ["tile", "<b>t</b>"],
    ]
    assert "?target=52.500000%20-28.250000&" in told["link"]
    assert (told["maps"], told["others"]) == (None, [])


def test_a_row_without_position_has_no_link():
    assert facts_of_candidate(ROW | {"ra": None, "dec": None}, None, [])["link"] is None


def test_the_link_shows_the_survey_of_the_candidate():
    names = ("EUCL J1", "J1", None)
    links = [facts_of_candidate(ROW | {"candidate_id": name}, None, [])["link"] for name in names]
    assert ["Euclid" in link for link in links] == [True, False, False]


def test_maps_keep_their_values(rng):
    guided, occlusion = rng.random((40, 40)).astype(np.float32), rng.normal(0, 2, (8, 8)).astype(np.float32)
    pixels = CandidatePixels(None, np.zeros((80, 80, 3), np.uint8), guided, occlusion)
    maps = facts_of_candidate(ROW, pixels, [])["maps"]
    read = np.frombuffer(base64.b64decode(maps["guided"]), np.uint8).reshape(40, 40) / 255
    np.testing.assert_allclose(read, guided, atol=0.5 / 255)
    read = np.frombuffer(base64.b64decode(maps["occlusion"]), np.int8).reshape(8, 8) / 127 * maps["occlusion_scale"]
    np.testing.assert_allclose(read, occlusion, atol=0.51 / 127 * np.abs(occlusion).max())
    assert maps["occlusion_scale"] == pytest.approx(np.abs(occlusion).max())


def test_grades_of_others_come_with_words():
    vote = vote_of(1, "bob", "X", reason="spiral", is_interesting=True, comment="<i>arms</i>")
    (told,) = facts_of_candidate(ROW, None, [vote])["others"]
    assert told == {"grader": "bob", "grade": "X", "words": ["spiral", "interesting"], "comment": "<i>arms</i>"}
