"""The page in a browser, on a server in this process: what it hides, keeps and shows, and that keys and fingers are enough."""

import http.server
import json
import re
import threading

import pyarrow.parquet as pq
import pytest

from scanner.review.vetting.errors import VettingError
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.log import VoteLog
from tests.browser import PHONE, assert_fits
from tests.scanner.review.votes.made_votes import vote_of
from tests.servers import free_port, wait_for
from tests.vetting import DRAWN, FIRST, SAVED, act_of, catalogue_of, gold_of, opened, press, served, session_of

NAME = '<img src=x onerror="alert(1)">EUCL J1'
N = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue that each test grades under another name."""
    root = tmp_path_factory.mktemp("page")
    catalogue_of(root, N, changes={"candidate_id": [f"{NAME} {i}" for i in range(N)], "subclass": ["<b>t</b>"] * N})
    return str(root)


def counted(root, grader):
    return effective_votes(VoteLog(root).votes(grader))


def in_memory(page, text):
    """Return whether any string in the memory of a page holds a text."""
    session = page.context.new_cdp_session(page)
    parts = []
    session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: parts.append(event["chunk"]))
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    return text in "".join(parts)


def test_a_blind_grader_gets_no_score_name_or_map_early(root, new_page):
    VoteLog(root).append(vote_of(1, "bob", "B", subject=f"object:{FIRST}", object_id=FIRST, comment="<script>x</script>"))
    answers = []
    with served(session_of(root, "blind")) as guard:
        page = new_page()
        page.on("response", lambda answer: answers.append(answer.body()))
        opened(page, guard.address)
        press(page, "e")
        assert page.is_hidden("#evidence")
        press(page, *N * ["ArrowRight"])
        # Random tokens may hold the digits of the id, but not as a word.
        secrets = (rb"EUCL", rb"0\.98", rb"bob", rb"(?<![\w-])%d(?![\w-])" % FIRST, rb'"guided"')
        assert not [secret for secret in secrets for body in answers if re.search(secret, body)]
        assert in_memory(page, "Probable lens"), "the search finds what is there"
        assert not in_memory(page, "EUCL J1")
        press(page, *N * ["ArrowLeft"])
        for _ in range(N + 1):
            press(page, "a", "ArrowLeft", "e")
            page.wait_for_selector("#evidence:not([hidden])")
            if str(FIRST) in page.inner_text("#evidence"):
                break
            press(page, "ArrowRight")
        told = page.inner_text("#evidence")
        # What others wrote is shown as it is, and is nothing but text.
        for text in (NAME, "0.988", "<b>t</b>", "bob: B", "<script>x</script>", "281.000000\u00b0"):
            assert text in told
        assert page.locator("#evidence :is(img, script, b)").count() == 0
        assert page.locator("#evidence canvas").count() == 2
        # The browser remembers it, too.
        press(page, "u")
        page.reload()
        press(page, "c")
    votes = counted(root, "blind")
    assert (votes[-1].subject, votes[-1].grade, votes[-1].is_blind) == (f"object:{FIRST}", "C", False)
    assert all(vote.is_blind for vote in votes[:-1])


def test_a_grade_that_is_changed_after_the_evidence_stays(root, new_page):
    with served(session_of(root, "changer")) as guard:
        page = opened(new_page(), guard.address)
        press(page, "b", "ArrowLeft", "a", "ArrowLeft", "e")
        page.wait_for_selector("#evidence:not([hidden])")
        press(page, "o")
        assert page.inner_text("#toast") == "You have seen the evidence: a new flag does not count."
        press(page, "c")
        assert page.inner_text("#toast") == "Subject 1: A stays, from before you saw the evidence"
        press(page, "ArrowLeft")
        assert page.inner_text("#asked") == "Subject 1: graded A"
    assert [vote.grade for vote in counted(root, "changer")] == ["A"]
    assert [vote.grade for vote in VoteLog(root).votes("changer")] == ["B", "A", "C"]


def test_without_blindness_everything_is_told_at_once(root, new_page):
    with served(session_of(root, "seeing", is_blind=False)) as guard:
        page = opened(new_page(), guard.address)
        press(page, "e")
        page.wait_for_selector("#evidence:not([hidden])")
        press(page, "b")
    assert [vote.is_blind for vote in counted(root, "seeing")] == [False]


def test_votes_wait_in_the_page_while_the_server_is_down(root, new_page):
    port = free_port()
    page = new_page(ignored="ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|403")
    with served(session_of(root, "cut-off"), port) as guard:
        opened(page, guard.address)
        press(page, "a")
    for key in "bc":
        page.keyboard.press(key)
    page.wait_for_selector('#saved[data-trouble="true"]')
    assert "2 not saved yet: the server does not answer" in page.inner_text("#saved")
    with served(session_of(root, "cut-off"), port) as guard:
        # The page of a second start sends what the browser has kept.
        again = opened(page.context.new_page(), guard.address)
        again.wait_for_selector(SAVED, state="attached")
        assert again.inner_text("#place").startswith("3 of ")
        page.wait_for_selector(SAVED, state="attached")
        assert [name for name in page.evaluate("Object.keys(localStorage)") if ":act:" in name] == []
    assert [vote.grade for vote in counted(root, "cut-off")] == ["A", "B", "C"]
    assert len(VoteLog(root).votes("cut-off")) == 3


def test_a_mosaic_is_graded_with_keys(root, new_page):
    with served(session_of(root, "mosaic")) as guard:
        page = opened(new_page(), guard.address)
        press(page, "m")
        cells = page.locator("#mosaic button")
        n_views = cells.count()
        assert n_views >= N
        first = cells.nth(0).locator("canvas")
        before = first.evaluate("e => e.toDataURL()")
        for key in ("k", "v", "r", "j"):
            press(page, key)
            after = first.evaluate("e => e.toDataURL()")
            assert after != before, key
            before = after
        press(page, "r", "v")
        press(page, "ArrowRight", "a")
        assert [cells.nth(i).get_attribute("data-grade") for i in range(3)] == ["", "A", ""]
        assert cells.nth(2).get_attribute("aria-current") == "true"
        press(page, "Shift+X")
        assert len(counted(root, "mosaic")) == 1, "the key must be pressed twice"
        for _ in ("small", "large"):
            assert_fits(page)
            press(page, "g")
        press(page, "Shift+X", "Shift+X")
        assert sorted(vote.grade for vote in counted(root, "mosaic")) == ["A", *(n_views - 1) * ["X"]]
        press(page, "u")
        assert [vote.grade for vote in counted(root, "mosaic")] == ["A"]
        press(page, "Enter")
        page.wait_for_selector("#single:not([hidden])")


def test_a_phone_is_enough(root, new_page):
    with served(session_of(root, "phone")) as guard:
        page = opened(new_page(viewport=PHONE, has_touch=True, is_mobile=True), guard.address)
        boxes = [page.locator(f"#{name}").bounding_box() for name in ("first", "second")]
        assert all(box["width"] > 150 and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in boxes)
        assert page.is_hidden("#strip")
        for button in ('[data-do="compound"]', '[data-do="grade A"]', '[data-do="reason 1"]'):
            assert page.locator(button).bounding_box()["y"] < PHONE["height"]
            page.tap(button)
            page.wait_for_selector(SAVED, state="attached")
            page.wait_for_selector(DRAWN)
        press(page, "ArrowLeft")
        before = page.locator("#first").bounding_box()["height"]
        page.tap('[data-do="evidence"]')
        page.wait_for_selector("#evidence:not([hidden])")
        # Evidence takes space from the images, which get smaller.
        wait_for("smaller images", lambda: page.locator("#first").evaluate("e => e.clientHeight") < before - 20)
        assert_fits(page)
        press(page, "l")
        assert_fits(page)
        page.set_viewport_size(PHONE)
        page.tap('[data-do="help"]')
        assert page.locator("#help").evaluate("e => e.scrollTop") == 0
        assert_fits(page)
    votes = counted(root, "phone")
    assert [(vote.grade, vote.is_compound, vote.reason) for vote in votes] == [("A", True, None), ("X", False, "spiral")]


def test_training_tells_the_answer_and_cannot_be_taken_back(root, new_page):
    gold = gold_of(2, ("training_lens", "training_nonlens"))
    with served(session_of(root, "trained", gold=gold)) as guard:
        page = opened(new_page(), guard.address)
        for i in range(2):
            assert page.inner_text("#place") == f"training {i + 1} of 2"
            press(page, "m", "a")
            page.wait_for_selector(".verdict")
            is_lens = counted(root, "trained")[-1].role == "training_lens"
            said = "Right: this is a simulated double ring." if is_lens else "Not so: this is taken for no lens."
            assert page.inner_text(".verdict") == said
            # Any grade goes on, and grades nothing.
            press(page, "u", "ArrowRight" if i else "c")
        assert page.inner_text("#place").startswith("0 of ")
        press(page, "b", "u")
    assert {vote.role for vote in counted(root, "trained")} == {"training_lens", "training_nonlens"}
    assert len(counted(root, "trained")) == 2


BRIGHTNESS = """(id) => {
  const canvas = document.getElementById(id);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, byte) => sum + byte, 0) / data.length;
}"""


def test_keys_of_the_display_change_the_picture(root, new_page):
    """Each picture differs from the one before, and a reset brings the first one back."""
    with served(session_of(root, "display")) as guard:
        page = opened(new_page(), guard.address)

        assert page.is_visible("#strip")

        def pictures():
            return page.evaluate("['first', 'second'].map(id => document.getElementById(id).toDataURL())")

        before = pictures()
        for key in ("s", "s", "s", "k", "j", "r", "r", "z", "z", "+", "ArrowUp", "ArrowDown", "[", "]"):
            press(page, key)
            after = pictures()
            assert after[0] != before[0], key
            assert after[1] != before[1], key
            before = after
        press(page, "v")
        assert page.inner_text("#first-name") == "Y"
        press(page, "0")
        assert page.inner_text("#first-name") == "VIS"
        first, before_drag = pictures(), page.evaluate(BRIGHTNESS, "first")
        page.locator("#first").hover()
        box = page.locator("#first").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 40, box["y"] + 100)
        page.mouse.up()
        assert pictures()[0] != first[0]
        page.reload()
        page.wait_for_selector(DRAWN)
        assert page.inner_text("#contrast") != "150 \u03c3", "the browser keeps the display"
        press(page, "0")
        assert pictures() == first
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 100, box["y"] + 180)
        page.mouse.up()
        assert page.evaluate(BRIGHTNESS, "first") < 0.95 * before_drag
        press(page, "l")
        assert page.get_attribute("html", "data-theme") == "light"


def test_keys_move_without_a_mouse(root, new_page):
    with served(session_of(root, "mover")) as guard:
        page = opened(new_page(), guard.address)

        def subject():
            return int(re.search(r"Subject (\d+)", page.inner_text("#asked"))[1])

        press(page, "Control+a", "Alt+b", "n", "a")
        assert (subject(), page.inner_text("#asked")) == (1, "Subject 1: graded A")
        press(page, "e")
        page.wait_for_selector("#evidence:not([hidden])")
        press(page, "e")
        assert page.is_hidden("#evidence")
        press(page, "n", "b")
        assert subject() == 2, "a new grade of the first, which does not count after the evidence"
        press(page, ".", "ArrowRight", "ArrowLeft")
        assert subject() == 3
        press(page, "c", "ArrowLeft", ",", ",", ",")
        assert subject() == 1
        press(page, "u")
        assert subject() == 3, "an undo goes to what it takes back"
        press(page, "c", "ArrowLeft", ",", ",", ",")
        press(page, "Enter")
        assert subject() == 2
        press(page, "ArrowRight", "ArrowRight", "Enter")
        assert subject() == 2, "the first without a grade, not the next"
        press(page, "m")
        cells = page.locator("#mosaic button")
        press(page, "ArrowDown")
        assert cells.count() == N
        assert subject() == 2, "there is one row"
        cells.nth(4).click()
        assert subject() == 5
        cells.nth(4).click()
        page.wait_for_selector("#single:not([hidden])")
        assert subject() == 5
    assert [vote.grade for vote in counted(root, "mover")] == ["A", "C"]


def test_an_act_of_another_catalogue_is_refused_and_kept(root, new_page):
    session = session_of(root, "stranger")
    name = f"lensscan:{session.state()['session']}:act:{'1' * 32}"
    with served(session) as guard:
        page = opened(new_page(), guard.address)
        page.evaluate("([name, act]) => localStorage.setItem(name, act)", [name, json.dumps(act_of("0" * 20, act_id="1" * 32))])
        page.reload()
        page.wait_for_selector('#saved[data-trouble="true"]')
        assert page.inner_text("#saved") == "1 not taken: there is no such subject in this catalogue"
        assert page.evaluate("(name) => localStorage.getItem(name)", name)
        press(page, "a")
    assert [vote.grade for vote in counted(root, "stranger")] == ["A"]


def test_images_that_cannot_be_read_are_told(root, new_page, monkeypatch):
    session = session_of(root, "unlucky")
    with served(session) as guard:
        with monkeypatch.context() as patch:
            patch.setattr(session, "images", lambda _: (_ for _ in ()).throw(VettingError("the file is gone")))
            page = new_page(ignored="503")
            page.goto(guard.address)
            page.wait_for_selector("#notice:not([hidden])")
            page.get_by_text("the file is gone").wait_for()
            page.keyboard.press("a")
            assert "not graded yet" in page.inner_text("#asked")
        press(page, "ArrowRight", "a")
    assert len(counted(root, "unlucky")) == 1


def test_a_catalogue_of_an_earlier_version_shows_its_colours(new_page, tmp_path):
    catalogue_of(tmp_path, 2)
    for path in tmp_path.rglob("*.candidates"):
        pq.write_table(pq.read_table(path).drop_columns(["cutout_sigma", "cutout_step"]), path)
    with served(session_of(tmp_path, "late")) as guard:
        page = opened(new_page(), guard.address)
        assert page.is_hidden("#strip")
        # Black with an opaque fourth channel has a quarter of 255.
        assert page.evaluate(BRIGHTNESS, "second") > 70
        press(page, "a")
    assert [vote.grade for vote in counted(str(tmp_path), "late")] == ["A"]


def test_everything_has_a_name_for_screen_readers(root, new_page):
    with served(session_of(root, "listener")) as guard:
        page = opened(new_page(), guard.address)
        nameless = page.evaluate(
            """[...document.querySelectorAll('button, input, canvas, [role]')]
              .filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
              .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.role === 'status'))
              .map(e => e.outerHTML)"""
        )
        assert nameless == []
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        listed = page.inner_text("#help")
        for words in ("Sure lens", "Merging or disturbed galaxies", "Undo", "Residual", "Mosaic, twice"):
            assert words in listed
        page.keyboard.press("h")
        assert page.locator("#help").is_hidden()
        assert re.search("Subject 1: VIS", page.get_attribute("#first", "aria-label"))


class _OtherSite(http.server.BaseHTTPRequestHandler):
    """A page of another site."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>other</title>")

    def log_message(self, *_):
        """Print nothing."""


def test_another_site_can_do_nothing_even_with_the_token(root, new_page):
    session = session_of(root, "attacked")
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OtherSite)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with served(session) as guard:
        page = new_page(ignored="403|CORS|ERR_FAILED|frame|Cross-Origin|ERR_BLOCKED")
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        tried = page.evaluate(
            """async ([home, token, act]) => {
              const read = (path, options) => fetch(home + path, options).then((answer) => answer.text(), () => "failed");
              const headers = { "X-Lensscan-Token": token };
              const body = JSON.stringify({ acts: [act] });
              await fetch(`${home}/api/acts`, { method: "POST", mode: "no-cors", body }).catch(() => {});
              const frame = document.body.appendChild(document.createElement("iframe"));
              frame.src = `${home}/?token=${token}`;
              await new Promise((resolve) => { frame.onload = resolve; });
              return [await read("/api/state", { headers }), await read("/api/acts", { method: "POST", headers, body }),
                await read(`/?token=${token}`), String(frame.contentDocument)];
            }""",
            [f"http://127.0.0.1:{guard.port}", guard.token, act_of(session.items[0].key)],
        )
    other.shutdown()
    other.server_close()
    assert tried == ["failed", "failed", "failed", "null"]
    assert VoteLog(root).votes("attacked") == []
