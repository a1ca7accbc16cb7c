import pytest
import ray

from infra.ray.nodes import free_resources, node_resources


@pytest.mark.ray
def test_a_cluster_says_what_is_free_on_its_nodes(ray_cluster):
    (node,), (free,) = node_resources(), free_resources()
    assert node["CPU"] == ray.cluster_resources()["CPU"]
    assert 0 <= free.get("CPU", 0) <= node["CPU"]
    assert 0 < free["memory"] <= node["memory"]
