"""The page on a port that goes from one catalogue to another: its votes go to its own catalogue alone."""

from scanner.review.votes.log import VoteLog
from tests.servers import free_port
from tests.vetting import SAVED, catalogue_of, opened, press, served, session_of


def grades(root):
    return [vote.grade for vote in VoteLog(str(root)).votes()]


def test_a_vote_goes_into_its_own_catalogue(new_page, tmp_path):
    first, second, port = tmp_path / "first", tmp_path / "second", free_port()
    for root in (first, second):
        catalogue_of(root, 6)
    page = new_page(ignored="ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|403|409")
    with served(session_of(first), port) as guard:
        press(opened(page, guard.address), "a")
    page.keyboard.press("b")
    page.wait_for_selector('#saved[data-trouble="true"]')
    with served(session_of(second), port) as guard:
        other = opened(page.context.new_page(), guard.address)
        page.wait_for_selector("#saved:has-text('1 not saved yet: this page is of another catalogue or grader')")
        press(other, "c")
        other.close()
    assert (grades(first), grades(second)) == (["A"], ["C"])
    # The same catalogue again, with other options.
    with served(session_of(first, seed=3), port) as guard:
        again = opened(page.context.new_page(), guard.address)
        page.wait_for_selector(SAVED, state="attached")
        press(page, "x")
        assert again.inner_text("#place").startswith("2 of ")
    assert (grades(first), grades(second)) == (["A", "B", "X"], ["C"])
