"""`lensscan vet` as graders use it: the real command, the real page in a browser, and the votes that are stored."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from scanner.review.votes.effective import effective_votes
from scanner.review.votes.log import VoteLog
from scanner.review.votes.merge import merge, votes_in
from tests.imports_of_commands import heavy_imports
from tests.vetting import DRAWN, catalogue_of, catalogue_with_tile, command, opened, press


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue that each test grades under another name."""
    root = tmp_path_factory.mktemp("graded")
    catalogue_of(root)
    return str(root)


def counted(root, grader):
    return effective_votes(VoteLog(root).votes(grader))


def test_ten_grades_an_undo_and_a_reload(root, new_page):
    with command(root, "--grader", "ten", "--gold", "0") as running:
        page = opened(new_page(), running.address)
        n_views = int(re.search(r"of (\d+) graded", page.inner_text("#place"))[1])
        press(page, "a", "o", "b", "i", "c", "/")
        page.keyboard.type("a b c x 1 u")
        press(page, "Enter", "x", "1", "4", "7", "b", "b", "c")
        assert len(counted(root, "ten")) == 10
        press(page, "u")
        assert len(counted(root, "ten")) == 9
        assert page.inner_text("#place") == f"9 of {n_views} graded"
        press(page, "a")
        before = page.inner_text("#asked"), page.get_attribute("#stage", "data-drawn")
        page.reload()
        page.wait_for_selector(DRAWN)
        assert (page.inner_text("#asked"), page.get_attribute("#stage", "data-drawn")) == before
        assert page.inner_text("#place") == f"10 of {n_views} graded"
    votes = counted(root, "ten")
    assert [(vote.grade, vote.reason) for vote in votes] == [
        *(("A", None), ("B", None), ("C", None), ("X", None), ("X", "merger"), ("X", "edge-on"), ("X", "other")),
        *(("B", None), ("B", None), ("A", None)),
    ]
    assert [vote.is_compound for vote in votes] == [False, True, *8 * [False]]
    assert [vote.is_interesting for vote in votes] == [False, False, True, *7 * [False]]
    assert [vote.comment for vote in votes] == ["", "", "", "a b c x 1 u", *6 * [""]]
    assert len({(vote.subject, vote.repeat) for vote in votes}) == 10
    assert all(vote.is_blind and vote.page_version and 0 < vote.decision_s < 60 for vote in votes)
    assert len(VoteLog(root).votes("ten")) == 12, "eleven grades and an undo"
    with command(root, "--grader", "ten", "--gold", "0") as running:
        assert running.said["graded"] == 10


def test_two_graders_work_at_once_until_an_interrupt(interruptible, root, new_page):
    with command(root, "--grader", "ann", "--gold", "0") as one, command(root, "--grader", "bob", "--gold", "0") as two:
        pages = [opened(new_page(), running.address) for running in (one, two)]
        assert one.address.partition("?")[0] != two.address.partition("?")[0]
        for keys in ("ax", "xb", "b1"):
            for page, key in zip(pages, keys, strict=True):
                press(page, key)
        os.kill(one.process.pid, signal.SIGINT)
        out, err = one.process.communicate(timeout=60)
        assert (one.process.returncode, out) == (130, "")
        assert err == "lensscan: stopped; run the same command again to continue\n"
        press(pages[1], "c")
    assert [vote.grade for vote in counted(root, "ann")] == ["A", "X", "B"]
    assert [vote.grade for vote in counted(root, "bob")] == ["X", "B", "X", "C"]
    assert [vote.subject for vote in counted(root, "ann")] != [vote.subject for vote in counted(root, "bob")][:3]


def test_a_file_is_graded_offline_and_merged(root, new_page, lensscan, tmp_path):
    path = tmp_path / "carl.html"
    done = lensscan("vet", root, "--grader", "carl", "--gold", "0", "--static", path, "--top", "6", "--json")
    assert (done.returncode, json.loads(done.stdout)["candidates"]) == (0, 6), done.stderr
    page = opened(new_page(accept_downloads=True), path.as_uri())
    press(page, "a", "b", "u", "c", "1")
    page.reload()
    page.wait_for_selector(DRAWN)
    page.locator("#place", has_text=re.compile("^3 of ")).wait_for()
    with page.expect_download() as download:
        page.click('[data-do="download"]')
    table = tmp_path / "votes.csv"
    download.value.save_as(table)
    assert download.value.suggested_filename == "votes-carl.csv"
    assert merge(VoteLog(root), votes_in(str(table))).n_added == 5
    assert [(vote.grade, vote.reason) for vote in counted(root, "carl")] == [("A", None), ("C", None), ("X", "merger")]
    # Another browser goes on from the table.
    other = opened(new_page(), path.as_uri())
    other.set_input_files("#import", table)
    other.wait_for_selector(".toast.on")
    assert other.inner_text("#toast") == "5 acts read."
    assert other.inner_text("#place").startswith("3 of ")


def test_training_and_gold_come_from_the_scanned_tiles(new_page, lensscan, tmp_path):
    root = str(tmp_path / "catalogue")
    catalogue_with_tile(root, tmp_path / "tiles")
    # The first command makes them for all graders; the process of this one has imported what that takes.
    made = lensscan("vet", root, "--grader", "eve", "--gold", "4", "--static", tmp_path / "eve.html", "--json")
    assert json.loads(made.stdout)["gold"] == 4, made
    with command(root, "--grader", "dora", "--gold", "4") as running:
        assert {name: running.said[name] for name in ("candidates", "gold")} == {"candidates": 8, "gold": 4}
        page = opened(new_page(), running.address)
        assert page.inner_text("#place") == "training 1 of 6"
        for _ in range(6):
            press(page, "a")
            page.wait_for_selector("#evidence .verdict")
            press(page, "ArrowRight")
        n_views = int(re.search(r"0 of (\d+) graded", page.inner_text("#place"))[1])
        press(page, *n_views * ["b"])
        assert page.inner_text("#place") == f"{n_views} of {n_views} graded"
    roles = [vote.role for vote in counted(root, "dora")]
    assert sorted(roles[:6]) == [*3 * ["training_lens"], *3 * ["training_nonlens"]]
    assert sorted(role for role in roles[6:] if role != "candidate") == [*2 * ["gold_lens"], *2 * ["gold_nonlens"]]


def test_a_start_imports_no_heavy_library(root):
    code = (
        "import os, sys, flows.cli.main as main, scanner.review.vetting.server as server\n"
        "server.serve = lambda app, listener, ready: ready()\n"
        f"sys.argv = ['lensscan', 'vet', {root!r}, '--grader', 'eve', '--gold', '0', '--no-open']\n"
        "main._run()\n"
        "print(*sys.modules, flush=True)\n"
        # As `main` ends: images are read ahead, and Arrow's threads may block an ordinary exit.
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "starlette" in loaded, "the server was made"
    assert not {"torch", "ray", "prefect", "astropy", "numba", "lenstronomy", "matplotlib", "duckdb", "pandas"} & loaded
    assert heavy_imports("vet", "--help") == set()
