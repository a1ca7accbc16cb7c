"""Every private name of another package that lensscan uses, with the reason, and what fails without it.

A package may remove or change such a name in any version. Each function here raises `PrivateApiError` when that has happened:
a protection that does nothing would stay unnoticed. Packages are imported inside the functions, because importing Ray takes
half a second.
"""

import contextlib
import ipaddress
import os
import pkgutil
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import requires, version
from typing import Any

from infra.errors import LensscanError


class PrivateApiError(LensscanError):
    """A package lacks a private name, or the name has no effect; the message names the package, its version and the name."""


@contextlib.contextmanager
def ray_on_loopback() -> Iterator[None]:
    """Make a private Ray that starts in the `with` block listen on loopback only.

    Ray reads RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER into this constant on import, and has no setting for it afterwards. Without it,
    all machines of the network can reach the ports of a private Ray.

    Raises:
        PrivateApiError: Ray lacks the constant, or does not use it.
    """
    name = "ray._private.ray_constants:ENABLE_RAY_CLUSTER"
    before = _found("ray", name)
    constants = _found("ray", "ray._private.ray_constants")
    constants.ENABLE_RAY_CLUSTER = False
    try:
        address = _found("ray", "ray.util:get_node_ip_address")()
        if not ipaddress.ip_address(address).is_loopback:
            raise _error("ray", f"{name} has no effect: a private Ray would listen on {address}")
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def require_ray_token() -> None:
    """Make this process and its children send their token to Ray and require it.

    Ray has read RAY_AUTH_MODE on import; `Config.initialize` makes it read the variable again. Without it, a private Ray
    answers requests that carry no token.

    Raises:
        PrivateApiError: Ray lacks the function, or the function has no effect.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    _found("ray", "ray._raylet:Config.initialize")("")
    if _found("ray", "ray._raylet:get_authentication_mode")() != _found("ray", "ray._raylet:AuthenticationMode.TOKEN"):
        raise _error("ray", "ray._raylet:Config.initialize has no effect: Ray would not require a token")


def running_ray_address() -> str | None:
    """Return the `HOST:PORT` of the Ray that was started last on this machine; None if Ray knows none.

    `ray.init("auto")` finds it too, but connects at once. Without this name, lensscan cannot check who has access to a cluster
    before it connects to `auto`.

    Raises:
        PrivateApiError: Ray lacks the function.
        ConnectionError: no Ray runs on this machine.
    """
    return _found("ray", "ray._private.services:canonicalize_bootstrap_address")("auto")


def ray_ready(actor: Any) -> Any:
    """Return a reference that becomes ready as soon as a Ray actor runs, or has failed to start.

    Without `__ray_ready__`, the actor pool cannot know which actors may get calls.

    Raises:
        PrivateApiError: Ray's actors lack the method.
    """
    if not hasattr(actor, "__ray_ready__"):
        raise _error("ray", "an actor has no method __ray_ready__")
    return actor.__ray_ready__.remote()


def free_on_ray_nodes() -> list[dict[str, float]]:
    """Return the resources that are free on each node of the Ray cluster that this task or driver, no Ray client, runs on.

    Ray's public functions tell the sum over all nodes only: one GPU may be half free on each of two nodes.

    Raises:
        PrivateApiError: Ray lacks the function.
    """
    return list(_found("ray", "ray._private.state:available_resources_per_node")().values())


def ray_has_autoscaler() -> bool:
    """Return whether the head of the Ray cluster was started for an autoscaler of the second version.

    Without it, lensscan cannot tell a cluster that can start a node with a GPU from one that never has any.

    Raises:
        PrivateApiError: Ray lacks the keys or the function that reads them.
    """
    names = ("GCS_AUTOSCALER_V2_ENABLED_KEY", "GCS_AUTOSCALER_STATE_NAMESPACE")
    key, namespace = (_found("ray", f"ray._raylet:{name}") for name in names)
    return bool(_found("ray", "ray.experimental.internal_kv:_internal_kv_get")(key, namespace=namespace) == b"1")


def ray_is_client() -> bool:
    """Return whether this process uses its cluster through a Ray client (`ray://`).

    Without it, a client would report metrics that no node of the cluster shows.

    Raises:
        PrivateApiError: Ray lacks the client's state.
    """
    return bool(_found("ray", "ray.util.client:ray").is_connected())


def end_ray_train_at_once(trainer: Any) -> None:
    """Let the run of a Ray Train trainer end when its workers do, on a Ray that has no dashboard.

    A detached actor of each run asks the dashboard whether the run's controller is alive, so that it can free the run's
    resources, and the end of the run waits for the last answer. Without a dashboard that takes 12 s, and nothing is ever freed.
    A run on a Ray with a dashboard keeps the actor, and so does one through a Ray client, which cannot tell.

    Raises:
        PrivateApiError: Ray lacks the names; the run itself raises it if it would not start the actor.
    """
    if ray_is_client() or _found("ray", "ray._private.worker:get_dashboard_url")():
        return
    cleaner = _found("ray", "ray.train.v2._internal.callbacks.placement_group_callback:PlacementGroupCleanerCallback")
    name = "_create_default_callbacks"
    make = getattr(trainer, name, None)
    if make is None:
        raise _error("ray", f"a trainer has no method {name}")

    def make_others() -> list[Any]:
        callbacks = make()
        others = [callback for callback in callbacks if not isinstance(callback, cleaner)]
        if len(others) == len(callbacks):
            raise _error("ray", f"{name} of a trainer makes no {cleaner.__name__}")
        return others

    setattr(trainer, name, make_others)


def ray_head_request() -> str:
    """Return the path of the gRPC request that asks the head of a Ray cluster whether it is alive.

    The request is harmless, and is refused if the cluster requires a token. Without it, an open cluster is not noticed.

    Raises:
        PrivateApiError: Ray lacks the request.
    """
    return _grpc_path("ray.core.generated.gcs_service_pb2", "NodeInfoGcsService", "CheckAlive")


def ray_client_request() -> str:
    """Return the path of the gRPC request that asks a Ray client server (`ray://`) about its cluster.

    The request is harmless, and is refused if the cluster requires a token. Without it, an open cluster is not noticed.

    Raises:
        PrivateApiError: Ray lacks the request.
    """
    return _grpc_path("ray.core.generated.ray_client_pb2", "RayletDriver", "ClusterInfo")


def openvino_without_telemetry() -> Any:
    """Import OpenVINO without its telemetry, which would be sent on import, from every worker.

    With the module that sends it blocked, OpenVINO falls back to a stub of its own. Its documented switch, a file in the home
    folder, would also apply to the user's other programs.

    Raises:
        ImportError: OpenVINO is not installed, or not for this machine.
        PrivateApiError: OpenVINO does not require the package that is blocked, so it may send telemetry in another way.
    """
    if not any(requirement.startswith("openvino-telemetry") for requirement in requires("openvino") or ()):
        raise _error("openvino", "the package does not require openvino-telemetry, the module that lensscan blocks")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def arrow_without_pandas() -> None:
    """Keep Arrow from importing pandas with its first array; it still does so when it is asked for a data frame.

    Without this name, every scan takes half a second longer, for a package that it does not use. Afterwards, Arrow does not
    recognise pandas' missing values in lists, so only processes that run no code of users may call this.

    Raises:
        PrivateApiError: Arrow lacks the object that looks for pandas, or the object finds it all the same.
    """
    if "pandas" in sys.modules:
        return
    arrow = _found("pyarrow", "pyarrow.lib:_pandas_api")
    sys.meta_path.insert(0, _NoPandas)
    try:
        # Arrow looks for pandas twice: with its first array of any kind, and with the first that it makes of a list.
        has_pandas = arrow.have_pandas
        _found("pyarrow", "pyarrow:array")([])
    finally:
        sys.meta_path.remove(_NoPandas)
    if has_pandas:
        raise _error("pyarrow", "pyarrow.lib:_pandas_api finds a pandas that cannot be imported")


class _NoPandas:
    """An importer that finds no pandas."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def run_exit_handlers() -> None:
    """Call the functions that were registered with `atexit`.

    Without this name, the command line cannot skip the rest of Python's teardown, during which Arrow may abort the process.

    Raises:
        PrivateApiError: Python lacks the function.
    """
    _found("Python", "atexit:_run_exitfuncs")()


def _grpc_path(module: str, service: str, method: str) -> str:
    services = _found("ray", f"{module}:DESCRIPTOR").services_by_name
    if service not in services or method not in services[service].methods_by_name:
        raise _error("ray", f"{module} has no request {service}.{method}")
    return f"/{services[service].full_name}/{method}"


def _found(package: str, name: str) -> Any:
    """Return the object with a name of the form `module` or `module:object`.

    Raises:
        PrivateApiError: the package lacks it.
    """
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise _error(package, f"{name} is missing ({error})") from error


def _error(package: str, what: str) -> PrivateApiError:
    installed = platform.python_version() if package == "Python" else version(package)
    return PrivateApiError(
        f"{package} {installed} has changed a private name that lensscan needs: {what}; install another version of {package}"
    )
