"""`lensscan explain`: draw a figure with the networks' attribution maps of some objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.ensembles import chosen_package
from infra.errors import LensscanError
from infra.progress import Progress
from infra.store.files import check_replaceable, replace_whole
from scanner.explain.evidence import strongest_guided_arcsec, strongest_occlusion_arcsec
from scanner.explain.explanation import NetworkMaps, chosen_networks, explain
from scanner.explain.figures import Shown, explanation_figure, figure_bytes
from scanner.networks.card_file import read_card
from scanner.networks.package import load_package
from scanner.scan.chosen_objects import read_objects
from scanner.vocabulary.geometry import GEOMETRIES

MOST_OBJECTS = 24
"""Largest number of objects in one figure."""
_KINDS = (".png", ".pdf")


class ExplainError(LensscanError):
    """The arguments do not fit, or the figure cannot be written."""


def explain_to_file(
    images: str, out: Path, objects: Sequence[str], ensemble: str | None, networks: Sequence[str] | None, report: Progress
) -> dict[str, Any]:
    """Draw a figure of some objects of a manifest, of tiles or of shards; an existing file is replaced atomically.

    Raises:
        ExplainError: the file cannot be written.
        ObjectsError: objects are missing or too many, or no object is usable.
        LensscanError: the images or the ensemble cannot be read, or the ensemble has no such network.
    """
    check_out(out)
    folder = chosen_package(ensemble)
    card = read_card(folder)
    names = chosen_networks(card, networks)
    geometry = GEOMETRIES[card.geometry]
    package = load_package(folder)
    ids, stamps, rejected = read_objects(images, list(dict.fromkeys(objects)), geometry, MOST_OBJECTS)
    maps = explain(folder, card, stamps, names, report)
    p_lens = package.score(stamps).p_lens
    write_whole(out, figure_bytes(explanation_figure(Shown(ids, stamps, geometry, card.name, p_lens), maps), kind_of(out)))
    numbers = {name: _numbers(i, float(p_lens[i]), maps) for i, name in enumerate(ids)}
    return {"ensemble": card.name, "figure": str(out), "objects": numbers, "rejected": rejected}


def check_out(out: Path) -> None:
    """Check that a figure can be written to `out`, before the long work begins.

    Raises:
        ExplainError: `out` is not a PNG or PDF file, or cannot be written.
    """
    if out.suffix.lower() not in _KINDS or out.is_dir():
        raise ExplainError(f"--out must be a file that ends in {' or '.join(_KINDS)}, got {out}")
    try:
        check_replaceable(out)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error


def kind_of(out: Path) -> str:
    """Return the file type of `out`: `png` or `pdf`."""
    return out.suffix.lower()[1:]


def write_whole(out: Path, content: bytes) -> None:
    """Write a file, or replace it whole.

    Raises:
        ExplainError: the file cannot be written.
    """
    try:
        with replace_whole(out) as part:
            part.write_bytes(content)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error


def _numbers(i: int, p_lens: float, maps: Sequence[NetworkMaps]) -> dict[str, Any]:
    """Return the numbers of one object: each network's `p_lens`, and the distance of its strongest evidence from the middle."""
    networks = {
        network.network: {
            "p_lens": float(network.p_lens[i]),
            "strongest_occlusion_arcsec": strongest_occlusion_arcsec(network, i),
            "strongest_guided_arcsec": strongest_guided_arcsec(network, i),
        }
        for network in maps
    }
    return {"p_lens": p_lens, "networks": networks}
