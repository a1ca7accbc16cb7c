"""The page in one file: everything that the page needs is in it, and nothing that must not be seen early is readable."""

import base64
import math
import zlib

import numpy as np
import pytest

from scanner.catalogue.wanted import EVERY_CANDIDATE
from scanner.review.vetting.candidates import gradable_rows
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.material import Material
from scanner.review.vetting.session import Terms
from scanner.review.vetting.static_page import MOST_CANDIDATES, static_page
from tests.scanner.review.votes.made_votes import vote_of
from tests.vetting import FIRST, catalogue_of, data_of, gold_of, views_in

TERMS = Terms("anna", 0, is_blind=True, page_version="p1", title="<b>title</b>")
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("static"))
    catalogue_of(root, n=4, changes={"candidate_id": [HOSTILE, "EUCL J2", "EUCL J3", "EUCL J4"]})
    return Material(root, gradable_rows(root, EVERY_CANDIDATE), gold_of(2))


@pytest.fixture(scope="module")
def page(material):
    return static_page(TERMS, material, 4, [vote_of(FIRST, "bob", "C")])


def test_pixels_are_those_of_the_subjects(page, material):
    data = data_of(page)
    images = dict(zip([s.name for s in material.subjects], material.images(material.subjects), strict=True))
    for item, view in zip(data["items"], views_in(page), strict=True):
        record = np.frombuffer(zlib.decompress(base64.b64decode(data["images"][item["image"]])), np.uint8)
        half = (len(record) - 8) // 2
        values = np.stack([record[8 : 8 + half], record[8 + half :]], axis=1).reshape(-1).view("<i2")
        np.testing.assert_array_equal(values, images[view["subject"]["subject"]].values.ravel())


def test_subjects_and_facts_are_hidden_and_complete(page):
    subjects = {view["subject"]["subject"]: view for view in views_in(page)}
    assert set(subjects) == {*(f"object:{FIRST + i}" for i in range(4)), "gold:1000", "gold:1001"}
    best = subjects[f"object:{FIRST}"]
    assert best["subject"] == {"subject": f"object:{FIRST}", "object_id": str(FIRST), "role": "candidate", "repeat": 0}
    assert ["p_lens", "0.988"] in best["facts"]["lines"]
    assert [one["grader"] for one in best["facts"]["others"]] == ["bob"]
    assert subjects["gold:1000"]["facts"]["answer"]["is_lens"] is True
    for word in ("EUCL", "gold_lens", str(FIRST), "0.988", "bob"):
        assert word not in page


def test_text_of_the_catalogue_ends_no_script(page):
    assert HOSTILE not in page
    assert page.count("</script>") == 2


def test_too_many_candidates_are_refused_with_the_limit(material):
    with pytest.raises(VettingError, match=f"at most {MOST_CANDIDATES} candidates, got 501: choose fewer with --top"):
        static_page(TERMS, material, MOST_CANDIDATES + 1)


def test_a_page_knows_what_is_alike(tmp_path):
    """The page itself shows a blind grader those alone that are graded."""
    values = {FIRST + i: [math.cos(0.1 * i), math.sin(0.1 * i), *[0.0] * 30] for i in range(4)}
    catalogue_of(tmp_path, 4, embeddings=values, reference_sha256="a" * 64)
    page = static_page(TERMS, Material(str(tmp_path), gradable_rows(str(tmp_path), EVERY_CANDIDATE), gold_of(2)), 4)
    views = [(key, view) for (key, _), view in zip(data_of(page)["state"]["items"], views_in(page), strict=True)]
    first = {view["subject"]["subject"]: (key, view["facts"]) for key, view in views if not view["subject"]["repeat"]}
    keys = [first[f"object:{FIRST + i}"][0] for i in range(4)]
    assert first[f"object:{FIRST}"][1]["alike"] == keys[1:]
    assert [facts["alike"] for name, (_, facts) in first.items() if name.startswith("gold:")] == [[], []]
