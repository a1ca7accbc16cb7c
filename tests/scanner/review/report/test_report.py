"""The page of a report in a real browser: what it shows, what its controls do, and that texts stay texts."""

import re
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from scanner.catalogue.known_lenses import read_known
from scanner.catalogue.query import query
from scanner.catalogue.selection import Circle
from scanner.catalogue.wanted import Wanted
from scanner.review.report.report import make_report, report_html, write_page
from tests.browser import LAPTOP, PHONE, assert_fits
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.catalogue_parts import NIGHT, finished, purity_table
from tests.scanner.review.night import CARRIED, HOSTILE, hostile_night

AT = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
N, N_MAPS = 8, 6
OTHER_NIGHT = "2026-11-26"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue of two nights that have the same objects."""
    root = str(tmp_path_factory.mktemp("report") / "catalogue")
    hostile_night(root, N, N_MAPS)
    hostile_night(root, 2, 2, night=OTHER_NIGHT)
    return root


@pytest.fixture(scope="module")
def known(root, tmp_path_factory):
    """Return a table with a lens at the place of the best candidate."""
    best = query(root).to_pylist()[0]
    path = tmp_path_factory.mktemp("known") / "known.csv"
    path.write_text(f'ra,dec,name,grade,reference\n{best["ra"]},{best["dec"]},"<b onclick=alert(7)>L1",A,"<i>"\n')
    return read_known(str(path))


@pytest.fixture(scope="module")
def made(root, known):
    return make_report(root, Wanted(), known=known, made_at=AT)


@pytest.fixture(scope="module")
def uri(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(report_html(made), path)
    return path.as_uri()


def shown(page):
    """Return the numbers of the cards that a person sees, in their order."""
    return [int(card.get_attribute("data-number")) for card in page.locator(".card:visible").all()]


def test_each_object_is_listed_once_with_all_its_nights(made, known):
    assert (made.n_objects, made.n_candidate_rows, len(made.cards)) == (N, N + 2, N)
    assert [card.object_id for card in made.cards] == [str(100 + i) for i in range(N)]
    assert [card.nights for card in made.cards] == [(NIGHT, OTHER_NIGHT)] * 2 + [(NIGHT,)] * (N - 2)
    assert [card.pictures is not None for card in made.cards] == [True] * N_MAPS + [False] * (N - N_MAPS)
    assert [card.known is not None for card in made.cards] == [True] + [False] * (N - 1)
    assert made.known_table == known.table
    assert made.meanings["ra"] == "Right ascension, ICRS"


def test_a_report_on_another_survey_states_the_missing_calibration(made, tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9}}, purity=purity_table(0.25), survey=ATLAS)
    other = make_report(str(tmp_path), Wanted())
    assert other.warning.startswith(UNCALIBRATED)
    assert (other.cuts, made.warning, made.cuts is None) == (None, None, False)
    assert "sky-atlas: p_lens is calibrated" in report_html(other)
    assert "is calibrated" not in report_html(made)
    # Beside a night of Euclid's, its candidates have no links to Euclid's images.
    finished(str(tmp_path), {"b": {2: 0.8}}, night=OTHER_NIGHT)
    both = make_report(str(tmp_path), Wanted(), title="Of both")
    assert ["Euclid" in card.links[0].url for card in both.cards] == [False, True]
    assert (both.title, both.source, str(tmp_path) in report_html(both).split("<main>")[0]) == ("Of both", tmp_path.name, False)


def test_conditions_choose_candidates_and_not_the_tally(root):
    whole = make_report(root, Wanted(night=NIGHT), top=3)
    assert (whole.n_objects, len(whole.cards), whole.tally.n_rows, whole.title) == (N, 3, N + 3, f"Lens candidates of {NIGHT}")
    assert len(whole.plans) == 1
    assert ([mark.place.number for mark in whole.maps[0].marks], whole.maps[0].dots.count("M")) == ([1, 2, 3], N - 3)
    some = make_report(root, Wanted(night=NIGHT, subclass="single", min_p_lens=0.9))
    assert ([card.object_id for card in some.cards], some.tally.n_rows) == (["100", "103"], N + 3)
    plan = whole.plans[0].plan_id[:10]
    circle = Circle(ra_deg=52.9, dec_deg=-28.1, radius_deg=0.015)
    found = make_report(root, Wanted(plan=plan, circle=circle))
    assert found.conditions == {"plan": plan, "within": "0.015 deg of RA 52.9, Dec -28.1"}
    # The sky is flat so near the centre.
    flat = np.cos(np.radians(28.1))
    near = [str(r["object_id"]) for r in query(root, Wanted(night=NIGHT)).to_pylist()
            if np.hypot((r["ra"] - 52.9) * flat, r["dec"] + 28.1) <= 0.015]  # fmt: skip
    assert ([card.object_id for card in found.cards], 0 < len(near) < N, found.tally.n_rows) == (near, True, N + 3)
    assert make_report(root, Wanted(subclass="single", min_p_lens=0.99)).cards == []


def test_a_report_on_all_plans_counts_the_replaced_scan_too(tmp_path):
    hostile_night(str(tmp_path), 4, 1)
    hostile_night(str(tmp_path), 6, 2)
    shown, of_all = (make_report(str(tmp_path), Wanted(all_plans=every)) for every in (False, True))
    assert (shown.tally.n_rows, of_all.tally.n_rows, len(of_all.plans)) == (6 + 3, 6 + 3 + 4 + 3, 2)
    assert of_all.conditions == {"plans": "all, also those that newer scans have replaced"}


def test_a_page_depends_on_its_content_alone(root, known, made):
    again = make_report(root, Wanted(), known=known, made_at=AT)
    assert report_html(again) == report_html(made)


def test_texts_stay_texts(made, uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(uri)
    assert page.locator("script").count() == 1
    assert page.locator("style").count() == 1
    assert page.locator("img").count() == N_MAPS * 6 + 6
    assert page.locator("img:not([src^='data:image/png;base64,'])").count() == 0
    attributes = (
        "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).map(a => a.name).filter(n => /^on/.test(n))"
    )
    assert page.evaluate(attributes) == []
    hrefs = page.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    assert page.locator("a[href^=http]:not([rel='noopener noreferrer'][target=_blank])").count() == 0
    assert {re.match(r"#|https://(aladin\.cds\.unistra\.fr|sky\.esa\.int)/|(.*)", href)[2] for href in hrefs} == {None}
    text = page.evaluate("document.body.textContent")
    for hostile in (*HOSTILE, CARRIED, "<b onclick=alert(7)>L1"):
        assert hostile in text
    assert page.locator(".card b, .card i, .card svg, .card a:not([href^='#c']):not(.links a)").count() == 0
    page.get_by_text("All columns").first.click()
    assert page.locator(".columns dt", has_text=CARRIED).first.is_visible()
    assert page.locator(".best a").all_inner_texts() == [f"{i} 0.9{5 - i + 1}00" for i in range(1, 7)]
    # The dialog and the search use the same texts.
    page.locator(".pictures").first.click()
    assert HOSTILE[0] in page.locator("#zoom h2").text_content()
    page.keyboard.press("Escape")
    page.fill("input[name=text]", HOSTILE[1])
    assert shown(page) == [2, 8]


INJECTED = """
    document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hit = 1'><p id=p style='color: red'>");
    for (const [name, text] of [["script", "window.hit = 2"], ["style", "p { color: red }"]]) {
        const element = document.createElement(name);
        element.textContent = text;
        document.body.append(element);
    }
"""


def test_the_policy_stops_what_slips_through(uri, new_page):
    page = new_page(ignored="Content Security Policy")
    page.goto(uri)
    page.evaluate(f"() => {{ {INJECTED} }}")
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    assert page.evaluate("getComputedStyle(document.getElementById('p')).color") != "rgb(255, 0, 0)"


def test_filters_and_orders(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    everything = [*range(1, N + 1)]
    assert shown(page) == everything
    page.select_option("select[name=kind]", "double_ring")
    assert shown(page) == [2, 5, 8]
    page.fill("input[name=p]", "0.9")
    assert (shown(page), page.locator("output").text_content()) == ([2, 5], "2 of 8 shown")
    page.click("button[type=reset]")
    assert shown(page) == everything
    page.select_option("select[name=night]", OTHER_NIGHT)
    assert shown(page) == [1, 2]
    page.select_option("select[name=night]", "")
    page.select_option("select[name=known]", "known")
    assert shown(page) == [1]
    page.select_option("select[name=known]", "new")
    assert shown(page) == everything[1:]
    page.select_option("select[name=known]", "")
    page.click("button[name=direction]")
    assert shown(page) == everything[::-1]
    page.select_option("select[name=sort]", "known_separation_arcsec")
    assert shown(page)[0] == 1
    page.select_option("select[name=sort]", "name")
    assert shown(page) == everything
    page.fill("input[name=text]", "103 Single")
    assert shown(page) == [4]


def test_numbers_stand_beside_their_names(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    figures = page.locator(".figures div").all_inner_texts()
    of_rows = {
        "rows of candidates in all nights\n10",
        "rows scored in all nights\n12",
        "rows in the input of all nights\n16",
    }
    assert {"candidates\n8", *of_rows} <= {*figures}
    (cut,) = page.locator(".cuts tbody tr").all()
    found = cut.inner_text().split("\t")
    # 12 objects of which one in a thousand is a lens, of which all are found, and 25 % purity.
    assert (found[:2], found[4]) == (["0.5", "10"], "25 % (25\u201325 %)")
    assert (found[2].startswith("0.048 "), found[3].startswith("0.012 ")) == (True, True)
    outcome = page.locator("#outcomes tr", has_text="rejected:not_finite").inner_text()
    assert all(text in outcome for text in ("4", "Too many pixels are NaN", HOSTILE[2]))
    facts = page.locator("#c2 .facts").inner_text().split("\n")
    assert (facts[facts.index("rank") + 1], facts[facts.index("purity") + 1]) == ("2 of its night", "25 % (25\u201325 %)")


def test_rows_are_called_objects_in_one_night_alone(root, made):
    one, both = (report_html(report) for report in (make_report(root, Wanted(night=NIGHT), top=1), made))
    texts = ("<dt>objects scored<", "<dt>objects in the input<", "Outcomes of all objects<", ">Number of objects by p_lens")
    assert [text in one for text in texts] == [True] * len(texts)
    assert [text in both for text in texts] == [False] * len(texts)
    texts = ("rows scored in all nights<", "rows in the input of all nights<", "Outcomes of all rows in all nights<")
    assert [text in one for text in texts] == [False] * len(texts)
    assert [text in both for text in texts] == [True] * len(texts)


def test_the_table_follows_the_cards(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    assert page.locator(".table-view").is_hidden()
    page.get_by_label("table", exact=True).check()
    page.select_option("select[name=kind]", "single")
    page.click("button[name=direction]")
    rows = page.locator(".table-view tbody tr:visible")
    numbers = lambda: [int(row.get_attribute("data-number")) for row in rows.all()]  # noqa: E731
    assert (numbers(), shown(page)) == ([7, 4, 1], [])
    page.select_option("select[name=kind]", "")
    for header, first, sort in (("subclass", 3, "ascending"), ("subclass", 1, "descending"), ("p_lens", 1, "descending")):
        page.locator("th[data-key]", has_text=re.compile(f"^{header}$")).get_by_role("button").click()
        assert (numbers()[0], page.get_attribute(f"th[data-key={header}]", "aria-sort")) == (first, sort)
    assert page.locator("[aria-sort]").count() == 1
    page.select_option("select[name=kind]", "single")
    page.click("button[name=direction]")
    assert numbers() == [7, 4, 1]
    assert "0.8900" in rows.first.text_content()
    rows.first.locator("th a").click()
    page.locator("#c7").wait_for()
    assert shown(page) == [7, 4, 1]


def test_maps_lie_over_the_pictures_on_request(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    guided, occlusion = (page.locator(f"#c1 img.{name}") for name in ("guided", "occlusion"))
    assert (guided.is_visible(), occlusion.is_visible()) == (False, False)
    page.get_by_label("Guided Grad-CAM").check()
    assert (guided.is_visible(), occlusion.is_visible()) == (True, False)
    page.get_by_label("occlusion", exact=True).check()
    assert (guided.is_visible(), occlusion.is_visible()) == (False, True)
    assert page.locator("#c1 .scale").inner_text().startswith("\u00b1")
    below, above = (page.locator(f"#c1 .picture:has(.map) img{kind}").bounding_box() for kind in (":not(.map)", ".occlusion"))
    assert below == above


def test_the_keyboard_is_enough(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#c1 .pictures").focus()
    page.keyboard.press("Enter")
    assert page.locator("#zoom").is_visible()
    page.keyboard.press("m")
    assert page.locator("#zoom img.guided").first.is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#zoom h2").text_content().startswith("2 EUCL 1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#zoom h2").text_content().startswith("1 EUCL 0")
    page.keyboard.press("Escape")
    assert page.locator("#zoom").is_hidden()
    assert page.evaluate("document.activeElement.closest('.card').id") == "c1"


SMALL = """[...document.querySelectorAll("button, select, input[type=search], input[type=number]")].filter(
    e => e.offsetHeight && e.offsetHeight < 24)"""


def test_pages_fit_screens_and_paper(uri, new_page):
    page = new_page(viewport=PHONE)
    page.goto(uri)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate(f"{SMALL}.map(e => e.outerHTML)") == []
    assert_fits(page)
    page.get_by_label("table", exact=True).check()
    assert_fits(page)
    # A4 with margins of a centimetre: eight candidates are less than 27.7 cm high, two abreast.
    page.get_by_label("pictures", exact=True).check()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1047})
    first, last = (page.locator(f"#c{n}").bounding_box() for n in (1, 8))
    assert (last["x"] > first["x"] + first["width"], last["y"] + last["height"] - first["y"] < 1047) == (True, True)
    assert page.locator("#c1 .links, #c1 .columns").first.is_hidden()


def test_colours_follow_the_system_or_the_switch(uri, new_page):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = new_page(color_scheme="dark")
    page.goto(uri)
    dark = page.evaluate(ground)
    page.click("#theme")
    assert (page.evaluate(ground), page.locator("#theme").inner_text()) == ("rgb(255, 255, 255)", "\u25d0 light")
    page.click("#theme")
    assert page.evaluate(ground) == dark != "rgb(255, 255, 255)"
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.locator(".controls").is_hidden()


def test_a_page_without_scripts_shows_everything(uri, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(uri)
    assert page.locator(".card:visible").count() == N
    assert page.locator(".controls").is_hidden()


NAMELESS = """[...document.querySelectorAll("button, select, input, a, svg[role=img], .picture > img:not(.map)")].filter(e =>
    !(e.getAttribute("aria-label") || e.getAttribute("alt") || e.textContent.trim() || (e.labels && e.labels.length)))"""


def test_every_picture_and_control_has_a_name(uri, new_page):
    page = new_page(viewport=LAPTOP)
    page.goto(uri)
    assert page.evaluate(f"{NAMELESS}.map(e => e.outerHTML.slice(0, 80))") == []
    levels = page.evaluate("[...document.querySelectorAll('h1, main h2, main h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_rows_without_positions_have_no_map(tmp_path, new_page):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9, 2: None}}, changes={"ra": [None, None], "dec": [None, None]}, shown=0.75)
    found = make_report(root, Wanted())
    assert [tick.text for tick in found.chart.thresholds] == ["0.75"]
    assert (found.maps, found.cards[0].links, found.cards[0].position) == ([], (), "")
    write_page(report_html(found), tmp_path / "x.html")
    page = new_page()
    page.goto((tmp_path / "x.html").as_uri())
    assert page.get_by_text("The objects have no positions, so there is no map.").is_visible()
    assert page.get_by_text("No pictures stored").is_visible()


def test_a_catalogue_without_candidates_has_a_page(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.1, 2: None}})
    html = report_html(make_report(root, Wanted()))
    assert "No candidate meets the conditions." in html
    assert "rejected:blank" in html
    assert "All pixels are zero, so no data were taken there." in html


def test_scans_of_several_ensembles_have_no_common_cuts(root, tmp_path):
    assert make_report(root, Wanted()).cuts is not None
    other = str(tmp_path / "catalogue")
    hostile_night(other, 2, 2)
    finished(other, {"b": {7: 0.9}}, night=OTHER_NIGHT)
    assert make_report(other, Wanted()).cuts is None
    assert make_report(other, Wanted(night=NIGHT)).cuts.lines[0].n_found == 2
