"""Keys that are held on the page: they grade nothing that the grader has not looked at."""

import pytest

from scanner.review.votes.effective import effective_votes
from scanner.review.votes.log import VoteLog
from tests.vetting import DRAWN, SAVED, catalogue_of, opened, press, served, session_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue that each test grades under another name."""
    root = tmp_path_factory.mktemp("held")
    catalogue_of(root, 6)
    return str(root)


def counted(root, grader):
    return effective_votes(VoteLog(root).votes(grader))


def hold(page, key, n=5):
    """Press a key until it has repeated itself a few times; each time the image is there."""
    for _ in range(n):
        page.wait_for_selector(DRAWN)
        page.keyboard.down(key)
    page.keyboard.up(key)
    page.wait_for_selector(SAVED, state="attached")


def test_a_held_key_grades_one_subject(root, new_page):
    with served(session_of(root, "sleeper")) as guard:
        page = opened(new_page(), guard.address)
        for key in "a1b":
            hold(page, key)
        assert [vote.grade for vote in counted(root, "sleeper")] == ["A", "X", "B"]
        hold(page, "u")
        assert [vote.grade for vote in counted(root, "sleeper")] == ["A", "X"]
        page.focus('[data-do="grade C"]')
        hold(page, "Enter")
        assert [vote.grade for vote in counted(root, "sleeper")] == ["A", "X", "C"]
        hold(page, "ArrowLeft")
        assert "Subject 1" in page.inner_text("#asked"), "a held arrow goes on"


def test_the_others_of_a_mosaic_are_asked_about_each_time(root, new_page):
    with served(session_of(root, "hasty")) as guard:
        page = opened(new_page(), guard.address)
        press(page, "m")
        page.keyboard.down("Shift")
        hold(page, "X")
        page.keyboard.up("Shift")
        # Another view of the mosaic takes the question back.
        press(page, "g", "Shift+X")
        assert "Once more" in page.inner_text("#toast")
        assert counted(root, "hasty") == []
        press(page, "Shift+X")
        assert {vote.grade for vote in counted(root, "hasty")} == {"X"}
