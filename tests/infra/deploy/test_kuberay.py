"""KubeRay's objects hold to the operator's schemas. No cluster runs here: no pod starts, and no CEL rule is evaluated."""

import pytest

from tests.infra.deploy.complaints import of_kuberay, of_pods
from tests.infra.deploy.documents import IMAGES, RAY_FILES, changed, document, pod_specs, ray_cluster, ray_job

JOBS = ("rayjob", "raycronjob")


@pytest.mark.needs_shared("kuberay")
@pytest.mark.parametrize("name", RAY_FILES)
def test_objects_hold_to_the_schema_of_the_operator(name):
    tree = document(name)
    assert tree["apiVersion"] == "ray.io/v1"
    assert of_kuberay(tree) == []


@pytest.mark.needs_shared("kuberay")
@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("rayjob", ["spec", "ttlSecondAfterFinished"], 3600),
        ("rayjob", ["spec", "backoffLimit"], "two"),
        ("rayjob", ["spec", "deletionStrategy", "deletionRules", 0, "policy"], "DeleteWorker"),
        ("rayjob", ["spec", "deletionStrategy", "deletionRules", 0, "condition", "jobStatus"], "DONE"),
        ("rayjob", ["spec", "rayClusterSpec", "workerGroupSpecs", 0, "replicas"], "two"),
        ("raycluster", ["spec", "authOptions", "mode"], "tokens"),
        ("raycluster", ["spec", "authOptions", "secret"], "lensscan-ray"),
        ("raycluster", ["spec", "autoscalerOptions", "idleTimeoutSecond"], 60),
        ("raycluster", ["spec", "headGroupSpec", "template", "spec", "containers", 0, "image"], 1),
        ("raycronjob", ["spec", "schedule"], None),
        ("raycronjob", ["spec", "jobTemplate", "jobTemplate"], {}),
    ],
)
def test_a_typing_error_is_found(name, path, value):
    assert of_kuberay(changed(document(name), path, value))


@pytest.mark.parametrize("name", RAY_FILES)
def test_pods_are_closed_and_limited(name):
    assert of_pods(document(name)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["containers", 0, "image"], "lensscan:latest"),
        (["containers", 0, "image"], "lensscan"),
        (["securityContext", "runAsUser"], 0),
        (["securityContext", "runAsNonRoot"], None),
        (["containers", 0, "securityContext", "allowPrivilegeEscalation"], True),
        (["containers", 0, "resources", "limits"], {"cpu": "1"}),
        (["containers", 0, "volumeMounts", 0, "name"], "scrach"),
    ],
)
def test_an_open_pod_is_found(path, value):
    head = ["spec", "headGroupSpec", "template", "spec"]
    assert of_pods(changed(document("raycluster"), [*head, *path], value))


@pytest.mark.parametrize("name", RAY_FILES)
def test_every_cluster_asks_for_its_token(name):
    assert ray_cluster(document(name))["authOptions"] == {"mode": "token", "secretName": "lensscan-ray"}


def test_the_cluster_that_stays_has_cores_and_gpus_on_demand():
    spec = document("raycluster")["spec"]
    assert spec["enableInTreeAutoscaling"]
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups.values())
    images = {name: group["template"]["spec"]["containers"][0]["image"] for name, group in groups.items()}
    assert images == {"cpu": IMAGES[0], "gpu": IMAGES[1]}
    limits = groups["gpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_and_removes_what_costs(name):
    job = ray_job(document(name))
    for status in ({"jobStatus": "SUCCEEDED"}, {"jobDeploymentStatus": "Failed"}):
        rules = [rule for rule in job["deletionStrategy"]["deletionRules"] if status.items() <= rule["condition"].items()]
        policies = [rule["policy"] for rule in rules]
        # The operator takes each policy once, in an order of growing delays; a missed deadline is a failed deployment.
        assert policies in (["DeleteWorkers", "DeleteCluster"], ["DeleteWorkers", "DeleteCluster", "DeleteSelf"])
        delays = [rule["condition"]["ttlSeconds"] for rule in rules]
        assert delays == sorted(delays)
    assert job["activeDeadlineSeconds"] > job["preRunningDeadlineSeconds"] > 0
    # The operator refuses both ways of ending together.
    assert "shutdownAfterJobFinishes" not in job
    assert "ttlSecondsAfterFinished" not in job


@pytest.mark.parametrize("name", JOBS)
def test_a_job_asks_for_as_many_cores_as_it_has(name):
    """A scan counts the cores when it begins, so a job must have all of its nodes from the start."""
    cluster = ray_cluster(document(name))
    assert "enableInTreeAutoscaling" not in cluster
    cores = 0
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"]
        cores += group["replicas"] * int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    words = ray_job(document(name))["entrypoint"].split()
    assert int(words[words.index("--workers") + 1]) == cores


def test_the_nightly_job_is_the_job_of_one_night():
    """Both differ in the night, in retries, which could cross midnight, and in the time that they have."""
    one, nightly = dict(ray_job(document("rayjob"))), dict(ray_job(document("raycronjob")))
    assert nightly["entrypoint"].replace("$(date --utc +%F)", "2026-11-24") == one["entrypoint"]
    for name in ("entrypoint", "backoffLimit", "activeDeadlineSeconds"):
        one.pop(name), nightly.pop(name)
    assert one.pop("jobId") == document("rayjob")["metadata"]["name"]
    assert one == nightly


def test_the_nightly_job_ends_on_the_day_that_it_began():
    spec = document("raycronjob")["spec"]
    minute, hour, *days = spec["schedule"].split()
    assert (days, spec["timeZone"]) == (["*"] * 3, "Etc/UTC")
    assert int(hour) * 3600 + int(minute) * 60 + spec["jobTemplate"]["activeDeadlineSeconds"] < 24 * 3600


def test_heads_run_no_scan():
    for name in RAY_FILES:
        assert ray_cluster(document(name))["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        assert len(list(pod_specs(document(name)))) >= 2
