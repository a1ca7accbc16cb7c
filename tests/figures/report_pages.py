"""Draw pictures of a report: `lensscan demo` makes the night, a headless browser shows the page.

python -m tests.figures.report_pages --out docs/figures        (make screens)
"""

import argparse
import tempfile
from pathlib import Path

from tests.browser import headless_browser
from tests.figures.draw import as_jpeg
from tests.figures.screens import lensscan, write

QUALITY = 80
LAPTOP = {"width": 1440, "height": 900}


def pictures(work):
    """Yield the name and the content of each picture; commands run in the folder `work`."""
    lensscan(work, "demo", "--out", "demo-output")
    lensscan(work, "report", "demo-output/catalogue", "--out", "report.html", "--no-known")
    uri = (work / "report.html").as_uri()
    with headless_browser() as browser:
        yield "report.jpg", as_jpeg(shot(browser, uri, "guided", viewport=LAPTOP), QUALITY)
        yield "report_sky.jpg", as_jpeg(shot(browser, uri, viewport=LAPTOP, color_scheme="dark"), QUALITY)


def shot(browser, uri, maps=None, **options):
    """Return a PNG of the top of a page, or of its candidates with their maps."""
    page = browser.new_context(**options).new_page()
    page.goto(uri)
    if maps is not None:
        page.check(f"input[value={maps}]")
        page.evaluate("document.activeElement.blur(); document.querySelector('#candidates').scrollIntoView()")
    return page.screenshot()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        write(pictures(Path(work).resolve()), arguments.out)


if __name__ == "__main__":
    main()
