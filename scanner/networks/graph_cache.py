"""Graphs of folded networks in the user's cache folder: a worker that finds them starts without torch, which takes a second.

A graph is named for the network's card, which holds the digest of the weights, and for the versions of the code and of
OpenVINO: a graph that is found is that of this network. A file that is damaged, that another user could have written, or that
cannot be written counts for nothing: the graph is then built from the weights, as it was the first time.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.private_apis import openvino_without_telemetry
from infra.provenance import code_version, digest, sha256_bytes
from infra.store.files import replace_whole
from scanner.networks import openvino_engine
from scanner.networks.network_card import NetworkCard
from scanner.networks.openvino_engine import graph_of, graph_of_files

MOST_FILES = 64
"""Largest number of graphs that are kept, the last used ones: those of shipped ensembles take 15 MB."""
_SUFFIX = ".graph"
_LOG = logging.getLogger(__name__)


def cached_graph(card: NetworkCard, load: Callable[[], Any]) -> Any:
    """Return the `openvino.Model` of a network: the one in the cache, or else that of the network from `load`, which is kept.

    Args:
        card: The network's card; the weights in the package must have its digest.
        load: Returns the network as an `nn.Sequential`, checked.
    """
    openvino = openvino_without_telemetry()
    folder = cache_folder()
    what_decides = card.model_dump(mode="json", exclude={"metrics"})
    key = digest([what_decides, openvino_engine.BATCH, code_version(), openvino.__version__])
    path = folder / (key + _SUFFIX)
    try:
        if _is_ours(folder):
            graph = graph_of_files(*_unpacked(path.read_bytes()))
            os.utime(path)
            return graph
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RuntimeError) as error:
        _LOG.warning("%s: not used (%s)", path, error)
    graph = graph_of(load(), len(card.channels), card.field_pixels)
    try:
        _keep(path, _packed(openvino, graph))
    except OSError as error:
        _LOG.info("%s: not written (%s)", path, error)
    return graph


def cache_folder() -> Path:
    """Return the folder of the graphs, below `XDG_CACHE_HOME`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lensscan" / "graphs"


def _is_ours(folder: Path) -> bool:
    """Return whether this user alone can write to the folder; raises `FileNotFoundError` if there is none."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_ours(path.parent):
        raise PermissionError(f"other users can write to {path.parent}")
    with replace_whole(path) as part:
        part.write_bytes(content)
    # Another process may remove the same file.
    with suppress(OSError):
        newest = sorted(path.parent.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in newest[MOST_FILES:]:
            old.unlink()


def _packed(openvino: Any, graph: Any) -> bytes:
    """Return the graph's description and weights in one file, so that a process never sees one of them without the other."""
    with tempfile.TemporaryDirectory() as folder:
        xml, weights = Path(folder) / "graph.xml", Path(folder) / "graph.bin"
        openvino.serialize(graph, xml, weights)
        body = b"%d\n" % xml.stat().st_size + xml.read_bytes() + weights.read_bytes()
    return sha256_bytes(body).encode() + b"\n" + body


def _unpacked(content: bytes) -> tuple[bytes, bytes]:
    """Return description and weights; raises `ValueError` if the file is damaged."""
    stated, _, body = content.partition(b"\n")
    if stated != sha256_bytes(body).encode():
        raise ValueError("damaged")
    n_xml, _, parts = body.partition(b"\n")
    return parts[: int(n_xml)], parts[int(n_xml) :]
