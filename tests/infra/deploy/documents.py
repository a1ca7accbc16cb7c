"""Read the deployment files, and change one place in a copy, as a typing error would."""

import copy
import importlib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "infra" / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = DEPLOY / "compose.yaml"
RAY_FILES = ("raycluster", "rayjob", "raycronjob")
IMAGES = ("lensscan:0.1.0-cpu", "lensscan:0.1.0-cuda")
"""Images that the Dockerfile says how to build."""


def documents(path):
    """Return the documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def document(name):
    """Return the one document of a file in the folder of Kubernetes."""
    (found,) = documents(KUBERNETES / f"{name}.yaml")
    return found


def changed(tree, path, value):
    """Return a copy of a document with `value` at a path of keys and positions; None removes what is there."""
    made = copy.deepcopy(tree)
    *outer, last = path
    node = made
    for key in outer:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return made


def nodes(tree):
    """Yield every mapping inside a document."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(inner)


def pod_specs(tree):
    """Yield the specification of every pod that a document makes."""
    return (node for node in nodes(tree) if isinstance(node.get("containers"), list))


def ray_cluster(tree):
    """Return the specification of the cluster in a RayCluster, RayJob or RayCronJob."""
    spec = tree["spec"]
    return {"RayCluster": spec, "RayJob": spec.get("rayClusterSpec")}.get(tree["kind"]) or spec["jobTemplate"]["rayClusterSpec"]


def ray_job(tree):
    """Return the specification of the job in a RayJob or RayCronJob."""
    return tree["spec"]["jobTemplate"] if tree["kind"] == "RayCronJob" else tree["spec"]


def flow_of(deployment):
    """Return the flow of a deployment of Prefect; None if its module has none of that name."""
    path, _, name = deployment["entrypoint"].partition(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name, None)


def deployments():
    """Yield the full name of each deployment of Prefect, those with a schedule first."""
    (tree,) = documents(DEPLOY / "prefect.yaml")
    for deployment in sorted(tree["deployments"], key=lambda one: "schedules" not in one):
        yield f"{flow_of(deployment).name}/{deployment['name']}"
