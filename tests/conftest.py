"""Fixtures that several packages' tests share."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.forks import forked_commands
from tests.prefect_servers import PrefectServer
from tests.servers import free_port, http_status, plain_s3, stop, wait_for

pytest_plugins = ["tests.browser", "tests.faults.harness.reporting", "tests.forked_workers", "tests.no_ray", "tests.shared"]
BUCKET = "lensscan-tests"
# While tests are imported and collected, nothing is garbage: to look for it would take more than half of the time.
gc.disable()

# No deadline: the time of an example depends on how busy the machine is.
settings.register_profile("lensscan", deadline=None)
settings.load_profile("lensscan")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop():
    """Look for garbage again, but never among the modules and tests, which stay until the end."""
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Put files whose tests start processes first: most long ones then run beside other files, not by themselves at the end."""
    for item in items:
        if "lensscan" in item.fixturenames:
            item.add_marker(pytest.mark.server)
    starting = {item.path for item in items if item.get_closest_marker("ray") or item.get_closest_marker("server")}
    items.sort(key=lambda item: item.path not in starting)


@pytest.fixture(scope="session", autouse=True)
def no_ensembles_of_the_user(tmp_path_factory):
    """Hide the ensembles that the user has imported or trained: they would change the lists and messages that tests compare."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LENSSCAN_ENSEMBLES_DIR", raising=False)
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(20261124)


@pytest.fixture
def interruptible():
    """Let commands be interrupted even if this process, as a background command of a shell, ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def torch_threads():
    """Restore torch's thread count after the test: a worker sets it for its whole process, here the process of the tests."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def s3_variables():
    """Start a real S3 server on loopback in its own process, make a bucket, and yield the environment of its clients."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("s3_server.py")), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "canary-id",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(stop, process)
        wait_for("the S3 server", lambda: http_status(url) is not None)
        with clients_of(variables):
            plain_s3().create_bucket(Bucket=BUCKET)
        yield variables


@contextlib.contextmanager
def clients_of(variables):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def s3_server(s3_variables):
    """Direct all S3 clients of a test file to the S3 server, and yield its bucket."""
    with clients_of(s3_variables):
        yield BUCKET


@pytest.fixture
def s3(s3_server):
    """The URI of an empty prefix on the S3 server."""
    return f"s3://{s3_server}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory):
    """Return the folder that all test processes of a run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def prefect_tables(common_folder):
    """Return the place of a database with Prefect's tables, which the first Prefect server of all test processes leaves."""
    return common_folder / "prefect-tables.db"


@pytest.fixture(scope="session")
def lensscan(prefect_tables, tmp_path_factory):
    """Yield a function that runs `lensscan` with arguments, in a process that has imported the libraries already.

    The Prefect server of `--flow`, and of a module of the tests, runs for the time of such a command alone: few commands need
    it, and it is never idle.
    """
    server = PrefectServer(tmp_path_factory.mktemp("prefect") / "server", tables=prefect_tables)
    env = {name: value for name, value in server.env.items() if name.startswith("PREFECT_")}
    with forked_commands(env) as run:

        def run_with_server(*args, **options):
            if "--flow" not in args and "module" not in options:
                return run(*args, **options)
            try:
                server.start()
                return run(*args, **options)
            finally:
                server.end(signal.SIGKILL)

        yield run_with_server


@pytest.fixture(scope="module")
def ray_cluster():
    """Run a private Ray cluster with two CPUs for a test file: a start costs as much as to keep it for two minutes."""
    from infra.ray.cluster import ray_session

    with ray_session(num_cpus=2):
        yield
