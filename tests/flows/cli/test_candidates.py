"""`lensscan query` and `export`: the same options choose the same candidates, and files are replaced only if that is asked."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table
from astropy.table import Table

from tests.imports_of_commands import heavy_imports
from tests.scanner.catalogue_parts import NIGHT, finished

OTHER_NIGHT = "2026-11-25"
KINDS = ["single", "double_ring"] * 15


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a catalogue of two nights, thirty candidates in one and two in the other, and the replaced plan of the other."""
    root = str(tmp_path_factory.mktemp("candidates") / "catalogue")
    p_lens = {**{i: 0.99 - i / 100 for i in range(30)}, 90: 0.3}
    finished(root, {"a": p_lens}, changes={"subclass": [*KINDS, "single"]})
    old = finished(root, {"c": {200: 0.8, 201: 0.7}}, night=OTHER_NIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        finished(root, {"c": {200: 0.6, 201: 0.55}}, night=OTHER_NIGHT)
    return root, old


def ids(path):
    return [row["object_id"] for row in json.loads(path.read_text())]


CHOICES = {
    "": [*range(30), 200, 201],
    "--top 3": [0, 1, 2],
    "--limit 31": [*range(30), 200],
    f"--night {NIGHT}": [*range(30)],
    "--min-p-lens 0.895": [*range(10)],
    "--min-p-lens 0.2 --night 2026-11-24": [*range(30), 90],
    # Candidate i lies at RA i, Dec 1.
    "--cone 10 1 2.5 --subclass single --top 2": [8, 10],
    "--plan OLD": [200, 201],
    "--all-plans --night 2026-11-25": [200, 201, 200, 201],
}


@pytest.mark.parametrize("options", CHOICES)
def test_both_commands_take_the_same_candidates(lensscan, made, tmp_path, options):
    root, old = made
    words = options.replace("OLD", old.plan_id[:8]).split()
    done = lensscan("export", root, "x.json", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(CHOICES[options])} rows written to x.json\n"
    assert ids(tmp_path / "x.json") == CHOICES[options]
    shown = json.loads(lensscan("query", root, *words, "--json").stdout)
    # Without a limit, query shows twenty.
    assert [row["object_id"] for row in shown] == CHOICES[options][: None if "--limit" in words else 20]


def test_csv_on_stdout_is_that_of_a_file(lensscan, made, tmp_path):
    lensscan("export", made[0], "x.csv", "--top", "3", cwd=tmp_path)
    assert lensscan("query", made[0], "--top", "3", "--csv").stdout == (tmp_path / "x.csv").read_text()
    assert lensscan("query", made[0], "--sql", "select '=1' as a", "--csv").stdout == '"a"\n"\'=1"\n'
    assert "CSV cannot hold these rows" in lensscan("query", made[0], "--sql", "select [1] as a", "--csv").stderr


READERS = {
    ".parquet": lambda path: pq.read_table(path)["object_id"].to_pylist(),
    ".csv": lambda path: [int(row["object_id"]) for row in csv.DictReader(path.read_text().splitlines())],
    ".fits": lambda path: Table.read(path)["object_id"].tolist(),
    ".vot": lambda path: parse_single_table(path).array["object_id"].tolist(),
    ".json": ids,
    ".reg": lambda path: [round(float(line[7:].split(",")[0])) for line in path.read_text().splitlines()[2:]],
}


@pytest.mark.parametrize("suffix", READERS)
def test_every_format_is_replaced_only_if_that_is_asked(lensscan, made, tmp_path, suffix):
    root, path = made[0], tmp_path / f"x{suffix}"
    written = json.loads(lensscan("export", root, str(path), "--night", NIGHT, "--json").stdout)
    assert written == {"rows": 30, "file": str(path)}
    assert READERS[suffix](path) == [*range(30)]
    before = path.read_bytes()
    for command, option in ((("export", root, str(path)), "FILE"), (("query", root, "--out", str(path)), "--out")):
        refused = lensscan(*command, "--top", "2")
        assert refused.returncode == 2
        assert refused.stderr == f"lensscan: {option} {path} exists; it is not replaced without --overwrite\n"
        assert path.read_bytes() == before
    for n, command in ((1, ("export", root, str(path))), (2, ("query", root, "--out", str(path)))):
        done = lensscan(*command, "--top", str(n), "--overwrite")
        assert done.stdout == f"{n} row{'s' if n > 1 else ''} written to {path}\n"
        assert READERS[suffix](path) == [*range(n)]
    assert list(tmp_path.iterdir()) == [path]


def test_links_to_services_are_columns(lensscan, made, tmp_path):
    lensscan("export", made[0], "x.json", "--top", "1", cwd=tmp_path)
    lensscan("export", made[0], "links.json", "--top", "1", "--links", cwd=tmp_path)
    (row,), (linked,) = (json.loads((tmp_path / name).read_text()) for name in ("x.json", "links.json"))
    assert list(linked.items())[:-2] == list(row.items())
    assert list(linked)[-2:] == ["aladin", "esasky"]
    # Candidate 0 lies at RA 0, Dec 1.
    assert all("target=0.000000%201.000000&" in linked[name] for name in ("aladin", "esasky"))


def test_a_failed_replacement_leaves_the_old_file(lensscan, made, tmp_path):
    path = tmp_path / "x.reg"
    path.write_text("mine")
    done = lensscan("query", made[0], "--sql", "select 1 as n", "--out", str(path), "--overwrite")
    assert (done.returncode, "a file of regions needs the columns" in done.stderr) == (2, True)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("mine", [path])


def test_the_result_of_sql_is_written(lensscan, made, tmp_path):
    sql = "select night, count(*) as n from candidates group by night order by night"
    done = lensscan("query", made[0], "--sql", sql, "--out", "x.json", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {"rows": 2, "file": "x.json"}
    assert json.loads((tmp_path / "x.json").read_text()) == [{"night": NIGHT, "n": 30}, {"night": OTHER_NIGHT, "n": 2}]


def test_a_query_starts_without_pandas_and_astropy(made):
    assert heavy_imports("query", str(made[0])) <= {"numpy", "pyarrow"}
