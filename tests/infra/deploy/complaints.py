"""Faults that validators of other projects, and rules of this one, find in a deployment file; a good one has none."""

import functools
import gzip
import importlib.resources
import json
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import ValidationError

from tests.infra.deploy.documents import pod_specs
from tests.shared import SHARED

BIN = Path(sys.executable).parent
HARDENED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def program(name):
    """Return the path of a program of the tests' environment; None where its package has none for the platform."""
    return shutil.which(name, path=str(BIN)) or shutil.which(name)


@functools.cache
def kuberay_schema(kind):
    return json.loads(gzip.decompress((SHARED / "kuberay" / f"{kind.lower()}s.v1.json.gz").read_bytes()))


def of_kuberay(tree):
    """Check a RayCluster, RayJob or RayCronJob against the operator's own schema, without unknown fields."""
    errors = Draft202012Validator(kuberay_schema(tree["kind"])).iter_errors(tree)
    return [f"{error.json_path}: {error.message}" for error in errors]


def of_kubernetes(tree):
    """Check an object of Kubernetes itself against its schema, without unknown fields."""
    try:
        kubernetes_validate.validate(tree, kubernetes_validate.latest_version(), strict=True)
    except ValidationError as error:
        return [str(error.message)]
    return []


def of_pods(tree):
    """Check what the label `restricted` of the namespace demands of pods, versions of images, and limits of resources."""
    return [wrong for spec in pod_specs(tree) for wrong in _of_pod(spec)]


def _of_pod(spec):
    pod = spec.get("securityContext", {})
    if not pod.get("runAsNonRoot") or not pod.get("runAsUser"):
        yield "the pod may run as root"
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no profile of system calls"
    for container in spec["containers"]:
        name = container["name"]
        yield from (f"{name}: {wrong}" for wrong in of_image(container.get("image", "")))
        if not HARDENED.items() <= container.get("securityContext", {}).items():
            yield f"{name} may gain privileges"
        for kind in ("requests", "limits"):
            if not {"cpu", "memory"} <= container.get("resources", {}).get(kind, {}).keys():
                yield f"{name} has no {kind} for CPU and memory"
        mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
        if missing := mounted - {volume["name"] for volume in spec.get("volumes", ())}:
            yield f"{name} mounts {missing}, which the pod does not have"


def of_image(image):
    """Check that an image names a version that does not move."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return [] if tag not in {"", "latest"} else [f"image {image!r} has no version"]


@functools.cache
def compose_schema():
    folder = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    return json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))


def of_compose(tree):
    """Check a Compose file against its schema, and that ports, users, images and secrets are closed."""
    errors = Draft202012Validator(compose_schema()).iter_errors(tree)
    found = [f"{error.json_path}: {error.message}" for error in errors]
    for name, service in tree["services"].items():
        found += [
            f"{name}: port {port} is open to the network" for port in service.get("ports", ()) if not _is_on_loopback(port)
        ]
        found += [f"{name}: {wrong}" for wrong in of_image(service.get("image", ""))]
        if service.get("privileged") or "no-new-privileges:true" not in service.get("security_opt", ()):
            found.append(f"{name} may gain privileges")
        found += [f"{name}: no secret {secret}" for secret in service.get("secrets", ()) if secret not in tree["secrets"]]
    return found


def _is_on_loopback(port):
    return str(port).startswith("127.0.0.1:")


def of_dockerfile(text):
    """Check a Dockerfile with hadolint, and that every target ends as a user other than root with locked packages."""
    done = subprocess.run(
        [program("hadolint"), "--format", "json", "-"], input=text, capture_output=True, text=True, check=False
    )
    found = [f"{wrong['code']}: {wrong['message']}" for wrong in json.loads(done.stdout or "[]")]
    for stage in text.split("\nFROM ")[1:]:
        name, users = (
            stage.splitlines()[0].rpartition(" ")[2],
            [line.split()[1] for line in stage.splitlines() if line.startswith("USER")],
        )
        if name in {"cpu", "cuda"} and (not users or users[-1].partition(":")[0] in {"0", "root"}):
            found.append(f"{name} runs as root")
    installs = [line for line in text.splitlines() if " pip install " in line and "--editable" not in line]
    unlocked = [line for line in installs if not {"--require-hashes", "--no-deps"} <= {*line.split()}]
    return found + [f"packages without digests: {line}" for line in unlocked]


def of_shell(text):
    """Check a shell script with shellcheck."""
    done = subprocess.run(
        [program("shellcheck"), "--format", "json", "-"], input=text, capture_output=True, text=True, check=False
    )
    return [f"SC{wrong['code']}: {wrong['message']}" for wrong in json.loads(done.stdout)]


def rendered(folder):
    """Return the objects of a kustomization, as `kubectl apply --kustomize` would send them."""
    done = subprocess.run([program("kubectl"), "kustomize", folder], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))
