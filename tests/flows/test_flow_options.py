"""Every parameter of every flow is given another value than its default, and seen to arrive where it acts.

The functions at the far end are spied upon: those that scan, judge, promote, publish, simulate, train and evaluate. All between
them and the flow is real, without Prefect's engine, which would start a server.
"""

import logging
import pkgutil
from contextlib import nullcontext, suppress
from datetime import date
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import NoneType
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
from prefect import Flow

import flows
from flows.commands.scan_options import ScanOptions
from infra.store.storage import StorageError
from scanner.catalogue.verdicts import Verdict
from scanner.quality.promote import Promoted
from tests.flows.night_summaries import night_summary

PLAN = "ab" * 32
SINCE, UNTIL = date(2026, 1, 2), date(2026, 1, 3)
MODULES = [import_module(f"flows.{found.name}") for found in pkgutil.iter_modules(flows.__path__) if found.name != "cli"]
FLOWS = {of.name: of for module in MODULES for of in vars(module).values() if isinstance(of, Flow)}

ORDER = {"input_uri": "run_scan.order.input_uri", "root_uri": "run_scan.order.root_uri", "submit_to": "scan_by_job.address"}
GATE = {"limits": "assess.limits", "publish_to": "publish.collection"}
MANY = {"since": "nights_to_do.nights.0", "until": "nights_to_do.nights.1", "scan": "run_scan.order.options", **ORDER, **GATE}
SCAN_NIGHT = {"night": "run_scan.order.night", **ORDER}
ARRIVES = {
    "scan-night": SCAN_NIGHT | {name: f"run_scan.order.options.{name}" for name in ScanOptions.model_fields},
    "nightly": SCAN_NIGHT | GATE | {"scan": "run_scan.order.options", "reference_night": "assess.reference_label"},
    "backfill": MANY | {"again": "nights_to_do.again"},
    "rescore": MANY | {"ensemble": "run_scan.order.options.ensemble"},
    "qa-night": {
        "root_uri": "assess.root_uri",
        "night": "chosen_plan.label",
        "reference_night": "assess.reference_label",
        "limits": "assess.limits",
    },
    "promote-night": {
        "root_uri": "promote.root_uri",
        "night": "chosen_plan.label",
        "overrule": "promote.overrule",
        "by": "promote.by",
        "publish_to": "publish.collection",
    },
    "compact": {
        "root_uri": "publish.catalogue",
        "publish_to": "publish.collection",
        "keep": "publish.keep",
        "ray_address": "publish.ray_address",
    },
    **{
        name: {parameter: f"{function}.{parameter}" for parameter in signature(FLOWS[name].fn).parameters}
        for name, function in (("simulate", "simulate_shards"), ("train", "train_package"), ("evaluate", "evaluate_shards"))
    },
}
"""Maps each parameter of each flow to the argument that must hold its value."""


class ReachedError(Exception):
    """The function that does the work was called."""


@pytest.fixture
def no_server(tmp_path, monkeypatch):
    """Steps and progress of flows do not ask Prefect's server."""
    monkeypatch.chdir(tmp_path)
    for module in MODULES:
        for name, stand_in in (
            ("flow_progress", lambda *_: nullcontext(lambda *_: None)),
            ("show_summary", lambda *_: None),
            ("get_run_logger", lambda: logging.getLogger(__name__)),
            ("retried", lambda _name, step: step()),
        ):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, stand_in)


@pytest.fixture
def calls(no_server, monkeypatch):
    """Return the calls of each spied function: the arguments by name."""
    found = {}

    def spy(place, result, *, also=()):
        module, name = place.rsplit(".", 1)
        of = signature(getattr(import_module(module), name))

        def record(*arguments, **options):
            bound = of.bind(*arguments, **options)
            bound.apply_defaults()
            given = {key: list(value) if key == "nights" else value for key, value in bound.arguments.items()}
            found.setdefault(name, []).append(given)
            if result is ReachedError:
                raise ReachedError
            return result(given)

        for path in (place, *also):
            monkeypatch.setattr(path, record)

    of_verdict = {"reference_plan_id": None, "reference_night": None, "code_version": "1", "limits": {}, "checks": ()}
    for scan in ("run_scan", "scan_by_job"):
        spy(f"flows.scan_step.{scan}", lambda _: night_summary(plan_id=PLAN, awaits_gate=True))
    spy("flows.backfill.nights_to_do", lambda given: given["nights"], also=["flows.rescore.nights_to_do"])
    spy("flows.commands.quality.chosen_plan", lambda _: "plan")
    spy("flows.commands.quality.read_limits", lambda given: given["path"])
    spy("flows.commands.quality.assess", lambda _: Verdict(plan_id=PLAN, night=None, **of_verdict))
    promoted = Promoted(plan_id=PLAN, night=None, candidates_uri="", is_new=True, promotion=None)
    spy("flows.commands.quality.promote", lambda _: promoted)
    monkeypatch.setattr("flows.commands.publish.chosen_known", lambda *_, **__: "known lenses")
    monkeypatch.setattr("scanner.hats.publish.checked_roots", lambda *_: None)
    version = type("Version", (), {"version": "1"})
    spy("scanner.hats.publish.publish", lambda _: version)
    for place in ("simulate.simulate_shards", "train.train_package", "evaluate.evaluate_shards"):
        spy(f"flows.{place}", ReachedError)
    return found


def other(name, kind, default):
    """Return a value of a type that is not the default."""
    kinds = [one for one in get_args(kind) or (kind,) if one is not NoneType]
    chosen = kind if get_origin(kind) is Literal else kinds[0]
    if get_origin(chosen) is Literal:
        return next(choice for choice in reversed(get_args(chosen)) if choice != default)
    if kind is ScanOptions:
        hints = get_type_hints(ScanOptions)
        fields = ScanOptions.model_fields.items()
        return ScanOptions(**{field: other(field, hints[field], of.default) for field, of in fields})
    if name == "input_uri":
        return "/tiles/{night}"
    by_type = {bool: not default, int: 3, float: 0.25, date: UNTIL if name == "until" else SINCE, Path: Path("/runs")}
    if kinds[0] in by_type:
        return by_type[kinds[0]]
    if "tuple" in str(kind):
        return (1.0, -2.0, 3.0) if "float" in str(kind) else ("7",)
    return f"/given/{name}"


def given_to(flow):
    hints = get_type_hints(flow.fn)
    given = {name: other(name, hints[name], of.default) for name, of in signature(flow.fn).parameters.items()}
    assert all(given[name] != of.default for name, of in signature(flow.fn).parameters.items())
    return given


def run(flow, given):
    """Run the flow's own function with the parameters of a deployment."""
    with suppress(ReachedError):
        flow.fn(**flow.validate_parameters(given))


def argument(calls, place):
    function, *names = place.split(".")
    found = calls[function][-1]
    for name in names:
        found = found[name] if isinstance(found, dict) else found[int(name)] if name.isdigit() else getattr(found, name)
    return found


def test_every_flow_is_tested():
    assert {name: set(signature(flow.fn).parameters) for name, flow in FLOWS.items()} == {
        name: set(row) for name, row in ARRIVES.items()
    }


@pytest.mark.parametrize("name", ARRIVES)
def test_every_parameter_arrives(name, calls):
    flow = FLOWS[name]
    given = given_to(flow)
    run(flow, given)
    if "submit_to" in given:
        run(flow, {name: value for name, value in given.items() if name != "submit_to"})
    expected = dict(given)
    if "scan" in given:
        behind = {"gate": True, "publish_to": None, **({"ensemble": given["ensemble"]} if name == "rescore" else {})}
        expected["scan"] = given["scan"].model_copy(update=behind)
    for parameter, place in ARRIVES[name].items():
        arrived, wanted = argument(calls, place), expected[parameter]
        assert arrived == (wanted.isoformat() if isinstance(wanted, date) and isinstance(arrived, str) else wanted), place
    if "publish" in calls:
        assert calls["publish"][-1]["known"] == "known lenses"
    if "run_scan" in calls and "chosen_plan" in calls:
        assert {call["plan"] for call in calls["chosen_plan"]} == {PLAN}, "the scanned plan is judged, not another that waits"


@pytest.mark.parametrize("name", ["nightly", "backfill", "rescore"])
def test_a_night_is_published_where_its_scan_options_say(name, calls):
    given = given_to(FLOWS[name])
    del given["publish_to"], given["submit_to"]
    run(FLOWS[name], given)
    assert calls["publish"][-1]["collection"] == given["scan"].publish_to


def test_a_deployed_training_refuses_a_folder_on_s3():
    given = {"shards_uri": "shards", "out": "s3://bucket/runs", "name": "new"}
    with pytest.raises(StorageError, match=r"s3://bucket/runs: is on S3, must be a local path"):
        FLOWS["train"].validate_parameters(given)
    assert FLOWS["train"].validate_parameters({**given, "out": "runs"})["out"] == Path("runs")
