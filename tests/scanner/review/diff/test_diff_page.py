"""The page of a comparison in a browser: both sides of a change, and texts that stay texts."""

from datetime import UTC, datetime

import pytest

from scanner.catalogue.wanted import Wanted
from scanner.review.diff.changes import Rules, Side, difference
from scanner.review.diff.diff_page import diff_html
from scanner.review.report.report import write_page
from tests.browser import LAPTOP, PHONE, assert_fits
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.night import HOSTILE, hostile_night

AT = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
N, N_MAPS = 8, 6


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return a comparison: object 100 in both and moved, 101 gained by its score, 102 gained from a rejection, others lost."""
    roots = [str(tmp_path_factory.mktemp(name) / "catalogue") for name in "ab"]
    hostile_night(roots[0], N, N_MAPS)
    hostile_night(roots[1], 1, 1)
    changes = {"detail": ["", HOSTILE[1], "", ""], "candidate_id": [HOSTILE[0]] * 4, "ra": [None] * 4, "dec": [None] * 4}
    finished(roots[1], {"z": {104: 0.2, 105: None, 300: 0.9, 301: 0.8}}, night="2026-11-30", changes=changes)
    first, second = (Side.read(root, Wanted(), f"{name}{HOSTILE[2]}") for root, name in zip(roots, "ab", strict=True))
    return difference(first, second, Rules(moved_by=1e-9, rank_moved_by=0))


@pytest.fixture(scope="module")
def uri(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "diff.html"
    write_page(diff_html(found, made_at=AT), path)
    return path.as_uri()


def shown(page):
    return [card.get_attribute("data-change") for card in page.locator(".card:visible").all()]


def test_both_sides_stand_beside_each_other(found, uri, new_page):
    assert found.counts == {"gained": 0, "lost": 2, "moved": 1, "outside a": 2, "outside b": N - 3}
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    assert (shown(page).count("moved"), len(shown(page))) == (1, N + 2)
    moved = page.locator("[data-change=moved]")
    assert moved.locator(".pictures").count() == 2
    a, b = (moved.locator(".pictures").nth(i).bounding_box() for i in (0, 1))
    assert (a["y"], a["x"] < b["x"]) == (b["y"], True)
    page.get_by_label("occlusion", exact=True).check()
    assert moved.locator("img.occlusion:visible").count() == 2
    moved.locator(".pictures").last.click()
    assert page.locator("#zoom .pictures").count() == 2


def test_a_side_without_the_candidate_says_why(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    page.select_option("select[name=change]", "lost")
    assert shown(page) == ["lost"] * 2
    page.select_option("select[name=change]", "")
    text = {i: page.locator(f".card[data-text*=' {i} ']").text_content() for i in (101, 104, 105)}
    assert "no row is about this object" in text[101]
    assert "no candidate: p_lens is below 0.5" in text[104]
    assert f"rejected:blank: {HOSTILE[1]}" in text[105]
    page.select_option("select[name=change]", "outside a")
    assert page.locator(".card:visible .pictures").count() == 0
    page.select_option("select[name=change]", "")
    page.select_option("select[name=sort]", "change")
    assert shown(page)[0] == "lost"


def test_texts_stay_texts(uri, new_page):
    page = new_page(viewport=PHONE)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(uri)
    assert (page.locator("script").count(), page.locator("style").count()) == (1, 1)
    assert page.locator("img").count() == (N_MAPS + 1) * 6
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/.test(a.name)).length"
        )
        == 0
    )
    text = page.evaluate("document.body.textContent")
    assert all(hostile in text for hostile in HOSTILE)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert_fits(page)


def test_a_short_page_says_what_it_leaves_out(found):
    html = diff_html(found, 3, AT)
    assert f"3 of {N + 2} changes, the best candidates" in html
    assert html.count("<article") == 3
    assert diff_html(found, 3, AT) == html


def test_nothing_changed_is_said(found):
    nothing = difference(found.first, found.first, Rules())
    html = diff_html(nothing, made_at=AT)
    assert "Nothing changed." in html
    assert "0 changes" in html
