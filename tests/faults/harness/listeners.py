"""Find the TCP ports that processes listen on, from /proc, and the answers there to requests without a token."""

import contextlib
import http.client
import socket
import struct
import urllib.error
import urllib.request
from pathlib import Path

import grpc

from tests.faults.harness.patience import scaled

STRANGERS_CALLS = (
    "/ray.rpc.NodeInfoGcsService/CheckAlive",
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.ActorInfoGcsService/GetAllActorInfo",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "/ray.rpc.ReporterService/GetTraceback",
    "/ray.rpc.LogService/ListLogs",
    "/ray.rpc.RayletDriver/ClusterInfo",
)
STRANGERS_PATHS = ("/", "/nodes", "/api/version", "/api/jobs/", "/api/job_agent/jobs/", "/get_or_create_runtime_env")
LOOPBACK = ("127.", "::1", "::ffff:127.")


def listeners(pid):
    """Return `(address, port)` of every listening socket of a process and its descendants."""
    inodes = {inode for process in _family(pid) for inode in _socket_inodes(process)}
    return sorted({place for inode, place in _listening().items() if inode in inodes})


def grpc_answers(port):
    """Return the status code of each method when called without a token."""
    codes = {}
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        for method in STRANGERS_CALLS:
            try:
                channel.unary_unary(method)(b"", timeout=scaled(10))
                codes[method] = "OK"
            except grpc.RpcError as error:
                codes[method] = error.code().name
                if codes[method] == "UNAVAILABLE":
                    break  # not a gRPC server
    return codes


def http_answers(host, port):
    """Return `(status, beginning of the body)` of each path when requested without a token."""
    answers = {}
    for path in STRANGERS_PATHS:
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=scaled(5)) as answer:
                answers[path] = answer.status, answer.read(200)
        except urllib.error.HTTPError as error:
            with error:
                answers[path] = error.code, error.read(200)
        except (OSError, http.client.HTTPException):
            break  # not a web server
    return answers


def _family(pid):
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _socket_inodes(pid):
    links = []
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(str(descriptor.readlink()))
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def _listening():
    places = {}
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A":
                address, port = local.split(":")
                words = [int(address[i : i + 8], 16) for i in range(0, len(address), 8)]
                packed = struct.pack(f"={len(words)}I", *words)
                places[rest[5]] = socket.inet_ntop(family, packed), int(port, 16)
    return places
