"""Test of the nightly deployment with a real Prefect server, `prefect deploy` and a worker that writes a catalogue."""

import json

import pytest

from scanner.catalogue.visible import selected_plans
from tests.prefect_deployments import Deployments
from tests.prefect_servers import prefect_server
from tests.tiles import write_tiles

ENTRYPOINTS = {
    name: f"flows/{name.replace('-', '_')}.py:{name.replace('-', '_')}"
    for name in (
        *("nightly", "backfill", "rescore", "scan-night", "qa-night", "promote-night", "compact"),
        *("simulate", "train", "evaluate"),
    )
}

pytestmark = pytest.mark.server


@pytest.fixture
def server(tmp_path, prefect_tables):
    with prefect_server(tmp_path / "prefect", auth="operator:guarded", tables=prefect_tables) as started:
        yield started


@pytest.fixture
def deployments(server, tmp_path):
    places = {"LENSSCAN_TILES": str(tmp_path / "tiles" / "{night}"), "LENSSCAN_CATALOGUE": str(tmp_path / "catalogue")}
    return Deployments(server, **places, LENSSCAN_COLLECTION=str(tmp_path / "collection"))


@pytest.mark.slow
def test_the_nightly_deployment_is_scheduled_and_run_by_a_worker(deployments, tmp_path):
    write_tiles(tmp_path / "tiles" / "2026-01-02", n_tiles=1, n_objects=4)
    deployments.deploy()
    found = deployments.asked("POST", "/deployments/filter")
    assert sorted(deployment["name"] for deployment in found) == sorted(ENTRYPOINTS)
    assert {deployment["name"]: deployment["entrypoint"] for deployment in found} == ENTRYPOINTS
    schedules = {deployment["name"]: [s["schedule"]["cron"] for s in deployment["schedules"]] for deployment in found}
    assert {name: crons for name, crons in schedules.items() if crons} == {"nightly": ["0 14 * * *"]}
    nightly = deployments.asked("GET", "/deployments/name/nightly/nightly")
    assert nightly["parameters"] == {
        "input_uri": str(tmp_path / "tiles" / "{night}"),
        "root_uri": str(tmp_path / "catalogue"),
    }

    deployments.prefect(
        ("deployment", "run", "nightly/nightly", "--param", 'night="2026-01-02"'),
        ("worker", "start", "--pool", "lensscan", "--run-once"),
    )

    seals = list((tmp_path / "catalogue" / "_scan" / "seals").glob("*.json"))
    assert len(seals) == 1
    report = json.loads(seals[0].read_text())
    assert report["n_rows"] == 4
    assert report["rows_by_status"] == {"scored": 4}
    (shown,) = selected_plans(str(tmp_path / "catalogue"))
    assert shown.plan_id == report["plan_id"]
    artefacts = deployments.asked("POST", "/artifacts/filter")
    assert {"scan-2026-01-02", "summary-2026-01-02", "verdict-2026-01-02"} <= {artefact["key"] for artefact in artefacts}
    results = list((tmp_path / "prefect" / "client" / "storage").iterdir())
    assert any('"outcome":"promoted"' in path.read_text().replace(" ", "") for path in results), "the result is kept as JSON"
