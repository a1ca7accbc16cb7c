"""Programs of Slurm for a machine without it: each node is an address of loopback, each step a process of this machine.

Node 1 would be 127.0.0.1, which Ray replaces by the machine's address in its network.
"""

import os
import sys
from pathlib import Path

PROGRAMS = {
    "srun": """
while [[ $1 == --* ]]; do
  if [[ $1 == --nodelist ]]; then node=$2; shift; fi
  shift
done
if [[ $node == lost* ]]; then echo "srun: error: $node does not answer" >&2; exit 1; fi
export FAKE_NODE=$node
exec "$@"
""",
    "scontrol": """
tr , '\\n' <<<"$3"
""",
    "hostname": """
echo "127.0.0.${FAKE_NODE#node} "
""",
}


def allocation(folder, nodes, job_id):
    """Write the programs, and return the environment of a batch script on an allocation of these nodes with one core each."""
    folder.mkdir()
    for name, script in PROGRAMS.items():
        path = folder / name
        path.write_text(f"#!/usr/bin/env bash{script}")
        path.chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_", "LENSSCAN_"))}
    return env | {
        "PATH": os.pathsep.join([str(folder), str(Path(sys.executable).parent), env["PATH"]]),
        "SLURM_JOB_ID": str(job_id),
        "SLURM_JOB_NODELIST": ",".join(nodes),
        "SLURM_CPUS_ON_NODE": "1",
        "LENSSCAN_SLURM_DIR": str(folder / "state"),
    }
