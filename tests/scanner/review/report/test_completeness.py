"""The section of completeness: shown for nights with injected lenses, in a real browser, and never for an older scan."""

import pytest

from infra.store.replacement import replace
from scanner.catalogue.injected import Realism, write_injected
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import injected_uri
from scanner.catalogue.wanted import Wanted
from scanner.review.report.completeness import nights_completeness
from scanner.review.report.report import make_report, report_html, write_page
from tests.browser import LAPTOP, PHONE
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.injected_parts import injected_into

OTHER = "2026-11-25"
UNLIKE = Realism(auroc=0.91, low=0.85, high=0.97, n_injected=50, n_real=40)


def page_of(root, folder, wanted=None):
    path = folder / "report.html"
    report = make_report(root, wanted or Wanted())
    write_page(report_html(report), path)
    return report, path.as_uri()


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE])
def test_the_page_shows_charts_and_numbers(tmp_path, new_page, viewport):
    root = str(tmp_path / "catalogue")
    plan = finished(root, {"a": {1: 0.9, 2: 0.1}})
    write_injected(injected_into(root, 60, realism=UNLIKE, n_real=40), root)
    report, uri = page_of(root, tmp_path)
    page = new_page(viewport=viewport)
    page.goto(uri)
    section = page.locator("#completeness")
    assert section.locator("svg.chart").count() == 2
    assert section.locator("svg.chart path.point").count() == sum(
        len(series.points) for chart in report.completeness[0].charts for series in chart.series
    )
    cells = [row.locator("th, td").all_text_contents() for row in section.locator("tbody tr").all()]
    assert cells == [
        ["single lens", "20", "10", "50 % (29\u201371 %)"],
        ["compound lens with arcs", "20", "10", "50 % (29\u201371 %)"],
        ["compound lens with two rings", "20", "10", "50 % (29\u201371 %)"],
    ]
    assert "at least 0.5" in section.text_content()
    warning = section.locator(".warning")
    assert (
        "WARNING: a classifier tells 50 injected lenses from 40 real candidates with an AUROC of 0.91" in warning.text_content()
    )
    assert page.get_by_role("link", name="Completeness").get_attribute("href") == "#completeness"
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    # The objects of the page are those of the night.
    assert (report.n_objects, report.tally.n_rows, len(report.cards)) == (1, 2, 1)
    assert plan.plan_id in page.text_content("#provenance")


def test_without_injected_lenses_there_is_no_section(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9}})
    report, _ = page_of(root, tmp_path)
    assert report.completeness == []
    assert 'id="completeness"' not in report_html(report)
    assert "#completeness" not in report_html(report).partition("</nav>")[0].partition("<nav")[2]


def test_an_older_scan_and_a_damaged_file_are_named(tmp_path):
    root = str(tmp_path)
    plan = finished(root, {"a": {1: 0.9}})
    write_injected(injected_into(root), root)
    show(plan, root, 0.7)
    (found,) = nights_completeness(root, [NIGHT])
    assert (
        found.trouble == "lenses were injected into another scan of this night; `lensscan completeness` measures the shown one"
    )
    assert not found.charts
    replace(injected_uri(root, NIGHT), b"?")
    (found,) = nights_completeness(root, [NIGHT])
    assert "cannot be read" in found.trouble
    assert "Not shown: " in report_html(make_report(root, Wanted()))


def test_each_night_has_its_own(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9}})
    finished(root, {"b": {2: 0.9}}, night=OTHER)
    finished(root, {"c": {3: 0.9}}, night=None)
    for night, label, n in ((NIGHT, NIGHT, 6), (None, "undated", 9)):
        write_injected(injected_into(root, n, night=night, label=label), root)
    report, _ = page_of(root, tmp_path)
    assert [(one.night, sum(line.n for line in one.lines)) for one in report.completeness] == [(NIGHT, 6), ("undated", 9)]
    assert make_report(root, Wanted(night=OTHER)).completeness == []
    assert [one.night for one in make_report(root, Wanted(night=NIGHT)).completeness] == [NIGHT]
