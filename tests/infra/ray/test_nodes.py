import os
import subprocess
import sys

import pytest
import ray

from infra.ray.nodes import cluster_cpus, free_resources, has_autoscaler, node_resources
from tests.faults.harness.ray_heads import ray_head

TOKEN = "a0" * 32
CODE = """
import sys
from infra.ray.cluster import ray_session
from infra.ray.nodes import cluster_cpus, free_resources, has_autoscaler
for address in sys.argv[1:]:
    with ray_session(address):
        # Its own stdout is that of Ray.
        found = has_autoscaler(), cluster_cpus(), free_resources()[0]["CPU"]
    print(*found)
"""


@pytest.mark.ray
def test_a_cluster_says_what_is_free_on_its_nodes(ray_cluster):
    (node,), (free,) = node_resources(), free_resources()
    assert node["CPU"] == ray.cluster_resources()["CPU"] == cluster_cpus()
    assert 0 <= free.get("CPU", 0) <= node["CPU"]
    assert 0 < free["memory"] <= node["memory"]


@pytest.mark.ray
def test_a_private_ray_has_no_autoscaler(ray_cluster):
    assert not has_autoscaler()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("version", ["0", "1"])
def test_a_ray_client_finds_the_autoscaler_of_a_head(version):
    """KubeRay sets this variable for an autoscaler of the second version."""
    with ray_head(TOKEN, settings={"RAY_enable_autoscaler_v2": version}) as head:
        env = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
        command = [sys.executable, "-c", CODE, head.client, head.gcs]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.splitlines() == [f"{version == '1'} 1 1.0"] * 2


def test_a_cluster_without_cores_counts_as_one(monkeypatch):
    monkeypatch.setattr("infra.ray.nodes.node_resources", lambda: [{}, {"CPU": 0.5}])
    assert cluster_cpus() == 1
