"""Nights by a Prefect worker whose scans are Ray jobs and whose tiles and catalogue lie on S3: real servers of all three."""

import json
import signal
import subprocess
import sys
import time
from io import BytesIO

import pyarrow.parquet as pq
import pytest

from infra.store.removal import remove
from infra.store.storage import create_if_absent, join, list_files, read_bytes
from scanner.catalogue.paths import promoted_uri
from scanner.catalogue.visible import selected_plans, unit_files_of
from tests.job_servers import job_server
from tests.prefect_deployments import Deployments, kill_tree
from tests.prefect_servers import prefect_server
from tests.servers import wait_for
from tests.sources import ROOT
from tests.tiles import write_tiles

NIGHTS = ("2026-01-01", "2026-01-02", "2026-01-03")
LONG_NIGHT = "2026-01-04"
N_TILES, N_OBJECTS = 3, 25
OPTIONS = {"maps_per_unit": 0, "workers": 1}
SLOW = {"maps_per_unit": 0, "workers": 1, "ensemble": "ou7-sim", "engine": "torch", "exact": True}
"""Options with which a night takes minutes, so that it can be cancelled."""

pytestmark = [pytest.mark.server, pytest.mark.ray, pytest.mark.slow]

JOBS = """
import json, sys
from infra.ray.jobs import JobServer
jobs = JobServer(sys.argv[1])._client.list_jobs()
print(json.dumps({job.submission_id: (str(job.status), job.end_time) for job in jobs if job.submission_id}))
"""
"""Prints status and end, in milliseconds, of each job."""


def upload(folder, s3, n_objects, seed):
    """Write the tiles of the night that a folder is named for to S3, and return the ids of their objects."""
    ids = write_tiles(folder, N_TILES, n_objects, n_pixels=500, seed=seed)
    for path in folder.iterdir():
        create_if_absent(join(s3, "tiles", folder.name, path.name), path.read_bytes(), "test")
    return ids


@pytest.fixture
def survey(tmp_path, s3, s3_variables, prefect_tables):
    """Yield the deployments, the address of the job server, the catalogue, and the ids of the objects of each night."""
    ids = {}
    for seed, night in enumerate(NIGHTS):
        ids[night] = sorted(upload(tmp_path / night, s3, N_OBJECTS, seed).tolist())
    with (
        job_server(tmp_path, PYTHONPATH=str(ROOT), **s3_variables) as (address, ray_env),
        prefect_server(tmp_path / "prefect", auth="operator:guarded", tables=prefect_tables) as server,
    ):
        places = {"LENSSCAN_TILES": f"{s3}/tiles/{{night}}", "LENSSCAN_CATALOGUE": f"{s3}/catalogue"}
        token = {name: value for name, value in ray_env.items() if name.startswith("RAY_")}
        deployments = Deployments(server, **places, **token, **s3_variables, LENSSCAN_COLLECTION=f"{s3}/collection")
        deployments.deploy("nightly", "backfill", "promote-night")
        yield deployments, address, f"{s3}/catalogue", ids


def jobs(deployments, address):
    command = [sys.executable, "-W", "ignore", "-c", JOBS, address]
    return json.loads(subprocess.run(command, cwd=ROOT, env=deployments.env, capture_output=True, check=True).stdout)


def content(root):
    return {file.uri: (file.etag, file.modified) for file in list_files(root)}


def check_once(root, ids):
    """Check that readers see each night once, with every object in one unit file."""
    for night, expected in ids.items():
        (shown,) = selected_plans(root, night=night)
        units = [pq.read_table(BytesIO(read_bytes(file.uri)), columns=["object_id"]) for file in unit_files_of(root, shown)]
        assert sorted(i for table in units for i in table["object_id"].to_pylist()) == expected
        names = [file.uri.rpartition("/")[2] for file in list_files(join(root, "_scan", "quality", shown.plan_id))]
        assert names == ["measured.json", "promoted.json", "verdict-00000001.json"]
        assert len(list_files(join(root, "_scan", "shown", night))) == 1
    assert len(list_files(join(root, "_scan", "seals"))) == len(ids)


def test_three_nights_with_a_killed_worker_are_each_done_once(survey):
    deployments, address, root, ids = survey
    asked = {"scan": OPTIONS, "submit_to": address}
    with deployments.worker():
        deployments.wait(deployments.start("nightly/nightly", night=NIGHTS[0], **asked), "COMPLETED")
    artefacts = {found["key"]: found for found in deployments.asked("POST", "/artifacts/filter")}
    shown = artefacts[f"scan-{NIGHTS[0]}"]
    assert (shown["type"], shown["data"]) == ("progress", 100.0), "the page shows the progress of the job"
    for kind in ("scan", "summary", "qa", "verdict"):
        assert artefacts[f"{kind}-{NIGHTS[0]}"]["description"], kind

    with deployments.worker() as worker:
        second = deployments.start("nightly/nightly", night=NIGHTS[1], **asked)
        wait_for("the second job", lambda: any(NIGHTS[1] in name for name in jobs(deployments, address)), 200)
        kill_tree(worker.pid)
    assert deployments.state(second)["type"] == "RUNNING", "Prefect does not know that the run is dead"

    with deployments.worker():
        run = deployments.start("backfill/backfill", since=NIGHTS[0], until="2026-01-09", **asked)
        deployments.wait(run, "COMPLETED")
        check_once(root, ids)
        # Jobs of other nights, or with other options, there are none; the job of the killed run was not lost.
        assert {name[: len("lensscan-scan-") + 10] for name in jobs(deployments, address)} == {
            f"lensscan-scan-{night}" for night in NIGHTS
        }

        before = content(root)
        late = [deployments.start("nightly/nightly", night=night, **asked) for night in NIGHTS]
        late.append(deployments.start("backfill/backfill", since=NIGHTS[0], until=NIGHTS[2], again=True, **asked))
        for run in late:
            deployments.wait(run, "COMPLETED")
    assert content(root) == before
    check_once(root, ids)


def test_a_dead_prefect_server_does_not_stop_a_night(survey):
    deployments, address, root, ids = survey
    with deployments.worker():
        run = deployments.start("nightly/nightly", night=NIGHTS[0], scan=OPTIONS, submit_to=address)
        wait_for("the job", lambda: jobs(deployments, address), 200)
        deployments.server.end(signal.SIGKILL)
        assert not list_files(join(root, "_scan", "seals")), "the kill must come before the seal"
        wait_for("the promotion", lambda: list_files(join(root, "_scan", "shown")), 200)
        deployments.server.start()
        deployments.wait(run, "COMPLETED")
    check_once(root, {NIGHTS[0]: ids[NIGHTS[0]]})


def test_a_refused_night_fails_its_run_until_it_is_overruled(survey):
    deployments, _, root, _ = survey
    night = NIGHTS[0]
    for file in list_files(join(root.replace("/catalogue", "/tiles"), night)):
        if "MOSAIC-NIR-Y" in file.uri:
            remove(file)
    with deployments.worker():
        state = deployments.wait(deployments.start("nightly/nightly", night=night, scan=OPTIONS), "FAILED")
        assert f"night {night} has failed its quality gate: 3 tiles lack a band (Y in 3)" in state["message"]
        artefacts = deployments.asked("POST", "/artifacts/filter")
        assert any("has FAILED its quality gate" in str(found["data"]) for found in artefacts)
        assert not list_files(join(root, "_scan", "shown"))
        state = deployments.wait(deployments.start("promote-night/promote-night", night=night), "FAILED")
        assert "lack a band" in state["message"]
        overruled = {"night": night, "overrule": "engineering", "by": "Ann Lens"}
        deployments.wait(deployments.start("promote-night/promote-night", **overruled), "COMPLETED")
    names = {found["name"] for found in deployments.asked("POST", "/flow_runs/filter")}
    assert {f"nightly {night}", f"promote-night {night}"} <= names
    (shown,) = selected_plans(root, night=night)
    assert json.loads(read_bytes(promoted_uri(root, shown.plan_id)))["overruled_because"] == "engineering"


def test_runs_attach_to_jobs_and_a_cancelled_run_stops_them(survey, tmp_path):
    deployments, address, root, _ = survey
    upload(tmp_path / LONG_NIGHT, root.removesuffix("/catalogue"), 400, 7)
    asked = {"night": LONG_NIGHT, "scan": SLOW, "submit_to": address}

    def running():
        return [name for name, (status, _) in jobs(deployments, address).items() if status == "RUNNING"]

    with deployments.worker() as worker:
        deployments.start("nightly/nightly", **asked)
        wait_for("the job", running, 200)
        kill_tree(worker.pid)
    (job,) = running()

    with deployments.worker():
        run = deployments.start("nightly/nightly", **asked)
        wait_for("the run to attach", lambda: any(f"attached to Ray job {job}" in line for line in deployments.logs(run)), 200)
        assert running() == [job]
        began = time.time()
        deployments.asked("POST", f"/flow_runs/{run}/set_state", state={"type": "CANCELLING"})
        wait_for("the end of the job", lambda: not running(), 90)
        status, end_ms = jobs(deployments, address)[job]
        assert status == "STOPPED", deployments.logs(run)
        deployments.wait(run, "CANCELLED")
    # By the clock of the job server: to ask for the state takes seconds.
    sys.stderr.write(f"the job has ended {end_ms / 1000 - began:.1f} s after the cancellation\n")
    assert end_ms / 1000 - began < 30
