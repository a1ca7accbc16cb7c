"""STILTS, the engine of TOPCAT, reads a sealed and published night as we do: `apt-get install stilts`, and a Java of its age.

Debian's STILTS reads no Parquet, because it comes without the libraries; upstream's `stilts.jar` does. So one test takes the
VOTable of `lensscan query --out`, one the description in a leaf, and one the leaf itself, where STILTS can read it.
"""

import csv
import functools
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.export import export
from scanner.catalogue.query import query
from scanner.hats.publish import publish
from tests.scanner.hats.published import NIGHTS, add_night, current, known_lenses, read

JAVAS = Path("/usr/lib/jvm")


@functools.cache
def variables():
    """Return an environment in which STILTS starts, with the Java on PATH or another one; None if there is none."""
    folders = ["", *(f"{path}:" for path in sorted(JAVAS.glob("*/bin"), reverse=True))]
    for folder in folders if shutil.which("stilts") else ():
        env = {**os.environ, "PATH": f"{folder}{os.environ['PATH']}"}
        if not subprocess.run(["stilts", "-version"], env=env, capture_output=True, check=False).returncode:
            return env
    return None


def ran(*words):
    return subprocess.run(["stilts", *map(str, words)], env=variables(), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def stilts():
    """Return a function that runs STILTS and returns its output."""
    if variables() is None:
        why = "starts with no Java here" if shutil.which("stilts") else "is not installed: apt-get install stilts"
        pytest.skip(f"stilts {why}")

    def run(*words):
        done = ran(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return a catalogue of one night, some of it with maps, and the folder of its published version."""
    folder = tmp_path_factory.mktemp("published")
    catalogue, collection = str(folder / "catalogue"), str(folder / "collection")
    add_night(catalogue, 0, maps_per_unit=5)
    publish(catalogue, collection, known=known_lenses(folder))
    return catalogue, current(collection)


def rows_of(stilts, path, form, names):
    """Return some columns of a file as STILTS reads them, in the order of the ids."""
    text = stilts("tpipe", f"in={path}", f"ifmt={form}", f"cmd=keepcols '{' '.join(names)}'; sort object_id", "ofmt=csv")
    return list(csv.DictReader(text.splitlines()))


def about(stilts, path, form):
    """Return unit and UCD of each column as STILTS reads them."""
    text = stilts("tpipe", f"in={path}", f"ifmt={form}", "cmd=meta name units ucd", "ofmt=csv")
    return {row["Name"]: (row["Units"], row["UCD"]) for row in csv.DictReader(text.splitlines())}


def declared(schema):
    texts = {field.name: {key: value.decode() for key, value in field.metadata.items()} for field in schema}
    return {name: (text[b"unit"], text[b"ucd"]) for name, text in texts.items()}


def test_a_night_as_votable_has_the_published_rows(stilts, published, tmp_path):
    catalogue, version = published
    export(query(catalogue), tmp_path / "night.vot", catalogue)
    names = ["object_id", "night", "ra", "dec", "p_lens", "plan_id"]
    found = rows_of(stilts, tmp_path / "night.vot", "votable", names)
    rows = read(version, names).sort_by("object_id")
    assert len(found) == rows.num_rows == 14
    assert [int(row["object_id"]) for row in found] == rows["object_id"].to_pylist()
    assert {row["night"] for row in found} == {NIGHTS[0]}
    assert [row["plan_id"] for row in found] == rows["plan_id"].to_pylist()
    for name in ("ra", "dec", "p_lens"):
        assert [float(row[name]) for row in found] == pytest.approx(rows[name].to_pylist(), rel=1e-6)
    schema = pq.read_schema(version / "dataset" / "_common_metadata")
    units = about(stilts, tmp_path / "night.vot", "votable")
    assert len(units) > 40
    assert {name: declared(schema)[name] for name in units} == units


def test_the_description_in_each_leaf_is_valid(stilts, published, tmp_path):
    for path in published[1].glob("dataset/**/*.parquet"):
        text = pq.read_metadata(path).metadata[b"IVOA.VOTable-Parquet.content"].decode()
        (tmp_path / "leaf.vot").write_text(text)
        assert stilts("votlint", f"votable={tmp_path / 'leaf.vot'}") == ""
        # STILTS reads a table only if it has data, though there may be no rows.
        (tmp_path / "leaf.vot").write_text(text.replace("</TABLE>", "<DATA><TABLEDATA></TABLEDATA></DATA></TABLE>"))
        assert about(stilts, tmp_path / "leaf.vot", "votable") == declared(pq.read_schema(path))


def test_leaves_are_read_where_parquet_is(stilts, published):
    paths = sorted(published[1].glob("dataset/**/*.parquet"))
    if "No table handler available" in ran("tpipe", f"in={paths[0]}", "ifmt=parquet-votable").stderr:
        pytest.skip("this STILTS has no libraries for Parquet, as Debian's: upstream's stilts.jar has")
    for path in paths:
        names = ["object_id", "ra", "known_name", "known_reference"]
        rows = pq.read_table(path, partitioning=None).select(names).sort_by("object_id")
        found = rows_of(stilts, path, "parquet-votable", names)
        assert [int(row["object_id"]) for row in found] == rows["object_id"].to_pylist()
        assert [row["known_reference"] for row in found] == pc.coalesce(rows["known_reference"], "").to_pylist()
        assert about(stilts, path, "parquet-votable") == declared(pq.read_schema(path))
