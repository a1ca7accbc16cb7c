"""The reference pages that are written from the code are complete."""

import re

import pytest

import lensscan
from docs.generate import VARIABLES, write_reference
from infra import json_logs
from infra.settings import Settings
from infra.store.s3_access import ANONYMOUS_BUCKETS
from infra.telemetry import OPT_OUTS
from scanner.catalogue.columns import RANK_COLUMNS, candidate_schema
from scanner.catalogue.runs import RunRecord
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.review.votes.graded_columns import GRADED_COLUMNS
from scanner.sources.shards import TRUTH_FIELDS
from scanner.vocabulary.metrics import METRICS, WorkStage
from scanner.vocabulary.rejections import ADVICE, RejectCode
from scanner.vocabulary.skips import SKIP_ADVICE, SkipCode
from scanner.vocabulary.source_presets import MER_COLUMNS, SOURCE_PRESETS
from tests.docs.pages import ROOT
from tests.flows.command_names import COMMANDS

ROOMS = ("infra", "flows", "scanner", "simulation", "training")
LOCAL_SERVERS = re.compile(r"infra/deploy/|flows/demo")
"""Files that start servers for a demonstration, with variables of their own."""
ENVIRON = re.compile(r"environ(?:\.get\(|\.setdefault\(|\[)\"([A-Z_0-9]+)\"")
INNER = {"RAY_AUTH_MODE", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"}
"""Variables of Ray that the program sets itself."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    write_reference(folder)
    return folder


@pytest.fixture(scope="module")
def reference(folder):
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_command_has_its_help(reference):
    found = re.findall(r"^## lensscan (.*)", reference["commands"], flags=re.MULTILINE)
    assert sorted(found) == sorted(" ".join(command) for command in COMMANDS)
    assert reference["commands"].count("For example:") >= len(COMMANDS)


def test_every_setting_has_its_variable_and_a_meaning(reference):
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", reference["settings"], flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == list(Settings.model_fields)
    assert all(variable == f"LENSSCAN_{name.upper()}" and meaning.endswith(".") for name, variable, meaning in rows)


def test_every_variable_that_the_program_reads_is_named(reference):
    code = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if not LOCAL_SERVERS.search(str(path))]
    read = {name for path in code for name in ENVIRON.findall(path.read_text(encoding="utf-8"))}
    named = {*re.findall(r"^\| `(\w+)` \| [^|]+ \|$", reference["settings"], flags=re.MULTILINE)}
    assert read - INNER <= named
    assert named == {*VARIABLES}
    assert {ANONYMOUS_BUCKETS, json_logs.VARIABLE, *OPT_OUTS} <= named


def test_every_metric_has_its_tags_and_meaning(reference):
    rows = re.findall(r"^\| `(\w+)` \| (\w+), .+ \| (.+) \| (.+\.) \|$", reference["metrics"], flags=re.MULTILINE)
    assert rows == [
        (metric.sample_name, metric.kind, ", ".join(f"`{tag}`" for tag in metric.all_tags), metric.description)
        for metric in METRICS
    ]
    assert all(f"- `{stage}`: " in reference["metrics"] for stage in WorkStage)
    assert all(f"- `{name}`" in reference["metrics"] for name in RunRecord.model_fields)


def test_every_rejection_code_has_a_meaning_and_advice(reference):
    rows = re.findall(r"^\| `rejected:(\w+)` \| (.+?) \| (.+) \|$", reference["rejections"], flags=re.MULTILINE)
    assert {code: advice for code, _, advice in rows} == {str(code): ADVICE[code] for code in RejectCode}
    assert all(meaning.endswith(".") for _, meaning, _ in rows)
    skips = re.findall(r"^\| `skipped:(\w+)` \| (.+\.) \| (.+) \|$", reference["rejections"], flags=re.MULTILINE)
    assert {code: advice for code, _, advice in skips} == {str(code): SKIP_ADVICE[code] for code in SkipCode}


def test_every_preset_has_its_condition_and_reason(reference):
    rows = re.findall(r"^\| `([\w-]+)` \| `(.+)` \| (.+) \|$", reference["sources"], flags=re.MULTILINE)
    assert rows == [(name, preset.condition, preset.reason) for name, preset in SOURCE_PRESETS.items()]
    assert all(f"`cat_{name}`" in reference["sources"] for name in MER_COLUMNS)


def test_every_catalogue_column_has_a_meaning(reference):
    names = [network.name for network in read_card(SHIPPED_DIR / "mer3-cascade").lens_networks]
    rows = re.findall(r"^\| `(\w+)` \| [^|<]+ \| [^|<]+ `[\w.;]+` \|$", reference["columns"], flags=re.MULTILINE)
    more = [column.name for column in (*RANK_COLUMNS, *GRADED_COLUMNS)]
    assert rows == [*candidate_schema(names, maps=True, embeddings=True).names, *more]


def test_every_truth_column_has_a_meaning(reference):
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", reference["truth"], flags=re.MULTILINE)
    assert [name for name, _ in rows] == [field.name for field in TRUTH_FIELDS]


def test_the_python_page_has_every_name_and_field(reference):
    assert re.findall(r"^## lensscan\.(\w+)", reference["python"], flags=re.MULTILINE) == sorted(
        lensscan.__all__, key=lambda name: (name[0].isupper(), lensscan.__all__.index(name))
    )
    for member in ("Finder.score", "Explanation.save", "Catalogue.candidates", "Rows.to_astropy"):
        assert f"### {member}\n\n```text\n{member}(" in reference["python"]
    assert "- `prevalence`: Share of lenses" in reference["python"]
    assert "lensscan.load(ensemble: str | Path | None = None) -> Finder" in reference["python"]


def test_pages_that_are_up_to_date_stay_untouched(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_reference(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
