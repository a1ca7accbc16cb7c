"""Draw the grading page: one candidate, a mosaic with some grades, and a phone.

    python -m tests.figures.vetting CATALOGUE --out docs/figures

The catalogue is that of `lensscan demo`; the pictures show its best candidates. A browser is needed, as tests/browser.py says.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from scanner.catalogue.wanted import Wanted
from scanner.review.vetting.candidates import gradable_rows
from scanner.review.vetting.material import Material
from scanner.review.vetting.page_files import page_version
from scanner.review.vetting.session import Session, Terms
from scanner.review.votes.log import VoteLog
from tests.browser import LAPTOP, PHONE, headless_browser
from tests.vetting import opened, press, served

QUALITY = 82
GRADES = "xxx4xxcbxxxxxxax1xbcxxx"
"""Keys that the grader of the mosaic has pressed."""


def session_on(root, votes, grader):
    """Return a session on the candidates of a catalogue, whose votes go elsewhere."""
    terms = Terms(grader, 0, is_blind=True, page_version=page_version(), title="catalogue")
    return Session(VoteLog(votes), terms, Material(root, gradable_rows(root, Wanted(limit=100))))


def go_to(page, session, object_id):
    """Press the key for the next candidate until this one is shown."""
    place = next(i for i, item in enumerate(session.items) if item.subject.object_id == object_id)
    press(page, *place * ["ArrowRight"])
    page.wait_for_timeout(3000)


def vet_pictures(root):
    """Yield the name and the content of each picture."""
    best, *_ = (row["object_id"] for row in gradable_rows(root, Wanted(limit=1)))
    with TemporaryDirectory() as votes, headless_browser() as browser:
        session = session_on(root, votes, "anna")
        with served(session) as guard:
            page = browser.new_context(viewport=LAPTOP).new_page()
            opened(page, guard.address)
            go_to(page, session, best)
            yield "vet_single.jpg", page.screenshot(type="jpeg", quality=QUALITY)
            phone = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=1.5).new_page()
            opened(phone, guard.address)
            go_to(phone, session, best)
            yield "vet_phone.jpg", phone.screenshot(type="jpeg", quality=QUALITY)
            mosaic = browser.new_context(viewport=LAPTOP).new_page()
            opened(mosaic, guard.address)
            press(mosaic, "m", "g", *GRADES)
            mosaic.wait_for_timeout(3000)
            yield "vet_mosaic.jpg", mosaic.screenshot(type="jpeg", quality=QUALITY)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalogue")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for name, content in vet_pictures(str(Path(arguments.catalogue).resolve())):
        (arguments.out / name).write_bytes(content)


if __name__ == "__main__":
    main()
