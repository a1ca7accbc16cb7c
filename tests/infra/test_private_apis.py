"""The private names that lensscan uses exist in the installed packages and do what lensscan uses them for."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import ray
import ray.core.generated.gcs_service_pb2
import ray.util
from ray._private import ray_constants
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from infra import private_apis
from infra.private_apis import PrivateApiError
from tests.sources import ROOT, imported_modules, source_files


def run(code):
    """Return what a program prints that knows nothing of the Ray of these tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_gone(package, name):
    """Return the pattern of the error about a name that is gone from the installed version."""
    installed = platform.python_version() if package == "Python" else importlib.metadata.version(package)
    return rf"^{package} {installed} has changed a private name that lensscan needs: .*{name}.*; install another version"


def test_arrow_imports_pandas_for_a_data_frame_only():
    printed = run(
        "import io, sys; from infra.private_apis import arrow_without_pandas\n"
        "arrow_without_pandas()\n"
        "import numpy as np, pyarrow as pa, pyarrow.parquet as pq\n"
        "file = io.BytesIO(); pq.write_table(pa.table({'p_lens': pa.array(np.arange(3.0)), 'note': ['a', 'b', 'c']}), file)\n"
        "print(pq.read_table(pa.BufferReader(file.getvalue())).to_pylist()[2], 'pandas' in sys.modules)\n"
        "print(pa.table({'a': [1]}).to_pandas().shape, 'pandas' in sys.modules)"
    )
    assert printed == "{'p_lens': 2.0, 'note': 'c'} False\n(1, 1) True\n"


def test_arrow_keeps_a_pandas_that_it_uses():
    printed = run(
        "import pyarrow as pa; pa.array([1]); from infra.private_apis import arrow_without_pandas\n"
        "arrow_without_pandas(); print(pa.table({'a': [1]}).to_pandas().shape)"
    )
    assert printed == "(1, 1)\n"


def test_an_arrow_that_hides_pandas_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr("pyarrow.lib._pandas_api", SimpleNamespace(have_pandas=True))
    with pytest.raises(PrivateApiError, match=is_gone("pyarrow", "_pandas_api")):
        private_apis.arrow_without_pandas()


def test_a_private_ray_would_start_on_loopback():
    before = ray_constants.ENABLE_RAY_CLUSTER
    with private_apis.ray_on_loopback():
        assert ray.util.get_node_ip_address() == "127.0.0.1"
    assert before == ray_constants.ENABLE_RAY_CLUSTER


def test_a_private_ray_that_would_leave_loopback_is_refused(monkeypatch):
    before = ray_constants.ENABLE_RAY_CLUSTER
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    with pytest.raises(PrivateApiError, match=is_gone("ray", "listen on 10.0.0.1")), private_apis.ray_on_loopback():
        pytest.fail("Ray was started")
    assert before == ray_constants.ENABLE_RAY_CLUSTER


def test_ray_requires_a_token_after_its_import():
    modes = run(
        "import ray._raylet as raylet; from infra.private_apis import require_ray_token\n"
        "print(raylet.get_authentication_mode() == raylet.AuthenticationMode.TOKEN)\n"
        "require_ray_token()\n"
        "print(raylet.get_authentication_mode() == raylet.AuthenticationMode.TOKEN)\n"
    )
    assert modes.split() == ["False", "True"]


def test_a_ray_that_would_require_no_token_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    monkeypatch.setattr("ray._raylet.Config", SimpleNamespace(initialize=lambda _: None))
    monkeypatch.setattr("ray._raylet.get_authentication_mode", lambda: None)
    with pytest.raises(PrivateApiError, match=is_gone("ray", "would not require a token")):
        private_apis.require_ray_token()


def test_ray_knows_the_address_of_a_running_cluster(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.7:6379")
    assert private_apis.running_ray_address() == "192.0.2.7:6379"


def test_requests_to_ray_have_their_paths():
    assert private_apis.ray_head_request() == "/ray.rpc.NodeInfoGcsService/CheckAlive"
    assert private_apis.ray_client_request() == "/ray.rpc.RayletDriver/ClusterInfo"


def test_openvino_is_imported_with_its_telemetry_blocked():
    assert private_apis.openvino_without_telemetry().Core().available_devices
    assert sys.modules["openvino_telemetry"] is None


def test_an_openvino_with_other_telemetry_is_refused(monkeypatch):
    monkeypatch.setattr(private_apis, "requires", lambda _: ["numpy>=1.16.6"])
    with pytest.raises(PrivateApiError, match=is_gone("openvino", "does not require openvino-telemetry")):
        private_apis.openvino_without_telemetry()


def test_exit_handlers_run_once_when_called():
    code = "import atexit; from infra.private_apis import run_exit_handlers\natexit.register(print, 'bye')\nrun_exit_handlers()"
    assert run(code) == "bye\n"


@pytest.mark.parametrize("dashboard", [None, "127.0.0.1:8265"])
def test_a_training_has_a_cleaner_only_beside_a_dashboard(dashboard, monkeypatch):
    monkeypatch.setattr("ray._private.worker.get_dashboard_url", lambda: dashboard)
    cleaner, other = PlacementGroupCleanerCallback(), object()
    trainer = SimpleNamespace(_create_default_callbacks=lambda: [cleaner, other])
    private_apis.end_ray_train_at_once(trainer)
    assert trainer._create_default_callbacks() == ([cleaner, other] if dashboard else [other])


def test_a_training_through_a_client_keeps_its_cleaner(monkeypatch):
    """Ray's client, `ray://`, has no worker in this process that knows the address of a dashboard."""
    monkeypatch.setattr("ray.util.client.ray.is_connected", lambda: True)
    trainer = SimpleNamespace(_create_default_callbacks=list)
    private_apis.end_ray_train_at_once(trainer)
    assert trainer._create_default_callbacks is list


def test_a_training_without_the_expected_cleaner_is_reported(monkeypatch):
    monkeypatch.setattr("ray._private.worker.get_dashboard_url", lambda: None)
    trainer = SimpleNamespace(_create_default_callbacks=list)
    private_apis.end_ray_train_at_once(trainer)
    with pytest.raises(PrivateApiError, match=is_gone("ray", "makes no PlacementGroupCleanerCallback")):
        trainer._create_default_callbacks()
    with pytest.raises(PrivateApiError, match=is_gone("ray", "no method _create_default_callbacks")):
        private_apis.end_ray_train_at_once(object())


@pytest.mark.parametrize(
    ("package", "module", "name", "use"),
    [
        ("ray", "ray._private.ray_constants", "ENABLE_RAY_CLUSTER", private_apis.ray_on_loopback().__enter__),
        ("ray", "ray._raylet", "Config", private_apis.require_ray_token),
        ("ray", "ray._private.services", "canonicalize_bootstrap_address", private_apis.running_ray_address),
        ("ray", "ray._private.state", "available_resources_per_node", private_apis.free_on_ray_nodes),
        ("ray", "ray._raylet", "GCS_AUTOSCALER_V2_ENABLED_KEY", private_apis.ray_has_autoscaler),
        ("ray", "ray.experimental.internal_kv", "_internal_kv_get", private_apis.ray_has_autoscaler),
        ("ray", "ray.core.generated.gcs_service_pb2", "DESCRIPTOR", private_apis.ray_head_request),
        ("ray", "ray.core.generated.ray_client_pb2", "DESCRIPTOR", private_apis.ray_client_request),
        ("Python", "atexit", "_run_exitfuncs", private_apis.run_exit_handlers),
    ],
)
def test_a_name_that_is_gone_is_reported(package, module, name, use, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    monkeypatch.delattr(f"{module}.{name}")
    with pytest.raises(PrivateApiError, match=is_gone(package, name)):
        use()


def test_a_request_or_a_method_that_is_gone_is_reported(monkeypatch):
    services = SimpleNamespace(services_by_name={"NodeInfoGcsService": SimpleNamespace(methods_by_name={})})
    monkeypatch.setattr(ray.core.generated.gcs_service_pb2, "DESCRIPTOR", services)
    with pytest.raises(PrivateApiError, match=is_gone("ray", "no request NodeInfoGcsService.CheckAlive")):
        private_apis.ray_head_request()
    with pytest.raises(PrivateApiError, match=is_gone("ray", "__ray_ready__")):
        private_apis.ray_ready(object())


def test_importing_the_private_names_imports_no_package():
    assert run("import sys, infra.private_apis\nprint(*{'ray', 'openvino', 'numpy'} & set(sys.modules))") == "\n"


def test_only_one_file_uses_private_names():
    """Attributes of objects are checked by the linter (SLF001); this finds modules and names in strings."""
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in source_files()}
    modules = {module for source in sources.values() for module in imported_modules(source)} - {"__future__"}
    assert [module for module in modules if "._" in f".{module}"] == []
    named = re.compile(r"\bray\._|__ray_ready__|core\.generated|_exitfuncs|openvino_telemetry|_pandas_api")
    assert [name for name, source in sources.items() if named.search(source)] == ["infra/private_apis.py"]
