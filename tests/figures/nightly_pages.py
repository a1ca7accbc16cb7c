"""Draw the pages that Prefect and Ray show of nights: `make demo-nightly` does the nights, a headless browser looks at them.

python -m tests.figures.nightly_pages --out docs/figures        (make screens)
"""

import argparse
import tempfile
from pathlib import Path

from flows.demo_nightly import NIGHTS, show, three_nights
from infra.deploy.local_process import ended_by_signals
from tests.browser import headless_browser
from tests.figures.draw import as_jpeg
from tests.figures.screens import write

QUALITY = 80
LAPTOP = {"width": 1280, "height": 1010}
WIDE = {"width": 1480, "height": 1010}
TALL = {"width": 1480, "height": 1140}
"""Sizes in pixels at which no line is cut: four artefacts, the sentences of a verdict, four jobs."""
LIGHT = "localStorage.setItem('color-scheme', '\"light\"')"
"""Makes Prefect's pages light, as their switch in the settings does."""
SETTLED_MS = 4000
"""Time in which a page has drawn its charts."""


def pictures(work):
    """Yield the name and the content of each picture; the servers keep their files in the folder `work`."""
    with three_nights(work) as nights, headless_browser() as browser:
        assert show(nights)
        run = nights.runs[f"nightly {list(NIGHTS)[-1]}"]
        for name, png in prefect_pages(browser, nights.services, run):
            yield name, as_jpeg(png, QUALITY)
        yield "ray_jobs.jpg", as_jpeg(ray_jobs(browser, nights.services), QUALITY)


def prefect_pages(browser, services, run):
    """Yield the page of a run with its artefacts, and the page of its verdict."""
    page = browser.new_context(viewport=LAPTOP).new_page()
    page.add_init_script(LIGHT)
    page.goto(f"{services.prefect_url}/login")
    page.fill("input", services.variables["PREFECT_API_AUTH_STRING"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard")
    page.goto(run)
    page.get_by_text("Artifacts", exact=True).click()
    page.get_by_text("verdict-").first.wait_for()
    page.wait_for_timeout(SETTLED_MS)
    yield "prefect_night.jpg", page.screenshot()
    verdict = page.locator("a[href*='/artifacts/artifact/']").filter(has_text="verdict-").first.get_attribute("href")
    page.set_viewport_size(WIDE)
    page.goto(f"{services.prefect_url}{verdict}")
    page.get_by_text("quality gate").first.wait_for()
    page.wait_for_timeout(SETTLED_MS)
    yield "prefect_verdict.jpg", page.screenshot()


def ray_jobs(browser, services):
    """Return Ray's list of jobs."""
    page = browser.new_context(viewport=TALL).new_page()
    page.goto(f"{services.jobs_url}/#/jobs")
    page.get_by_role("textbox", name="Authentication Token").fill(Path(services.variables["RAY_AUTH_TOKEN_PATH"]).read_text())
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("SUCCEEDED").first.wait_for()
    page.wait_for_timeout(SETTLED_MS)
    return page.screenshot()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with ended_by_signals(), tempfile.TemporaryDirectory() as work:
        write(pictures(Path(work).resolve()), arguments.out)


if __name__ == "__main__":
    main()
