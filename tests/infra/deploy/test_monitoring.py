"""Dashboard and alerts ask for metrics and tags that runs report, in queries that Prometheus' grammar accepts.

No Prometheus and no Grafana run here; the alerts were loaded into Prometheus 2.53 by hand.
"""

import json
import re

import promql_parser
import pytest
import yaml

from scanner.vocabulary.metrics import OLDEST_UNPROMOTED_NIGHT
from tests.infra.deploy.documents import DEPLOY, changed
from tests.infra.deploy.metric_names import NIGHT_TAG, declared

DASHBOARD = json.loads((DEPLOY / "grafana" / "lensscan.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
RULES = {rule["alert"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
PREFIXES = ("ray_", "")
GRID_COLUMNS = 24
DURATION = re.compile(r"\d+[smhd]")


def complaints(query):
    """Return what is wrong with a query: its grammar, the names of its metrics, or the tags that it groups by."""
    plain = query.replace("${prefix}", "ray_").replace("$night", ".*")
    try:
        promql_parser.parse(plain)
    except ValueError as error:
        return [str(error)]
    known = declared()
    names = set(re.findall(r"lensscan_\w+", plain))
    tags = {tag for found in re.findall(r"(?:by|ignoring) \(([^)]*)\)", plain) for tag in re.findall(r"\w+", found)}
    tags |= {tag for tag in re.findall(r"[{,]\s*(\w+)\s*=", plain) if tag != "__name__"}
    found = [f"no metric {name}" for name in names - known.keys()]
    possible = set().union(*(known[name] for name in names if name in known))
    return found + [f"no tag {tag}" for tag in tags - possible] + ([] if names else ["no metric of lensscan"])


def queries():
    yield from ((panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"])
    yield from ((name, rule["expr"]) for name, rule in RULES.items())


@pytest.mark.parametrize(("name", "query"), list(queries()))
def test_a_query_is_about_metrics_that_runs_report(name, query):
    assert complaints(query) == [], name


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(${prefix}lensscan_rows_scored_total[5m]) by (night)",
        "sum by (night) (${prefix}lensscan_rows_scored)",
        "sum by (tile) (${prefix}lensscan_rows_scored_total)",
        'sum(${prefix}lensscan_rows_scored_total{nigth="x"})',
        "up == 0",
    ],
)
def test_a_wrong_query_is_found(query):
    assert complaints(query)


def test_every_metric_is_on_the_dashboard():
    shown = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"lensscan_\w+", target["expr"])
    }
    assert shown == declared().keys()


def test_panels_fill_the_page_and_say_what_they_show():
    cells = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, panel["title"]
        cells |= own
        assert panel["description"].endswith(".")
        assert {target["refId"] for target in panel["targets"]} == set("AB"[: len(panel["targets"])])
    rows = 1 + max(y for _, y in cells)
    assert cells == {(x, y) for x in range(GRID_COLUMNS) for y in range(rows)}
    assert [panel["id"] for panel in DASHBOARD["panels"]] == list(range(1, len(DASHBOARD["panels"]) + 1))


def test_variables_of_queries_exist():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert {*re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))} == variables.keys()
    assert tuple(option["value"] for option in variables["prefix"]["options"]) == PREFIXES
    (asked,) = re.findall(r"\}(lensscan_\w+), (\w+)\)", variables["night"]["query"]["query"])
    assert asked[0] in declared()
    assert asked[1] == NIGHT_TAG


def rule_faults(tree):
    """Return what Prometheus would refuse in a file of rules."""
    found = [f"unknown {key}" for key in tree.keys() - {"groups"}]
    for group in tree.get("groups", ()):
        found += [f"unknown {key}" for key in group.keys() - {"name", "interval", "rules"}]
        for rule in group["rules"]:
            found += [f"unknown {key}" for key in rule.keys() - {"alert", "expr", "for", "labels", "annotations"}]
            found += ["no duration"] * (not DURATION.fullmatch(rule.get("for", "1s")))
            found += [f"no {key}" for key in {"alert", "expr", "labels", "annotations"} - rule.keys()]
            found += ["no severity"] * (rule.get("labels", {}).get("severity") not in {"warning", "critical"})
            found += ["no summary"] * ({"summary", "description"} != rule.get("annotations", {}).keys())
    return found


def test_the_alerts_are_rules_of_prometheus():
    assert rule_faults(ALERTS) == []
    assert {*RULES} == {"NightNotPromoted", "ManyRejectedRows", "WorkersDie", "StoreRetries", "NoRows"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["expresion"], "up"),
        (["for"], "15"),
        (["labels", "severity"], "bad"),
        (["annotations", "summary"], None),
        (["expr"], None),
    ],
)
def test_a_fault_in_a_rule_is_found(path, value):
    assert rule_faults(changed(ALERTS, ["groups", 0, "rules", 0, *path], value))


def test_alerts_have_the_limits_that_the_pages_state():
    assert RULES["NightNotPromoted"]["expr"].endswith("> 36 * 3600")
    assert RULES["ManyRejectedRows"]["expr"].endswith("> 0.05")
    assert "[30m]" in RULES["NoRows"]["expr"]


@pytest.mark.parametrize("name", RULES)
def test_alerts_take_names_of_ray_and_of_text_files(name):
    for pattern in re.findall(r'__name__=~"([^"]*)"', RULES[name]["expr"]):
        base = pattern.removeprefix("(ray_)?")
        assert all(re.fullmatch(pattern, prefix + base) for prefix in PREFIXES)


def test_the_age_of_a_night_is_asked_of_text_files():
    """A run finds it as it ends, and does not report it to Ray."""
    age = OLDEST_UNPROMOTED_NIGHT.name
    asked = [query for _, query in queries() if age in query]
    assert [query.partition(" ")[0] for query in asked] == [f"max({age})"] * 2


def test_prometheus_reads_the_alerts():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
    assert [(DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"]] == [True]
