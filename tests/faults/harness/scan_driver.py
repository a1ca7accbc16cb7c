"""Scan a night with faulty workers: `python -m tests.faults.harness.scan_driver SOURCE ROOT PACKAGE`.

The driver is a separate process, so that it can be killed, and so that Ray starts with the environment of the faults.
"""

import argparse
import contextlib
import sys
import threading
import time
from pathlib import Path

import ray
from ray._private.state import available_resources_per_node
from ray.cluster_utils import Cluster

from infra.errors import LensscanError
from scanner.scan.request import ScanRequest
from scanner.workers import actors, dispatch
from scanner.workers.run import scan_night
from tests.faults.harness.scanned_night import NIGHT, THRESHOLD, n_committed
from tests.faults.harness.worker_faults import FaultyScanner


def start_two_nodes(root, n_before):
    """Start a head without CPUs, and two nodes; remove a node with a worker once `n_before` units are committed."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)

    def kill_one():
        while n_committed(root) < n_before:
            time.sleep(0.01)
        left = {node_id: found.get("CPU", 0.0) for node_id, found in available_resources_per_node().items()}
        cluster.remove_node(min(nodes, key=lambda node: left.get(node.node_id, 0.0)), allow_graceful=False)

    threading.Thread(target=kill_one, daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("root")
    parser.add_argument("package", type=Path)
    parser.add_argument("--start-s", type=float, default=dispatch.START_S)
    parser.add_argument("--row-s", type=float, default=dispatch.ROW_S)
    parser.add_argument("--kill-node-after", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    actors.UnitScanner = FaultyScanner
    dispatch.START_S, dispatch.ROW_S = options.start_s, options.row_s
    if options.kill_node_after is None:
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    else:
        start_two_nodes(options.root, options.kill_node_after)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            request = ScanRequest(
                input_uri=options.source,
                night=NIGHT,
                package=options.package,
                candidate_threshold=THRESHOLD,
                exact=options.exact,
            )
            summary = scan_night(request, options.root, workers=options.workers, ray_address="local")
    except LensscanError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2
    # Ray prints the failures of its workers to stdout, too.
    sys.__stdout__.write("\n" + summary.model_dump_json() + "\n")
    sys.__stdout__.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
