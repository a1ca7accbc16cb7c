"""Test that no data read can execute code: no source uses pickle, and flows store JSON without secrets on their server."""

import ast

import pytest

from tests.sources import ROOT, source_files

FORBIDDEN_CALLS = {"torch.save", "torch.jit.load", "torch.export.load", "pd.read_pickle", "pandas.read_pickle", "eval", "exec"}
SECRET_NAMES = ("secret", "token", "password", "credential", "key", "auth")


def offences(source):
    """Yield the calls in a source that could execute foreign code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        told = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg in {"weights_only", "allow_pickle"}}
        if name in FORBIDDEN_CALLS:
            yield name
        if name == "torch.load" and told.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if told.get("allow_pickle", "False") != "False":
            yield f"{name} with allow_pickle"


def flows(source):
    """Yield `(name, keywords of the decorator, parameters)` of every flow and task."""
    for node in ast.walk(ast.parse(source)):
        for decorator in getattr(node, "decorator_list", []):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).rpartition(".")[2] in {"flow", "task"}:
                given = {k.arg: ast.unparse(k.value) for k in getattr(decorator, "keywords", [])}
                yield node.name, given, [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]


def test_no_source_executes_what_it_reads():
    """Imports of pickle modules are checked by tests/test_layers.py."""
    found = {str(path.relative_to(ROOT)): list(offences(path.read_text())) for path in source_files()}
    assert {path: made for path, made in found.items() if made} == {}


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "torch.save(a, b)",
        "eval(x)",
    ],
)
def test_the_check_finds_what_it_looks_for(line):
    assert len(list(offences(line))) == 1
    assert not list(offences("torch.load(path, weights_only=True, map_location='cpu')\nnetwork.eval()"))


@pytest.mark.fault(36)
def test_flows_store_json_results_and_take_no_secrets():
    found = [flow for path in source_files() if "flows" in path.parts for flow in flows(path.read_text())]
    assert {"scan_night", "simulate", "train"} <= {name for name, _, _ in found}
    for name, given, parameters in found:
        assert given["result_serializer"] == "'json'", name
        assert not [p for p in parameters if any(word in p.lower() for word in SECRET_NAMES)], name
