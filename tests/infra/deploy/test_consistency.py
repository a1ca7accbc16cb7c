"""Names that one deployment file gives exist in the files that it gives them to."""

import re

import pytest
import yaml

from infra.deploy.local_ray import _CLIENT_SERVERS
from infra.settings import Settings
from tests.infra.deploy.documents import (
    COMPOSE,
    DEPLOY,
    IMAGES,
    KUBERNETES,
    RAY_FILES,
    ROOT,
    deployments,
    document,
    documents,
    nodes,
    pod_specs,
    ray_cluster,
    ray_job,
)

SERVICES = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
TREES = [tree for path in sorted(KUBERNETES.glob("*.yaml")) for tree in documents(path)]
PREFECT = yaml.safe_load((DEPLOY / "prefect.yaml").read_text(encoding="utf-8"))


def named(kind):
    return {tree["metadata"]["name"] for tree in TREES if tree["kind"] == kind}


def settings_map():
    (settings,) = (tree["data"] for tree in TREES if tree["kind"] == "ConfigMap")
    return settings


def test_images_are_those_of_the_dockerfile():
    images = {container["image"] for tree in TREES for spec in pod_specs(tree) for container in spec["containers"]}
    images |= {service["image"] for service in SERVICES.values() if service["image"].startswith("lensscan")}
    assert images == {*IMAGES}
    stages = re.findall(r"^FROM .* AS (\w+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {image.rpartition("-")[2] for image in images} <= {*stages}


def test_ray_has_the_version_of_the_lock():
    (locked,) = re.findall(r"^ray==(\S+)", (DEPLOY / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {ray_cluster(document(name))["rayVersion"] for name in RAY_FILES} == {locked}


def test_accounts_and_settings_exist():
    accounts = {node["serviceAccountName"] for tree in TREES for node in nodes(tree) if "serviceAccountName" in node}
    assert accounts <= named("ServiceAccount")
    maps = {node["configMapRef"]["name"] for tree in TREES for node in nodes(tree) if "configMapRef" in node}
    assert maps == named("ConfigMap")


def test_secrets_are_those_that_the_head_of_the_settings_names():
    used = {node[key]["name"] for tree in TREES for node in nodes(tree) for key in ("secretRef", "secretKeyRef") if key in node}
    used |= {ray_cluster(document(name))["authOptions"]["secretName"] for name in RAY_FILES}
    head = (KUBERNETES / "settings.yaml").read_text(encoding="utf-8").partition("apiVersion")[0]
    assert used == set(re.findall(r"`([\w-]+)`", head))


def test_the_entrypoint_uses_settings_that_exist():
    settings = settings_map()
    for name in ("rayjob", "raycronjob"):
        used = set(re.findall(r"\$([A-Z_]+)", ray_job(document(name))["entrypoint"]))
        assert used == {"LENSSCAN_NIGHTS", "LENSSCAN_CATALOGUE"}
        assert used <= settings.keys()
        submitter = ray_job(document(name))["submitterPodTemplate"]["spec"]["containers"][0]
        assert {"configMapRef": {"name": "lensscan-settings"}} in submitter["envFrom"]


def test_workers_of_prefect_find_ray():
    """KubeRay names the service of a head `<cluster>-head-svc`; in Compose the service has the head's own name."""
    (worker,) = (
        container for tree in TREES if tree["kind"] == "Deployment" for container in next(pod_specs(tree))["containers"]
    )
    addresses = {variable["name"]: variable.get("value") for variable in worker["env"]}
    client = next(port["containerPort"] for port in head_ports() if port["name"] == "client")
    assert addresses["LENSSCAN_RAY_ADDRESS"] == f"ray://{document('raycluster')['metadata']['name']}-head-svc:{client}"
    started = " ".join(SERVICES["ray-head"]["command"])
    assert f"--ray-client-server-port={client}" in started
    assert SERVICES["prefect-worker"]["environment"]["LENSSCAN_RAY_ADDRESS"] == f"ray://ray-head:{client}"
    assert "--address=ray-head:6379" in SERVICES["ray-worker"]["command"]
    assert "--port=6379" in started


def head_ports():
    return document("raycluster")["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]


def test_metrics_ports_agree_everywhere():
    ports = {str(node["containerPort"]) for tree in TREES for node in nodes(tree) if node.get("name") == "metrics"}
    for name in RAY_FILES:
        cluster = ray_cluster(document(name))
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        ports |= {group["rayStartParams"]["metrics-export-port"] for group in groups}
    for service in ("ray-head", "ray-worker"):
        ports |= {word.partition("=")[2] for word in SERVICES[service]["command"] if word.startswith("--metrics-export-port")}
    (policy,) = (tree for tree in TREES if tree["kind"] == "NetworkPolicy")
    ports |= {str(policy["spec"]["ingress"][-1]["ports"][0]["port"])}
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"][0]
    targets = scraped["static_configs"][0]["targets"]
    assert {target.partition(":")[0] for target in targets} == {"ray-head", "ray-worker"}
    assert ports | {target.partition(":")[2] for target in targets} == {"8080"}


def test_probes_name_ports_that_exist():
    for tree in TREES:
        for container in (container for spec in pod_specs(tree) for container in spec["containers"]):
            named_ports = {port["name"] for port in container.get("ports", ())}
            probes = [node["httpGet"]["port"] for node in nodes(container) if "httpGet" in node]
            assert {*probes} <= named_ports


def test_workers_serve_the_pool_of_the_deployments():
    pools = {deployment["work_pool"]["name"] for deployment in PREFECT["deployments"]}
    (worker,) = (
        container for tree in TREES if tree["kind"] == "Deployment" for container in next(pod_specs(tree))["containers"]
    )
    for words in (worker["args"], SERVICES["prefect-worker"]["command"]):
        assert words[words.index("--pool") + 1] in pools
    assert len(pools) == 1


def test_pages_run_deployments_that_exist():
    existing = set(deployments())
    for page in sorted((ROOT / "docs" / "howto").glob("*.md")):
        run = re.findall(r"prefect deployment run (\S+)", page.read_text(encoding="utf-8"))
        assert {*run} <= existing, page.name


def test_a_deployment_gets_every_variable_that_it_reads():
    used = set(re.findall(r"\{\{ \$(\w+) \}\}", (DEPLOY / "prefect.yaml").read_text(encoding="utf-8")))
    image = set(re.findall(r"(\w+)=", (DEPLOY / "Dockerfile").read_text(encoding="utf-8").partition("ENTRYPOINT")[0]))
    assert used <= {*SERVICES["deploy"]["environment"]} | image
    assert used <= {*settings_map()} | image


def test_deployments_scan_the_tiles_of_their_own_night():
    settings = settings_map()
    assert settings["LENSSCAN_TILES"] == settings["LENSSCAN_NIGHTS"] + "/{night}"
    assert SERVICES["deploy"]["environment"]["LENSSCAN_TILES"].endswith("/{night}")


def test_the_page_registers_the_deployments_in_the_pod():
    """Elsewhere, the deployments would name a folder that the pod lacks."""
    page = (ROOT / "docs" / "howto" / "kubernetes.md").read_text(encoding="utf-8").replace("\\\n    ", "")
    deploys = " ".join(SERVICES["deploy"]["command"])
    assert f"kubectl --namespace lensscan exec deployment/prefect-worker -- {deploys}\n" in page


def test_every_head_keeps_the_servers_of_its_clients():
    (setting,) = (f"{name}={value}" for name, value in _CLIENT_SERVERS.items())
    for path in (DEPLOY / "Dockerfile", ROOT / "docs" / "howto" / "ray_cluster.md"):
        assert setting in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize(
    "path", sorted(p for p in DEPLOY.rglob("*") if p.is_file() and p.suffix in {".yaml", ".sbatch", ".sh"})
)
def test_settings_that_are_variables_exist(path):
    """Every LENSSCAN_ variable is a setting of the program, or one of the deployment's own."""
    own = {
        "TILES",
        "NIGHTS",
        "CATALOGUE",
        "COLLECTION",
        "CHECKOUT",
        "UID",
        "GID",
        "BUCKET",
        "RAY_CPUS",
        "SLURM_DIR",
        "SLURM_WAIT_S",
    }
    names = {*own, *(name.upper() for name in Settings.model_fields)}
    assert {*re.findall(r"LENSSCAN_([A-Z_]+)", path.read_text(encoding="utf-8"))} <= names
