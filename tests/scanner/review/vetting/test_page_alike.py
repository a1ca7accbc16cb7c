"""The key of the page that goes to what the networks see as alike."""

import math
import re

from tests.vetting import FIRST, catalogue_of, opened, press, served, session_of

N = 6


def test_a_key_goes_to_what_is_alike(new_page, tmp_path):
    """Blind, it goes to graded ones alone; without blindness to all, nearest first."""
    values = {FIRST + i: [math.cos(0.1 * i), math.sin(0.1 * i), *[0.0] * 30] for i in range(N)}
    catalogue_of(tmp_path, N, embeddings=values, reference_sha256="a" * 64)
    for name, is_blind in (("blind", True), ("open", False)):
        session = session_of(tmp_path, name, is_blind=is_blind)
        place = {item.subject.object_id - FIRST: i + 1 for i, item in enumerate(session.items) if not item.repeat}
        with served(session) as guard:
            page = opened(new_page(), guard.address)

            def subject(page=page):
                return int(re.search(r"Subject (\d+)", page.inner_text("#asked"))[1])

            press(page, "n", "w")
            if is_blind:
                assert "Grade first" in page.inner_text("#toast")
                press(page, "a", "w")
                page.wait_for_selector("#toast:has-text('None of the 5 most like it is graded yet')")
                continue
            shown = next(i for i, at in place.items() if at == 1)
            nearest = sorted((i for i in place if i != shown), key=lambda i: abs(i - shown))
            page.wait_for_selector("#toast:has-text('1 of 5 like Subject 1')")
            assert subject() in {place[i] for i in nearest if abs(i - shown) == 1}
            press(page, "w")
            page.wait_for_selector("#toast:has-text('2 of 5 like Subject 1')")
            assert subject() != 1
