"""Run the commands of the how-to pages, and of the README: the `sh` and `python` blocks, one after the other, in one folder.

Blocks of the language `text` hold what cannot run here (another cloud, a cluster) or is run by another test, which the page
names; `test_pages.py` checks their `lensscan` commands against the command line.
"""

import re
import shlex
import shutil
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq
import pytest
from astropy.table import Table

import lensscan as lensscan_module
from infra.store.storage import create_if_absent
from scanner.catalogue.query import query
from scanner.review.votes.vote_csv import as_csv
from scanner.review.zooniverse.manifest import subjects_of, write_manifest
from tests.docs.desk import write_desk
from tests.docs.pages import DOCS, ONE_WORKER, README, ROOT, blocks, run_snippet, shell_lines
from tests.other_survey import TOML, write_tile
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.embeddings.nights import embedded_nights
from tests.scanner.review.votes.made_votes import vote_of
from tests.scanner.review.yields.nights import known_night
from tests.scanner.review.zooniverse.exports import classification, export_of, manifest_rows
from tests.shared import PUBLISHED

HOWTO = DOCS / "howto"
MANIFEST = r"^```text\n(object_id,.*?)^```"
RUN_HERE = (
    "own_files",
    "arrays",
    "euclid_q1",
    "another_survey",
    "read_the_catalogue",
    "report",
    "yield",
    "alike",
    "grade",
    "publish",
    "votes",
    "published_weights",
    "object_storage",
    "operate",
    "repair",
)
NOT_HERE = {
    "select_sources": "tiles with all columns of MER catalogues",
    "train": "days of training",
    "ray_cluster": "a cluster",
    "nightly": "a Prefect server",
    "quality_gate": "nights that fail, which tests/flows/cli/test_quality.py makes",
    "deploy": "containers",
    "kubernetes": "a Kubernetes cluster",
    "slurm": "Slurm",
    "completeness": "minutes for a thousand lenses",
    "index": "no commands",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Return a folder with the files that the pages assume; the pages' commands add to it."""
    desk = write_desk(tmp_path_factory.mktemp("desk"))
    (desk / "weights").symlink_to(PUBLISHED)
    (manifest,) = re.findall(MANIFEST, page("own_files"), flags=re.MULTILINE | re.DOTALL)
    (desk / "manifest.csv").write_text(manifest)
    return desk


@pytest.fixture
def follow(lensscan, desk):
    """Return a function that runs all commands of a page, then its snippets; of the README, all but `make`.

    `bucket` stands for the page's `s3://survey`; `codes` has the exit codes of the commands that find damage.
    """

    def follow(name, bucket="", codes=MappingProxyType({}), folder=desk):
        for line in shell_lines(page(name)):
            program, *arguments = shlex.split(line.replace("s3://survey", bucket))
            if (name, program) == ("README", "make"):
                continue
            assert program.removeprefix(".venv/bin/") == "lensscan"
            ended = lensscan(*arguments, cwd=folder, LENSSCAN_ENSEMBLES_DIR=str(desk / "ensembles"), **ONE_WORKER)
            expected = codes.get(arguments[0], 0)
            assert (ended.returncode, bool(ended.stdout.strip())) == (expected, True), f"{line}\n{ended.stdout}\n{ended.stderr}"
        for snippet in blocks(page(name), "python"):
            assert run_snippet(snippet, folder).strip(), snippet

    return follow


def page(name):
    return README if name == "README" else (HOWTO / f"{name}.md").read_text(encoding="utf-8")


def test_every_page_is_run_or_has_a_reason():
    assert {path.stem for path in HOWTO.glob("*.md")} == {*RUN_HERE, *NOT_HERE}
    for name in NOT_HERE.keys() - {"train", "select_sources"}:
        assert not blocks(page(name), "sh")


def test_each_simulation_of_a_page_has_its_own_folder():
    """A second data set in a folder is refused."""
    for path in HOWTO.glob("*.md"):
        simulated = {line for line in path.read_text().splitlines() if line.startswith("lensscan simulate ")}
        folders = sorted(re.findall(r"--out (\S+)", "\n".join(simulated)))
        assert len(folders) == len(set(folders)), path.name


def test_own_files(follow, desk):
    follow("own_files")
    assert pq.read_table(desk / "scores.parquet")["status"].to_pylist() == ["scored", "scored"]
    assert Table.read(desk / "scores.vot")["status"].tolist() == ["scored", "scored", "rejected:outside_tile"]


def test_arrays(follow, desk):
    follow("arrays")
    for name in ("why.png", "sample.png"):
        assert (desk / name).read_bytes().startswith(b"\x89PNG")


def test_another_survey(follow, desk):
    """The page shows the description of the tests' survey."""
    assert blocks(page("another_survey"), "toml") == [TOML]
    (desk / "atlas.toml").write_text(TOML)
    write_tile(desk / "atlas", "N01,1", -20.0, 3)
    (desk / "atlas-positions.csv").write_text("ra,dec\n10.0,-20.0\n")
    follow("another_survey")


def test_yield(follow, desk, tmp_path):
    """The page assumes a night of an ensemble that has a sample of non-lenses."""
    known_night(tmp_path)
    shutil.copytree(tmp_path / "ensembles" / "test", desk / "ensembles" / "test")
    follow("yield", folder=tmp_path)
    assert len((tmp_path / "pure.csv").read_text().splitlines()) > 10


def test_alike(follow, desk, tmp_path):
    """The page assumes nights of an ensemble that has a reference."""
    embedded_nights(tmp_path)
    shutil.copytree(tmp_path / "ensembles" / "test", desk / "ensembles" / "test", dirs_exist_ok=True)
    follow("alike", folder=tmp_path)
    assert pq.read_table(tmp_path / "alike.parquet").num_rows == 20


def test_votes(follow, tmp_path):
    """The page assumes two files of votes, and an export of classifications of the subjects that it writes."""
    finished(str(tmp_path / "catalogue"), {"a": {i: 0.9 - i / 100 for i in range(12)}}, maps_per_unit=5)
    for name in ("ann", "bob"):
        (tmp_path / f"{name}.csv").write_text(as_csv(vote_of(i, name, "AX"[i % 2], comment="=1") for i in range(10)))
    write_manifest(subjects_of(query(str(tmp_path / "catalogue"), maps=True)), tmp_path / "uploaded")
    said = [classification(n, row, "Lens") for n, row in enumerate(manifest_rows(tmp_path / "uploaded"))]
    (tmp_path / "classifications.csv").write_bytes(export_of(*said))
    follow("votes", folder=tmp_path)
    grades = lensscan_module.open_catalogue(tmp_path / "catalogue").grades()
    assert [(row["object_id"], row["grades"]) for row in grades][:6] == [
        *((0, "AAB"), (1, "BXX"), (2, "AAB"), (3, "BXX"), (4, "AAB"), (5, "XX")),
    ]


@pytest.mark.needs_shared("published_ensemble")
def test_published_weights(follow, desk):
    follow("published_weights")
    assert (desk / "ensembles" / "wilde2022" / "card.json").is_file()


@pytest.mark.ray
@pytest.mark.server
def test_a_tile_goes_through_all_pages(follow, desk, s3):
    """Scan in a folder and in a store, read and repair: the pages build on each other's catalogue."""
    for path in (desk / "tiles").rglob("*.fits"):
        # As in the public copy of Q1, catalogues are in another tree than mosaics.
        product = "catalogs/MER_FINAL_CATALOG" if "FINAL-CAT" in path.name else "MER"
        create_if_absent(f"{s3}/tiles/{product}/100000001/{path.name}", path.read_bytes(), "test")
    follow("euclid_q1")
    follow("read_the_catalogue")
    assert (desk / "best.png").read_bytes().startswith(b"\x89PNG")
    follow("report")
    assert (desk / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    follow("grade")
    assert "<!doctype html>" in (desk / "anna.html").read_text()
    follow("publish")
    follow("object_storage", bucket=s3)

    (unit,) = (desk / "catalogue").rglob("*.unit")
    rows = pq.read_table(unit)
    unit.write_bytes(unit.read_bytes()[:-100])
    follow("operate")
    follow("repair", codes={"reconcile": 1, "verify": 1})
    assert pq.read_table(unit).equals(rows)
    assert any(path.is_file() for path in (desk / "catalogue" / "_scan" / "quarantine").rglob(f"*{unit.stem}*"))


def test_the_nightly_commands_are_those_of_the_deployment():
    head = Path(ROOT, "infra", "deploy", "prefect.yaml").read_text(encoding="utf-8").partition("\nname:")[0]
    told = [line.removeprefix("#").strip() for line in head.splitlines() if re.match(r"#   \w", line)]
    assert blocks(page("nightly"), "text")[0].split("\n")[:-1] == told


def test_the_readme(follow, tmp_path):
    """Its commands and snippets need no file of another page."""
    desk = write_desk(tmp_path)
    (desk / "manifest.csv").write_text(blocks(README, "csv")[0])
    follow("README", folder=desk)
