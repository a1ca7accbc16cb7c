"""Write the files that the Dockerfile installs packages from, each package with its version and its digest.

    python -m infra.deploy.lock

pip resolves the dependencies of this checkout from its index, without installing them. One file holds what all images install,
one torch for NVIDIA GPUs with NVIDIA's libraries, and one torch for processors, which the index lacks. Locks hold for the
interpreter and the platform that they are made on: run this in the Python version of the Dockerfile, on Linux.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
CHECKOUT = FOLDER.parents[1]
COMMON, CUDA, CPU = "requirements.lock", "torch-cuda.lock", "torch-cpu.lock"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
"""The index of torch without CUDA: https://pytorch.org/get-started/locally."""
_HEAD = "# Written by `make lock`: versions and digests of packages for {}.\n"
_OF_CUDA = re.compile(r"torch$|triton$|nvidia-|cuda-")


def lock_lines(report: dict[str, Any]) -> dict[str, str]:
    """Return the line of each package in a report of `pip install --report`, by the package's normalised name.

    A package that pip would take from this checkout has no line. A file from another index is given by its address, so that no
    second index has to be searched.

    Raises:
        ValueError: the report has no digest of a package.
    """
    lines = {}
    for item in report["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        download = item["download_info"]
        if "dir_info" in download:
            continue
        digest = download.get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None:
            raise ValueError(f"pip reports no SHA-256 of {name}")
        wanted = f"{name}=={item['metadata']['version']}"
        if download["url"].startswith(CPU_WHEELS.removesuffix("/whl/cpu")):
            wanted = f"{name} @ {download['url']}"
        lines[name] = f"{wanted} --hash=sha256:{digest}"
    return dict(sorted(lines.items()))


def common_and_cuda(lines: dict[str, str]) -> tuple[list[str], list[str]]:
    """Split lines into those of all images, and torch with what only its CUDA build needs."""
    cuda = [line for name, line in lines.items() if _OF_CUDA.match(name)]
    return [line for line in lines.values() if line not in cuda], cuda


def write_lock(path: Path, purpose: str, lines: Iterable[str]) -> None:
    """Write a file of requirements that `pip install --require-hashes` reads."""
    path.write_text(_HEAD.format(purpose) + "".join(f"{line}\n" for line in lines), encoding="utf-8")


def resolve(wanted: Sequence[str]) -> dict[str, Any]:
    """Return pip's report of what it would install.

    Raises:
        CalledProcessError: pip cannot resolve it; its message is on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *wanted], check=True)  # noqa: S603 - pip itself
        return json.loads(report.read_bytes())


def main() -> None:
    """Resolve and write all three files; torch keeps the version that is installed here, which the tests have run with."""
    torch = f"torch=={version('torch').partition('+')[0]}"
    common, cuda = common_and_cuda(lock_lines(resolve([torch, str(CHECKOUT)])))
    write_lock(FOLDER / COMMON, "all images", common)
    write_lock(FOLDER / CUDA, "the image with CUDA", cuda)
    cpu = lock_lines(resolve(["--no-deps", "--index-url", CPU_WHEELS, torch]))
    write_lock(FOLDER / CPU, "the image without CUDA", cpu.values())


if __name__ == "__main__":
    main()
