"""The first worker is the spare fork, with its variables and its death; the next ones are programs of their own."""

import json
import subprocess
import sys

import pytest

from tests.sources import ROOT

CODE = """
import json, signal
from contextlib import closing
from pathlib import Path
from infra.local_pool import LocalPool
from tests.infra.pool_calls import all_ended, call, values
from tests.spare_workers import fork_spare_worker

fork_spare_worker()
with closing(LocalPool("tests.infra.pool_worker:Worker", (), 1, 1, {"LENSSCAN_TEST": "given"})) as pool:
    found = []
    for _ in range(2):
        (pid,) = values(pool, [call("pid")])
        is_program = Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"infra.local_worker\\0")
        (died,) = all_ended(pool, [call("end_by", signal.SIGKILL)])
        found.append([is_program, *values(pool, [call("variable", "LENSSCAN_TEST")]), str(died.error)])
    print(json.dumps(found))
"""


@pytest.mark.server
def test_the_first_worker_is_a_fork():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    died = "its worker died: SIGKILL"
    assert json.loads(done.stdout) == [[False, "given", died], [True, "given", died]]
