"""`lensscan report` and `diff`: every option reaches the page or the table, and files are replaced only if that is asked."""

import csv
import json
from inspect import signature

import pyarrow.parquet as pq
import pytest

from flows.cli import report as cli
from scanner.catalogue.wanted import Wanted
from scanner.review.diff.changes import CHANGES, Rules, Side, difference
from scanner.review.report.report import MOST_TOP, TOP, make_report
from tests.imports_of_commands import heavy_imports
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.review.night import hostile_night

OTHER_NIGHT = "2026-11-25"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a catalogue of two nights, of one of which there is an older plan, and the ids of the older and the newer plan."""
    root = str(tmp_path_factory.mktemp("report") / "catalogue")
    hostile_night(root, 8, 2)
    old = finished(root, {"c": {200: 0.8, 201: 0.7, 202: None}}, night=OTHER_NIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        new = finished(root, {"c": {200: 0.6, 201: 0.3, 202: 0.9}}, night=OTHER_NIGHT)
    return root, old.plan_id, new.plan_id


def ran(lensscan, *words, **options):
    done = lensscan(*words, **options)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


CHOICES = {
    "": (10, 10),
    f"--top 3 --night {NIGHT} --cone 52.9 -28.1 1": (8, 3),
    "--subclass double_ring --min-p-lens 0.895": (2, 2),
    "--plan OLD": (2, 2),
}


@pytest.mark.parametrize("options", CHOICES)
def test_a_report_takes_the_options_of_query(lensscan, made, tmp_path, options):
    root, old, _ = made
    words = options.replace("OLD", old[:8]).split()
    told = json.loads(ran(lensscan, "report", root, *words, "--no-known", "--json", cwd=tmp_path))
    page = tmp_path / "report.html"
    assert (told["candidates"], told["listed"]) == CHOICES[options]
    assert (told["file"], told["bytes"]) == ("report.html", page.stat().st_size)
    assert page.read_text().count("<article") == told["listed"]
    assert list(tmp_path.iterdir()) == [page]


def test_a_report_is_replaced_only_if_that_is_asked(lensscan, made, tmp_path):
    path = tmp_path / "night.html"
    told = ran(lensscan, "report", made[0], "--out", str(path), "--night", NIGHT, "--title", "For <us>")
    assert told.startswith(f"8 of 8 candidates written to {path}, 0.")
    before = path.read_text()
    assert "<title>For &lt;us&gt;</title>" in before
    assert made[0] not in before.split("<main>")[0]
    refused = lensscan("report", made[0], "--out", str(path))
    assert refused.stderr == f"lensscan: --out {path} exists; it is not replaced without --overwrite\n"
    assert (refused.returncode, path.read_text()) == (2, before)
    ran(lensscan, "report", made[0], "--out", str(path), "--overwrite")
    assert path.read_text() != before


def test_known_lenses_are_those_of_the_option(lensscan, made, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("ra,dec,name\n200.0,1.0,Mine\n")
    told = json.loads(ran(lensscan, "report", made[0], "--known", str(table), "--json", cwd=tmp_path))
    assert (told["near_known_lenses"], told["with_pictures"], told["rows_by_status"]["rejected:not_finite"]) == (1, 2, 2)
    text = (tmp_path / "report.html").read_text()
    assert "mine.csv" in text
    assert ">Mine<" in text
    options = {"cwd": tmp_path, "LENSSCAN_KNOWN_LENSES": str(table)}
    without = json.loads(ran(lensscan, "report", made[0], "--no-known", "--json", "--overwrite", **options))
    assert (without["near_known_lenses"], "mine.csv" in (tmp_path / "report.html").read_text()) == (0, False)


def test_the_numbers_of_the_options_are_those_of_the_code():
    assert (cli.TOP, cli.MOST_TOP) == (TOP, MOST_TOP)
    assert signature(cli.diff).parameters["moved_by"].default == Rules().moved_by
    assert signature(cli.diff).parameters["radius_arcsec"].default == Rules().radius_arcsec


DIFFS = {
    ("--plans", "OLD", "NEW", "--moved-by", "0.5"): {"gained": 1, "lost": 1, "moved": 1},
    ("--plans", "OLD", "NEW", "--rank-moved-by", "1", "--min-p-lens", "0.2"): {"gained": 1, "moved": 2},
    ("--nights", NIGHT, OTHER_NIGHT): {"outside a": 2, "outside b": 8},
    ("ROOT", "--night", NIGHT): {"same": 8},
    ("ROOT", "--night", NIGHT, "--min-p-lens", "0.925"): {"same": 3},
}


@pytest.mark.parametrize("words", DIFFS, ids=" ".join)
def test_a_difference_takes_its_options(lensscan, made, words):
    root, old, new = made
    stands_for = {"OLD": old[:9], "NEW": new[:9], "ROOT": root}
    told = json.loads(ran(lensscan, "diff", root, *(stands_for.get(word, word) for word in words), "--json"))
    assert {name: told[name] for name in (*CHANGES, "same") if told[name]} == DIFFS[words]
    assert len(told["changes"]) == sum(told[name] for name in CHANGES)


def test_the_radius_matches_other_ids(lensscan, tmp_path):
    for name, i, away in (("a", 1, 0), ("b", 101, 2.5)):
        finished(str(tmp_path / name), {"a": {i: 0.9}}, changes={"ra": [10 + away / 3600]})
    sides = (str(tmp_path / "a"), str(tmp_path / "b"))
    assert json.loads(ran(lensscan, "diff", *sides, "--json"))["same"] == 0
    assert json.loads(ran(lensscan, "diff", *sides, "--radius-arcsec", "3", "--json"))["same"] == 1


def test_a_difference_is_shown_and_written(lensscan, made, tmp_path):
    root, old, new = made
    words = ("diff", root, "--plans", old[:9], new[:9])
    shown = ran(lensscan, *words)
    assert f"{root}, plan {old[:9]}: 2 candidates with p_lens of at least 0.5" in shown
    assert [line.split() for line in shown.splitlines() if line.split()[:1] == ["gained"]] == [["gained", "1"]]
    files = ("--out", str(tmp_path / "x.csv"), "--report", str(tmp_path / "x.html"))
    ran(lensscan, *words, *files, "--top", "1")
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [(row["change"], row["object_id_b"], row["status_a"]) for row in rows] == [
        ("gained", "202", "rejected:blank"),
        ("lost", "201", "scored"),
    ]
    assert (tmp_path / "x.html").read_text().count("<article") == 1
    refused = lensscan(*words, *files)
    assert (refused.returncode, "x.csv exists" in refused.stderr) == (2, True)
    told = json.loads(ran(lensscan, *words, *files, "--overwrite", "--json"))
    assert (told["table"], told["page"], "changes" in told) == (str(tmp_path / "x.csv"), str(tmp_path / "x.html"), False)
    assert (tmp_path / "x.html").read_text().count("<article") == 2
    ran(lensscan, *words, "--out", str(tmp_path / "x.parquet"))
    field = pq.read_schema(tmp_path / "x.parquet").field("delta_log_odds")
    assert field.metadata[b"description"] == b"Change of ln(p_lens/(1-p_lens)) from a to b"


def test_a_mosaic_is_exported(lensscan, made, tmp_path):
    path = tmp_path / "best.PNG"
    assert ran(lensscan, "export", made[0], str(path), "--top", "4") == f"4 candidates drawn into {path}\n"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert lensscan("export", made[0], str(path)).returncode == 2
    told = json.loads(ran(lensscan, "export", made[0], str(path), "--overwrite", "--night", NIGHT, "--json"))
    assert told == {"candidates": 8, "file": str(path)}


def test_help_starts_without_libraries():
    assert heavy_imports("report", "--help") == set()


@pytest.mark.server
def test_a_catalogue_in_a_store_has_the_same_report(s3, tmp_path):
    """The page reads the same rows, pixels and plans through the store as from a folder."""
    there, here = f"{s3}/catalogue", str(tmp_path / "catalogue")
    for root in (there, here):
        hostile_night(root, 4, 2)
    reports = [make_report(root, Wanted()) for root in (there, here)]
    cards, maps, outcomes = ([getattr(found, name) for found in reports] for name in ("cards", "maps", "outcomes"))
    assert cards[0] == cards[1]
    assert cards[0][0].pictures is not None
    assert (maps[0], outcomes[0]) == (maps[1], outcomes[1])
    sides = (Side.read(there, Wanted(), "a"), Side.read(here, Wanted(), "b"))
    assert difference(*sides, Rules(moved_by=1e-9)).n_same == 4
