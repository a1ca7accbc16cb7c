"""Resources of the nodes of the Ray cluster that runs, as numbers by name: all of them, and those that are free."""

import ray

from infra.private_apis import free_on_ray_nodes, ray_has_autoscaler
from infra.ray.cluster import ray_errors

_ANSWER_S = 60.0
"""Time within which the cluster must say what is free on its nodes, in seconds."""


def node_resources() -> list[dict[str, float]]:
    """Return the resources of each node.

    Raises:
        ClusterError: Ray is gone.
    """
    with ray_errors():
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def cluster_cpus() -> int:
    """Return the number of CPUs that the cluster has now, at least 1.

    Raises:
        ClusterError: Ray is gone.
    """
    return max(1, int(sum(node.get("CPU", 0) for node in node_resources())))


def has_autoscaler() -> bool:
    """Return whether an autoscaler starts nodes for actors that fit on none; one of Ray's first version is not found.

    Raises:
        ClusterError: Ray is gone.
    """
    with ray_errors():
        return ray_has_autoscaler()


def free_resources() -> list[dict[str, float]]:
    """Return what is free on each node; a task asks, because a Ray client cannot.

    Raises:
        ClusterError: Ray is gone.
    """
    with ray_errors():
        return ray.get(ray.remote(num_cpus=0)(free_on_ray_nodes).remote(), timeout=_ANSWER_S)
