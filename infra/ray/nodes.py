"""Resources of the nodes of the Ray cluster that runs, as numbers by name: all of them, and those that are free."""

import ray

from infra.private_apis import free_on_ray_nodes
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


def free_resources() -> list[dict[str, float]]:
    """Return what is free on each node; a task asks, because a Ray client cannot.

    Raises:
        ClusterError: Ray is gone.
    """
    with ray_errors():
        return ray.get(ray.remote(num_cpus=0)(free_on_ray_nodes).remote(), timeout=_ANSWER_S)
