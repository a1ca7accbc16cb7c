"""Load all that drivers and workers of a scan load until their first unit is done, for the server that forks them."""

import importlib
import sys
from pathlib import Path

from tests.faults.harness.night import warm_up

for name in ("scanner.workers.unit_scanner", "scanner.networks.torch_engine", "scanner.explain.candidate_maps"):
    importlib.import_module(name)
for name in ("infra.local_worker", "infra.store.s3_client", "tests.faults.harness.worker_faults"):
    importlib.import_module(name)
if len(list(Path("/proc/self/task").iterdir())) > 1:
    sys.exit("a library starts threads when it is imported, and a process with threads cannot be forked")
# Arrow has threads from then on, and starts them again in each fork.
warm_up()
