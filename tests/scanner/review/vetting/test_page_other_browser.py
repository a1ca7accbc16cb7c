"""A grader who goes on in another browser, whose page cannot know which evidence was shown in the first."""

import pytest

from scanner.catalogue.wanted import EVERY_CANDIDATE
from scanner.review.vetting.candidates import gradable_rows
from scanner.review.vetting.material import Material
from scanner.review.vetting.session import Terms
from scanner.review.vetting.static_page import static_page
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote_csv import from_csv
from tests.vetting import DRAWN, catalogue_of, opened, press, served, session_of

STAYS = "Subject 1: A stays, from before, or from another browser or port"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue that each test grades under another name."""
    root = tmp_path_factory.mktemp("browsers")
    catalogue_of(root, 6)
    return str(root)


def given(root, grader):
    return [(vote.grade, vote.is_blind) for vote in VoteLog(root).votes(grader) if vote.grade]


def test_a_grade_from_another_browser_stays(root, new_page):
    with served(session_of(root, "mover")) as guard:
        page = opened(new_page(), guard.address)
        press(page, "a", "b", "u", "ArrowLeft", "e")
        page.wait_for_selector("#evidence:not([hidden])")
        other = opened(new_page(), guard.address)
        press(other, "ArrowLeft", "o")
        assert (
            other.inner_text("#toast")
            == "This has a grade from before, or from another browser or port: a new flag does not count."
        )
        press(other, "c")
        assert other.inner_text("#toast") == STAYS
        # The second view had a grade, and may have had its evidence; the third had none.
        press(other, "x", "x")
    assert given(root, "mover") == [("A", True), ("B", True), ("C", False), ("X", False), ("X", True)]
    assert [vote.grade for vote in effective_votes(VoteLog(root).votes("mover"))] == ["A", "X", "X"]


def test_a_grade_is_corrected_after_a_reload(root, new_page):
    """The same browser knows that no evidence was shown, also if another page of it showed that of another view."""
    with served(session_of(root, "careful")) as guard:
        page = opened(new_page(), guard.address)
        press(page, "a", "b")
        page.reload()
        press(page, "ArrowLeft")
        second = opened(page.context.new_page(), guard.address)
        press(second, "ArrowLeft", "ArrowLeft", "e")
        second.wait_for_selector("#evidence:not([hidden])")
        press(page, "c", "ArrowLeft", "ArrowLeft", "x")
        assert page.inner_text("#toast") == "Subject 1: A stays, from before you saw the evidence"
    assert given(root, "careful") == [("A", True), ("B", True), ("C", True), ("X", False)]


def test_a_grade_of_an_imported_table_stays(root, new_page, tmp_path):
    terms, path, table = Terms("carl", 0, is_blind=True, page_version="p", title="t"), tmp_path / "x.html", tmp_path / "x.csv"
    path.write_text(static_page(terms, Material(root, gradable_rows(root, EVERY_CANDIDATE), []), 6))
    page = opened(new_page(accept_downloads=True), path.as_uri())
    press(page, "a")

    def downloaded(page):
        with page.expect_download() as download:
            page.click('[data-do="download"]')
        download.value.save_as(table)
        return {(vote.grade, vote.is_blind) for vote in from_csv("x", table.read_bytes())}

    downloaded(page)
    other = opened(new_page(accept_downloads=True), path.as_uri())
    other.set_input_files("#import", table)
    other.wait_for_selector("#toast:has-text('1 acts read')")
    press(other, "c")
    assert other.inner_text("#toast") == STAYS
    # The browser keeps what it has read, but does not take it for its own.
    other.reload()
    other.wait_for_selector(DRAWN)
    press(other, "ArrowLeft", "b")
    assert other.inner_text("#toast") == STAYS
    assert downloaded(other) == {("A", True), ("C", False), ("B", False)}
