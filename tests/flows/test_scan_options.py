"""The command and the Prefect flow make the same request from the same options."""

import logging
import os
import subprocess
import sys
from contextlib import nullcontext
from datetime import date
from inspect import signature
from pathlib import Path

import pytest
from prefect.exceptions import ParameterTypeError

import flows.scan_night as flow
from flows.cli.main import scan as command
from flows.cli.tiles import TileOptions
from scanner.catalogue.selection import Circle, Selection
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest
from scanner.sources.survey import shipped_survey
from tests.sources import ROOT
from tests.tiles import write_tile

NIGHT = date(2026, 11, 24)
KIDS = shipped_survey("kids-dr4")
OF_COMMAND = {"candidate_threshold": "threshold", "maps_per_unit": "maps"}
"""Names of the flow's parameters that are shorter on the command line."""


OF_TILES = {
    "tiles": "tile",
    "region": "region",
    "catalogues_uri": "catalogues",
    "survey": "survey",
    "where": "where",
    "moc_uri": "moc",
    "targets_uri": "targets",
    "match_radius_arcsec": "match_radius_arcsec",
    "columns": "columns",
}
"""Names of the flow's parameters that are fields of the command's `TileOptions`."""


class AskedError(Exception):
    """The scan was asked for: its request, and what else was passed."""


def ask(request, root_uri, **others):
    del others["progress"], others["early"]
    raise AskedError(request, root_uri, others)


@pytest.fixture
def requests(tmp_path, monkeypatch):
    """Return a function that gives the command and the flow some options, and returns what each asks for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("flows.commands.scan.scan_night", ask)
    # Without Prefect's engine, which would start a server.
    monkeypatch.setattr("flows.scan_step.flow_progress", lambda *_: nullcontext())
    monkeypatch.setattr("flows.scan_step.retried", lambda _name, step: step())
    monkeypatch.setattr("flows.scan_step.get_run_logger", lambda: logging.getLogger(__name__))

    def asked(night=NIGHT, **options):
        with pytest.raises(AskedError) as by_flow:
            flow.scan_night.fn("tiles/{night}", "root", night or "none", **options)
        named = {OF_COMMAND.get(name, name): value for name, value in options.items()}
        chosen = TileOptions(**{of: named.pop(name) for name, of in OF_TILES.items() if name in named})
        with pytest.raises(AskedError) as by_command:
            command("tiles/2026-11-24", out="root", night=night, chosen=chosen, **named)
        return by_flow.value.args, by_command.value.args

    return asked


def with_listed_tiles(function):
    """Return the flow's function for the command's form of `tiles`: names separated by commas."""
    return lambda *given, tiles, **others: function(*given, tiles=tuple(tiles.split(",")), **others)


def test_every_option_reaches_the_request(requests, monkeypatch):
    options = {
        "candidate_threshold": 0.25,
        "engine": "torch",
        "exact": True,
        "maps_per_unit": 7,
    }
    tiles = {"tiles": "7", "region": (1.0, -2.0, 3.0), "catalogues_uri": "apart", "survey": "kids-dr4"}
    sources = {"where": "a > 1", "moc_uri": "m.fits", "targets_uri": "t.csv", "match_radius_arcsec": 2.5, "columns": "A, b"}
    monkeypatch.setattr(flow.scan_night, "fn", with_listed_tiles(flow.scan_night.fn))
    by_flow, by_command = requests(ensemble="ou7-sim", workers=3, ray_address="local", gate=True, **tiles, **sources, **options)
    circle = Circle(ra_deg=1, dec_deg=-2, radius_deg=3)
    selection = Selection(tiles=("7",), circle=circle, catalogues_uri="apart", **{**sources, "columns": ("a", "b")})
    expected = ScanRequest(
        input_uri="tiles/2026-11-24", night=NIGHT, package=SHIPPED_DIR / "ou7-sim", selection=selection, survey=KIDS, **options
    )
    assert ScanRequest.model_fields.keys() == expected.model_fields_set, "every field is tested"
    assert Selection.model_fields.keys() == selection.model_fields_set, "every field is tested"
    rest = {"workers": 3, "ray_address": "local", "gate": True, "metrics_dir": None, "run_id": None}
    assert by_flow == by_command == (expected, "root", rest)


def test_settings_stand_in_for_options_that_are_not_given(requests):
    Path("lensscan.toml").write_text(
        'ensemble = "ou7-sim"\nengine = "openvino"\nworkers = 5\nray_address = "auto"\nmetrics_dir = "m"\n'
    )
    by_flow, by_command = requests()
    expected = ScanRequest(input_uri="tiles/2026-11-24", night=NIGHT, package=SHIPPED_DIR / "ou7-sim", engine="openvino")
    rest = {"workers": 5, "ray_address": "auto", "gate": False, "metrics_dir": Path("m"), "run_id": None}
    assert by_flow == by_command == (expected, "root", rest)


def test_a_survey_without_nights_is_scanned_without_one(requests):
    by_flow, by_command = requests(night=None)
    assert by_flow[0].night is by_command[0].night is None
    assert (by_flow[0].input_uri, by_command[0].input_uri) == ("tiles/undated", "tiles/2026-11-24")


def test_a_deployment_keeps_its_flat_parameters():
    """A deployment stores parameters by name, and the form of the server shows one field each."""
    schema = flow.scan_night.parameters
    text, number, count = "string", "number", "integer"
    assert schema.required == ["input_uri", "root_uri"]
    assert {name: (types_of(found), found.get("default")) for name, found in schema.properties.items()} == {
        "input_uri": ({text}, None),
        "root_uri": ({text}, None),
        "night": ({text, "null"}, None),
        "ensemble": ({text, "null"}, None),
        "candidate_threshold": ({number, text, "null"}, None),
        "workers": ({count, "null"}, None),
        "engine": ({text, "null"}, None),
        "exact": ({"boolean"}, False),
        "maps_per_unit": ({count}, 100),
        "ray_address": ({text, "null"}, None),
        "tiles": ({"array"}, []),
        "region": ({"array", "null"}, None),
        "catalogues_uri": ({text, "null"}, None),
        "survey": ({text, "null"}, None),
        "where": ({text, "null"}, None),
        "moc_uri": ({text, "null"}, None),
        "targets_uri": ({text, "null"}, None),
        "match_radius_arcsec": ({number}, 1.0),
        "columns": ({text, "null"}, None),
        "publish_to": ({text, "null"}, None),
        "completeness": ({count, "null"}, None),
        "gate": ({"boolean"}, False),
        "submit_to": ({text, "null"}, None),
    }
    assert list(schema.properties) == list(signature(flow.scan_night.fn).parameters)
    assert "definitions" not in str(schema.properties)


def types_of(found):
    return {entry["type"] for entry in found.get("anyOf", [found])}


@pytest.mark.parametrize(
    "options",
    [
        {"candidate_threshold": 1.5},
        {"candidate_threshold": -0.1},
        {"workers": 0},
        {"maps_per_unit": 1001},
        {"match_radius_arcsec": 0},
        {"completeness": 0},
    ],
)
def test_a_parameter_out_of_range_is_refused(options):
    with pytest.raises(ParameterTypeError, match=next(iter(options))):
        flow.scan_night.validate_parameters({"input_uri": "tiles", "root_uri": "root", **options})


def test_a_small_scan_loads_no_network_in_the_driver(tmp_path):
    """The worker starts before the driver imports the catalogue, and the driver needs neither torch nor Ray nor Prefect."""
    write_tile(tmp_path / "tiles", 1, 2)
    code = """
import atexit, sys
import infra.local_pool
import flows.cli.main as main

start, loaded = infra.local_pool.WorkerProcess.__init__, []
atexit.register(lambda: print(loaded, [name for name in ("torch", "ray", "prefect") if name in sys.modules]))
def spied(*arguments):
    loaded.append("scanner.catalogue.plan" in sys.modules)
    start(*arguments)
infra.local_pool.WorkerProcess.__init__ = spied
sys.argv = ["lensscan", "scan", "tiles", "--out", "catalogue"]
# It ends the process as the command does: Arrow may abort one that ends otherwise.
main.main()
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LENSSCAN_ENGINE": "torch"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[False] []"
