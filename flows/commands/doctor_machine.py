"""Checks of this machine: versions, engine, GPU, ensembles, disk and memory."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from flows.commands.findings import Finding, failed, ok, warned
from infra.errors import LensscanError
from infra.provenance import code_version
from infra.settings import Settings
from infra.store.semantics import existing_place
from infra.store.storage import is_s3
from scanner.networks.card_file import read_card, read_weights
from scanner.networks.engines import available_engines, fast_precision, resolve_engine
from scanner.networks.locate import find_package, list_packages

TESTED_UP_TO = {"torch": "2.13", "openvino": "2026.4", "pyarrow": "26", "ray": "2.60", "prefect": "3.9"}
"""Newest version of each package, by its leading numbers, that the tests ran with."""
TESTED_PYTHON = ("3.11", "3.14")
LEAST_FREE_BYTES = 2**30
"""Smallest free space of a disk: the spool of a night's maps and Ray's logs take hundreds of megabytes."""
LEAST_FREE_FILES = 1000
LEAST_WORKER_BYTES = 10**9
"""Memory of a worker: a whole MER tile takes less than a gigabyte."""
_CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""Features, by the kernel's names, that decide how fast networks run on x86 and on Arm."""


def versions(_settings: Settings, _catalogue: str | None) -> Iterator[Finding]:
    """Compare the versions of Python and of packages with the range that is required and tested."""
    yield ok("lensscan", code_version())
    found, (oldest, newest) = platform.python_version(), TESTED_PYTHON
    if _leading(found, newest) > Version(newest):
        yield warned("Python", f"{found}, newer than tested", f"if anything fails, use Python {oldest} to {newest}")
    else:
        yield ok("Python", found)
    needed = {r.name: r.specifier for r in map(Requirement, requires("lensscan") or ()) if r.marker is None}
    for name, newest in TESTED_UP_TO.items():
        try:
            there = version(name)
        except PackageNotFoundError:
            yield failed(name, "not installed", f"pip install '{name}{needed[name]}'")
            continue
        if not needed[name].contains(there.partition("+")[0], prereleases=True):
            yield failed(name, f"{there}, must be {needed[name]}", f"pip install '{name}{needed[name]}'")
        elif _leading(there, newest) > Version(newest):
            yield warned(name, f"{there}, newer than tested", f"if anything fails, pip install '{name}=={newest}.*'")
        else:
            yield ok(name, there)


def engine(settings: Settings, _catalogue: str | None) -> Iterator[Finding]:
    """Name the engine and precision that a worker on this machine would use."""
    known = set(_cpu_flags())
    features = ", ".join(name for name in _CPU_FEATURES if name in known) or "none of those that speed up networks"
    try:
        name = resolve_engine(settings.engine)
    except LensscanError as error:
        yield failed("engine", str(error), f"set LENSSCAN_ENGINE to auto or {' or '.join(available_engines())}")
        return
    fast = fast_precision(name)
    how = f"{name}, sweeps in {fast} and records in float32" if fast else f"{name}, float32"
    yield ok("engine", f"{how}; CPU features: {features}")


def gpu(_settings: Settings, _catalogue: str | None) -> Iterator[Finding]:
    """Look for a GPU that is there and cannot be used."""
    if "cuda" in available_engines():
        yield ok("GPU", "usable")
    elif shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists():
        yield warned("GPU", "there is one, and torch cannot use it", "install a torch built for CUDA, and the driver it needs")
    else:
        yield ok("GPU", "none; networks run on the CPU")


def ensembles(settings: Settings, _catalogue: str | None) -> Iterator[Finding]:
    """Compare the digests of all weights; only the configured ensemble must be whole."""
    again = "fetch the ensemble again, or train it again"
    try:
        chosen = find_package(settings.ensemble, settings.ensembles_dir)
    except LensscanError as error:
        yield failed("ensemble", str(error), "set LENSSCAN_ENSEMBLE to one that `lensscan models list` shows")
        return
    for package in {*list_packages(settings.ensembles_dir), chosen}:
        try:
            card = read_card(package)
            for network in card.all_networks:
                read_weights(package, network)
        except LensscanError as error:
            report = failed if package == chosen else warned
            yield report("ensemble", str(error), again)
            continue
        if package == chosen:
            yield ok("ensemble", f"{card.name}, its weights have the digests of its card")


def disk(_settings: Settings, catalogue: str | None) -> Iterator[Finding]:
    """Check the disks of temporary files, of Ray and of a local catalogue, each once."""
    places = {"temporary files": tempfile.gettempdir(), "Ray's files": os.environ.get("RAY_TMPDIR") or "/tmp"}  # noqa: S108
    if catalogue is not None and not is_s3(catalogue):
        places["catalogue"] = existing_place(catalogue)
    devices: dict[int, str] = {}
    for what, place in places.items():
        if devices.setdefault(os.stat(place).st_dev, what) != what:  # noqa: PTH116
            continue
        found = os.statvfs(place)
        free = found.f_bavail * found.f_frsize
        # File systems that make inodes on demand report none.
        n_files = found.f_favail if found.f_files else LEAST_FREE_FILES
        told = f"{place}: {free / 1e9:.1f} GB free"
        if free < LEAST_FREE_BYTES:
            yield failed(f"disk of {what}", told, f"free at least {LEAST_FREE_BYTES / 1e9:.1f} GB, or {_elsewhere(what)}")
        elif n_files < LEAST_FREE_FILES:
            yield failed(
                f"disk of {what}", f"{told}, and only {n_files} files can be made", f"remove files, or {_elsewhere(what)}"
            )
        else:
            yield ok(f"disk of {what}", told)


def _elsewhere(what: str) -> str:
    return {
        "temporary files": "set TMPDIR to a folder on another disk",
        "Ray's files": "set RAY_TMPDIR to a folder on another disk",
    }.get(what, "choose another folder for the catalogue")


def memory(settings: Settings, _catalogue: str | None) -> Iterator[Finding]:
    """Divide the available memory by the number of workers."""
    available = _available_bytes()
    if available is None:
        yield warned("memory", "unknown on this system", f"see that each worker has {LEAST_WORKER_BYTES / 1e9:g} GB")
        return
    each = available / settings.workers
    told = f"{available / 1e9:.1f} GB available for {settings.workers} workers, {each / 1e9:.1f} GB each"
    if each < LEAST_WORKER_BYTES:
        fitting = max(1, available // LEAST_WORKER_BYTES)
        yield warned("memory", told, f"a whole MER tile takes up to 1 GB of a worker: set LENSSCAN_WORKERS={fitting}")
    else:
        yield ok("memory", told)


MACHINE_CHECKS: tuple[tuple[str, Callable[[Settings, str | None], Iterator[Finding]]], ...] = (
    ("versions", versions),
    ("engine", engine),
    ("GPU", gpu),
    ("ensemble", ensembles),
    ("disk", disk),
    ("memory", memory),
)
"""Checks that get the settings and the catalogue."""


def _leading(found: str, newest: str) -> Version:
    """Return as many leading numbers of a version as `newest` has."""
    return Version(".".join(map(str, Version(found).release[: newest.count(".") + 1])))


def _cpu_flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return next((line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))), [])


def _available_bytes() -> int | None:
    """Return the memory that new processes can use: the machine's, or less if a container limits it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return available
    return available if limit == "max" else max(0, min(available, int(limit) - used))
