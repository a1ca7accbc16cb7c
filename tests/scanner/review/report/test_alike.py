"""The objects like the best candidates on the page of a report."""

import math
from pathlib import Path

import pytest

from scanner.catalogue.paths import plan_uri
from scanner.catalogue.query import query
from scanner.catalogue.wanted import Wanted
from scanner.review.report.alike import N_ALIKE, N_BEST, alike_of
from scanner.review.report.report import make_report, report_html
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.review.night import HOSTILE

N, OTHER_NIGHT = 20, "2026-11-26"


def night_of(root, night=NIGHT, n=N):
    """Write a night in which object i lies at an angle of i/20 from the first, the last two below the threshold."""
    values = {i: [math.cos(i / 20), math.sin(i / 20), *[0.0] * 30] for i in range(n)}
    p_lens = {i: 0.9 - i / 100 if i < n - 2 else 0.1 for i in range(n)}
    names = [f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(n)]
    return finished(
        root, {"t": p_lens}, night=night, embeddings=values, reference_sha256="a" * 64, changes={"candidate_id": names}
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("alike"))
    night_of(root)
    night_of(root, OTHER_NIGHT)
    return root


def test_the_best_have_their_neighbours_by_angle(root):
    rows = query(root, Wanted(night=NIGHT))
    found = alike_of(root, rows, Wanted(night=NIGHT))
    assert len(found) == N_BEST
    assert [other.number for other in found[0]] == [2, 3, 4, 5, 6]
    assert [other.distance for other in found[0]] == pytest.approx([1 - math.cos(i / 20) for i in range(1, 6)], abs=1e-6)
    assert {len(of) for of in found} == {N_ALIKE}
    assert sorted(other.number for other in found[7]) in ([5, 6, 7, 9, 10], [6, 7, 9, 10, 11], [5, 6, 7, 9, 11])
    assert found[0][0].name == f"{HOSTILE[1]} 1"


def test_an_object_below_the_threshold_has_no_number(root):
    rows = query(root, Wanted(night=NIGHT)).slice(N - 3)
    ((first, *_),) = alike_of(root, rows, Wanted(night=NIGHT))
    assert (first.number, first.p_lens, first.name) == (None, "0.1000", f"{HOSTILE[(N - 2) % 6]} {N - 2}")


def test_an_object_of_two_nights_is_not_like_itself(root):
    rows = query(root).slice(0, 1)
    (others,) = alike_of(root, rows, Wanted())
    names = {other.name for other in others}
    assert (len(names), f"{HOSTILE[0]} 0" in names) == (N_ALIKE, False)


def test_an_unreadable_plan_leaves_the_others_their_neighbours(tmp_path):
    root = str(tmp_path)
    night_of(root, n=8)
    Path(plan_uri(root, night_of(root, OTHER_NIGHT, n=3).plan_id)).write_text("{}")
    made = make_report(root, Wanted())
    assert [len(card.alike) for card in made.cards] == [N_ALIKE] * 6


def test_the_page_shows_them_as_text(root):
    made = make_report(root, Wanted(night=NIGHT), top=5)
    assert [len(card.alike) for card in made.cards] == [N_ALIKE] * 5
    assert made.sorts["anomaly"] == "anomaly"
    assert made.cards[0].anomaly == "0.50"
    html = report_html(made)
    assert html.count("Most alike") == 5
    assert "<script>alert(1)</script> 0" not in html
    # 1 - cos(1/20), and a p_lens of 0.89.
    assert "distance 0.00125" in html
    assert "p_lens 0.8900" in html


def test_a_catalogue_without_embeddings_shows_nothing(tmp_path):
    finished(str(tmp_path), {"t": {1: 0.9}})
    assert alike_of(str(tmp_path), query(str(tmp_path)), Wanted()) == []
    made = make_report(str(tmp_path), Wanted())
    assert "anomaly" not in made.sorts
    assert "Most alike" not in report_html(made)
