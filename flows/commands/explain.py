"""`lensscan explain`: draw a figure with the networks' attribution maps of some objects."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.ensembles import chosen_package
from infra.errors import LensscanError
from infra.progress import Progress
from infra.store.files import check_replaceable
from scanner.explain.evidence import strongest_guided_arcsec, strongest_occlusion_arcsec
from scanner.explain.explanation import NetworkMaps, chosen_networks, explain
from scanner.explain.figure_files import figure_kind, write_figure
from scanner.explain.figures import MOST_EXPLAINED, explanation_figure
from scanner.explain.shown_objects import shown_objects
from scanner.networks.card_file import read_card
from scanner.networks.package import load_scorer
from scanner.scan.chosen_objects import read_objects
from scanner.sources.survey import find_survey
from scanner.vocabulary.geometry import GEOMETRIES
from scanner.vocabulary.prior import prior_words

_GUESSED = "guessed:"
"""First word of a note on which images of a file are which bands."""


class ExplainError(LensscanError):
    """The arguments do not fit, or the figure cannot be written."""


def explain_to_file(
    images: str | Sequence[str],
    out: Path,
    objects: Sequence[str],
    ensemble: str | None,
    networks: Sequence[str] | None,
    report: Progress,
    survey: str | None = None,
    bands: str | None = None,
) -> dict[str, Any]:
    """Draw a figure of some objects of manifests, FITS files, tiles or shards; an existing file is replaced atomically.

    `survey` is the name or the file of the survey that the tiles are of; Euclid's by default. `bands` are those of the planes
    of array files and FITS cubes, in order, separated by commas.

    Raises:
        ExplainError: the file cannot be written.
        FigureError: `out` is not a PNG or PDF file.
        ObjectsError: objects are missing or too many, or no object is usable.
        LensscanError: the images or the ensemble cannot be read, or the ensemble has no such network.
    """
    check_out(out)
    described = find_survey(survey)
    folder = chosen_package(ensemble)
    card = read_card(folder)
    names = chosen_networks(card, networks)
    geometry = GEOMETRIES[card.geometry]
    package = load_scorer(folder)
    wanted = list(dict.fromkeys(objects))
    read = read_objects(images, wanted, geometry, MOST_EXPLAINED, described, bands)
    maps = explain(folder, card, read.stamps, names, report)
    scores = package.score(read.stamps)
    # Names that nearly all files of a survey have: said once, and no warning.
    guessed = sorted({note for notes in read.notes for note in notes if note.startswith(_GUESSED)})
    of_pixels = [[note for note in notes if note not in guessed] for notes in read.notes]
    shown = shown_objects(read.ids, read.stamps, card, scores, of_pixels)
    shown = replace(shown, numbers=" ".join([shown.numbers, *(f"{note[0].upper()}{note[1:]}." for note in guessed)]))
    figure = explanation_figure(shown, maps)
    write_figure(figure, out)
    numbers = {name: _numbers(i, float(scores.p_lens[i]), card.assumed_prevalence, maps) for i, name in enumerate(read.ids)}
    found = {"ensemble": card.name, "prevalence": card.assumed_prevalence, "figure": str(out), "objects": numbers}
    corrections = ([f"p_lens is {said}"] if said else [] for said in shown.corrections or ())
    of_objects = zip(read.ids, shown.notes or (), corrections, strict=True)
    notes = {name: "; ".join((*said, *of_lens)) for name, said, of_lens in of_objects if said or of_lens}
    return {**found, "guessed": guessed, "notes": notes, "rejected": read.rejected}


def check_out(out: Path) -> None:
    """Check that a figure can be written to `out`, before the long work begins.

    Raises:
        ExplainError: `out` is a folder, or cannot be written.
        FigureError: `out` is not a PNG or PDF file.
    """
    figure_kind(out)
    if out.is_dir():
        raise ExplainError(f"--out must be a file, got the folder {out}")
    try:
        check_replaceable(out)
    except OSError as error:
        raise ExplainError(f"{out}: cannot be written: {error.strerror}") from error


def _numbers(i: int, p_lens: float, prevalence: float | None, maps: Sequence[NetworkMaps]) -> dict[str, Any]:
    """Return the numbers of one object: `p_lens` of ensemble and networks, all at the prevalence that the ensemble assumes.

    The numbers of a network include the distance of its strongest evidence from the middle.
    """
    networks = {
        network.network: {
            "p_lens": float(network.p_lens[i]),
            "strongest_occlusion_arcsec": strongest_occlusion_arcsec(network, i),
            "strongest_guided_arcsec": strongest_guided_arcsec(network, i),
        }
        for network in maps
    }
    return {"p_lens": p_lens, "prior": prior_words(p_lens, prevalence), "networks": networks}
