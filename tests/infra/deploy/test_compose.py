"""The Compose file holds to its schema and is closed. No container runs here; `test_compose_services.py` runs its commands."""

import os
import subprocess

import pytest
import yaml

from tests.infra.deploy.complaints import of_compose, program
from tests.infra.deploy.documents import COMPOSE, DEPLOY, changed

TREE = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
COMMAND = program("docker-compose")


def test_the_file_holds_to_the_schema():
    assert of_compose(TREE) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["services", "postgres", "restartt"], "always"),
        (["services", "ray-head", "healthcheck", "retrys"], 3),
        (["services", "prefect", "depends_on", "postgres", "condition"], 1),
        (["service"], {}),
        (["services", "prefect", "ports"], ["4200:4200"]),
        (["services", "store", "ports"], ["0.0.0.0:8333:8333"]),
        (["services", "postgres", "image"], "postgres:latest"),
        (["services", "postgres", "image"], "postgres"),
        (["services", "prefect", "privileged"], True),
        (["services", "store", "security_opt"], []),
        (["services", "ray-worker", "secrets"], ["ray_tokn"]),
    ],
)
def test_a_typing_error_or_an_open_service_is_found(path, value):
    assert of_compose(changed(TREE, path, value))


def test_services_of_lensscan_are_not_root_and_change_no_file():
    ours = {name: service for name, service in TREE["services"].items() if service["image"].startswith("lensscan:")}
    assert {*ours} == {"bucket", "prefect", "ray-head", "ray-worker", "prefect-worker", "deploy"}
    for service in ours.values():
        assert service["user"].startswith("${LENSSCAN_UID:?")
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_services_that_stay_have_health_checks():
    for name, service in TREE["services"].items():
        assert "healthcheck" in service or service["restart"] == "no", name
    for name, service in TREE["services"].items():
        for needed, how in service.get("depends_on", {}).items():
            is_once = TREE["services"][needed]["restart"] == "no"
            assert how["condition"] == ("service_completed_successfully" if is_once else "service_healthy"), name


def test_data_lie_in_named_volumes():
    mounted = [volume.partition(":")[0] for service in TREE["services"].values() for volume in service.get("volumes", ())]
    assert sorted(mounted) == sorted(TREE["volumes"])


@pytest.mark.skipif(COMMAND is None, reason="needs the program docker-compose (Debian package of that name)")
def test_compose_itself_reads_the_file(tmp_path):
    """Compose merges anchors, fills in variables and checks the result without a daemon."""
    environment = dict(os.environ) | {
        "LENSSCAN_UID": "1000",
        "LENSSCAN_GID": "1000",
        "LENSSCAN_BUCKET": "b",
        "LENSSCAN_RAY_CPUS": "2",
    }
    command = [COMMAND, "--file", COMPOSE, "config", "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"]["ray-head"]["environment"]["RAY_AUTH_MODE"] == "token"
    del environment["LENSSCAN_UID"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "run infra/deploy/make_secrets.sh first" in done.stderr


def test_the_example_names_every_variable_without_a_value():
    lines = [line for line in (DEPLOY / "example.env").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    named = {line.rstrip("=") for line in lines if line}
    assert all(not line or line.endswith("=") for line in lines)
    used = COMPOSE.read_text(encoding="utf-8")
    assert named == {part.partition("}")[0].partition(":")[0] for part in used.split("${")[1:]}
