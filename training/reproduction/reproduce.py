"""Compare scores with the paper, draw the figures, and write the page with its JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.progress import Progress
from infra.provenance import code_version, digest
from infra.store.files import replace_whole
from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.card import EnsembleCard
from training.evaluation.compound_calibration import CompoundCalibration
from training.evaluation.compound_selection import COMPOUND_KINDS
from training.reproduction.known import KnownLenses
from training.reproduction.page import reproduction_markdown
from training.reproduction.pictures import Drawn, Simulate, pictures
from training.reproduction.results import Reproduction, Selection
from training.reproduction.sample import ScoredSample
from training.reproduction.selection import calibrations, data_set, selections
from training.reproduction.shelf import Shelf
from training.reproduction.tables import KnownScores, architectures, reference_lenses, table_5, table_6, table_7
from training.tsne import TsneGrid

PAGE, RESULTS, FIGURES = "wilde2022.md", "wilde2022.json", "figures"
PAPER = "paper"
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Scored:
    """Everything that was simulated and scored."""

    n: int
    seed: int
    command: str
    samples: Mapping[str, ScoredSample]
    """By name of the data set, `PAPER` among them."""
    specs: Mapping[str, tuple[str, str]]
    """Preset and geometry of each data set."""
    folders: Mapping[str, Path]
    """Folders of the ensembles of the paper's networks, those to be explained first."""
    ensembles: Mapping[str, str]
    """Digest of each ensemble."""
    ours: str
    """Name of the ensemble of the paper's networks that we trained."""
    known: KnownLenses | None
    known_scores: KnownScores | None
    simulate: Simulate
    settings: VisualisationSettings


def write_page(scored: Scored, out: Path, kept: Path, progress: Progress) -> Reproduction:
    """Write the page, its JSON and its figures into `out`; `kept` holds the record of figures that are drawn already.

    Raises:
        TrainingError: the paper's data set lacks a kind of object, or a figure would be too large.
    """
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    sample, ensembles = scored.samples[PAPER], tuple(scored.folders)
    sample.check_kinds()
    metrics, grids = table_5(sample, ensembles, rng)
    selected = tuple(selection for name, of_data in scored.samples.items() for selection in selections(of_data, name))
    calibrated = {name: calibrations(of_data, rng) for name, of_data in scored.samples.items()}
    tables = (metrics, table_6(sample, ensembles), table_7(scored.known_scores, ensembles))
    drawn = _drawn(scored, grids, selected, calibrated)
    cards = {name: card for of_data in scored.samples.values() for name, card in of_data.cards.items()}
    known = scored.known
    results = Reproduction(
        n=scored.n,
        seed=scored.seed,
        command=scored.command,
        code_version=code_version(),
        ensembles=dict(scored.ensembles),
        geometries={name: card.geometry for name, card in cards.items()},
        ours=scored.ours,
        counts_compound=counts_compound(cards[scored.ours]),
        known=known.names if known else (),
        known_of_one_image=known.of_one_image if known else (),
        data={name: data_set(of_data, *scored.specs[name]) for name, of_data in scored.samples.items()},
        architectures=architectures(),
        tables=tables,
        selection=selected,
        calibration=calibrated,
        pictures=pictures(drawn, Shelf(out / FIGURES, kept), progress),
    )
    _write(out / RESULTS, json.dumps(results.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")
    _write(out / PAGE, reproduction_markdown(results))
    return results


def counts_compound(card: EnsembleCard) -> bool | None:
    """Return whether a card counts compound lenses among the objects that its networks were trained on; None without counts."""
    counts = card.training_data.n_objects
    return None if not counts else any(counts.get(f"train {kind}", 0) > 0 for kind in COMPOUND_KINDS)


def _drawn(
    scored: Scored,
    grids: Mapping[str, TsneGrid],
    selected: tuple[Selection, ...],
    calibrated: Mapping[str, Mapping[str, CompoundCalibration]],
) -> Drawn:
    """Return what the figures show."""
    sample, ensembles = scored.samples[PAPER], tuple(scored.folders)
    explained = ensembles[0]
    return Drawn(
        sample=sample,
        ensembles=ensembles,
        explained=(scored.folders[explained], sample.cards[explained]),
        ours=(scored.folders[scored.ours], scored.ours),
        grids=grids,
        is_reference_lens=reference_lenses(sample),
        selections=selected,
        data=tuple(scored.samples),
        calibration=calibrated,
        known=scored.known,
        simulate=scored.simulate,
        settings=scored.settings,
        seed=scored.seed,
        origin=digest([scored.n, scored.seed, dict(scored.ensembles)]),
    )


def _write(path: Path, text: str) -> None:
    with replace_whole(path) as part:
        part.write_text(text, encoding="utf-8")
