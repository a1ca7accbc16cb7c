"""Prefect's own model reads the deployments without a key left over, and their parameters are those of the flows.

`tests/flows/test_deployment.py` deploys the file to a real server.
"""

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError

from tests.infra.deploy.documents import DEPLOY, changed, flow_of, nodes

TREE = yaml.safe_load((DEPLOY / "prefect.yaml").read_text(encoding="utf-8"))


def complaints(tree):
    """Return what Prefect refuses in a file of deployments, the keys that it would ignore, and parameters that flows lack."""
    try:
        read = PrefectYamlModel.model_validate(tree)
        for schedule in (one for deployment in tree["deployments"] for one in deployment.get("schedules", ()) if "cron" in one):
            CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    except ValidationError as error:
        return [str(error)]
    kept = {key for node in nodes(read.model_dump(by_alias=True)) for key in node}
    # Values that several deployments share stand under `definitions`, which Prefect ignores.
    found = [f"Prefect ignores {key}" for node in nodes(tree) for key in node if key not in {*kept, "definitions"}]
    for deployment in tree["deployments"]:
        name, flow = deployment["entrypoint"], flow_of(deployment)
        if flow is None:
            found.append(f"no flow {name}")
            continue
        schema = flow.parameters.model_dump()
        given = deployment.get("parameters", {})
        found += [f"{name} has no parameter {one}" for one in given.keys() - schema["properties"].keys()]
        found += [f"{name} needs {one}" for one in schema.get("required", ()) if one not in given and "schedules" in deployment]
        slugs = [schedule.get("slug") for schedule in deployment.get("schedules", ())]
        found += ["a schedule without a slug is doubled by the next deployment"] * (None in slugs)
    return found


def test_the_file_has_no_fault():
    assert complaints(TREE) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["deployments", 0, "entrypoint"], "flows/scan_night.py:scan_nights"),
        (["deployments", 0, "schedule_s"], []),
        (["deployments", 0, "schedules", 0, "slug"], None),
        (["deployments", 0, "schedules", 0, "timezone"], "Mars/Utopia"),
        (["deployments", 0, "schedules", 0, "cron"], "0 14 * *"),
        (["deployments", 0, "parameters", "input"], "s3://x"),
        (["deployments", 0, "parameters"], {}),
        (["deployments", 0, "concurrency_limit"], {"limit": "one"}),
        (["deployments", 0, "work_pool", "nmae"], "lensscan"),
        (["deployment"], []),
    ],
)
def test_a_fault_is_found(path, value):
    assert complaints(changed(TREE, path, value))
