import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.deploy.lock import COMMON, CPU, CUDA, common_and_cuda, lock_lines, write_lock
from tests.infra.deploy.documents import DEPLOY, ROOT

LINE = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)(?:==(?P<version>\S+)| @ https://\S+) --hash=sha256:[0-9a-f]{64}")


def locked(name):
    """Return the version of each package in a lock file, None for one that is given by its address."""
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    assert lines.pop(0).startswith("# Written by `make lock`")
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found)
    return {one["name"]: one["version"] for one in found}


def item(name, version, url, sha256="a" * 64):
    info = {"hashes": {"sha256": sha256}} if sha256 else {}
    return {"metadata": {"name": name, "version": version}, "download_info": {"url": url, "archive_info": info}}


def test_a_report_becomes_sorted_lines_with_digests():
    report = {
        "install": [
            item("Ray", "2.60.0", "https://index/ray.whl"),
            {"metadata": {"name": "lensscan", "version": "1"}, "download_info": {"url": "file:///x", "dir_info": {}}},
            item("cuda_bindings", "13.0", "https://index/c.whl", "b" * 64),
            item("torch", "2.13.0+cpu", "https://download.pytorch.org/whl/cpu/torch.whl"),
        ]
    }
    lines = lock_lines(report)
    assert lines == {
        "cuda-bindings": f"cuda-bindings==13.0 --hash=sha256:{'b' * 64}",
        "ray": f"ray==2.60.0 --hash=sha256:{'a' * 64}",
        "torch": f"torch @ https://download.pytorch.org/whl/cpu/torch.whl --hash=sha256:{'a' * 64}",
    }
    assert common_and_cuda(lines) == ([lines["ray"]], [lines["cuda-bindings"], lines["torch"]])


def test_a_package_without_a_digest_is_refused():
    with pytest.raises(ValueError, match="no SHA-256 of ray"):
        lock_lines({"install": [item("ray", "2.60.0", "https://index/ray.whl", None)]})


def test_locks_hold_every_dependency_in_a_version_that_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [Requirement(line) for line in project["project"]["dependencies"] + project["build-system"]["requires"]]
    versions = locked(COMMON) | {"torch": locked(CUDA)["torch"]}
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(versions[name]), f"make lock: {name} {versions[name]} is locked"


def test_images_differ_in_torch_only():
    common, cuda, cpu = locked(COMMON), locked(CUDA), locked(CPU)
    assert {*cpu} == {"torch"}
    assert f"torch-{cuda['torch']}%2Bcpu-" in (DEPLOY / CPU).read_text(encoding="utf-8")
    assert not {*common} & {*cuda}
    assert not [name for name in common if name.startswith(("nvidia", "torch", "triton"))]


def test_pip_takes_a_lock_and_refuses_a_wrong_digest(tmp_path):
    """The smallest package of the lock is fetched with its digest, and with another one."""
    lines = (DEPLOY / COMMON).read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("typing-extensions==")]
    for name, taken in (("right", line), ("wrong", line[:-64] + "0" * 64)):
        write_lock(tmp_path / name, "this test", [taken])
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", tmp_path]
    right = subprocess.run([*download, "-r", tmp_path / "right"], capture_output=True, text=True, check=False)
    if right.returncode and "hash" not in right.stderr.lower():
        pytest.skip("needs a package index")
    assert right.returncode == 0, right.stderr
    wrong = subprocess.run([*download, "--no-cache-dir", "-r", tmp_path / "wrong"], capture_output=True, text=True, check=False)
    assert wrong.returncode != 0
    assert "DO NOT MATCH THE HASHES" in wrong.stderr
