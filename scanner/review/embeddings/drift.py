"""Compare what an ensemble says of the objects of a night with its reference: the stability index per night and per tile."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from scanner.catalogue.columns import ANOMALY, EMBEDDING
from scanner.catalogue.embeddings import embedding_array
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.paths import night_label
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import selected_plans
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.feature_reference import AXES, P_LENS, FeatureReference, read_reference
from scanner.networks.locate import find_scanning_package
from scanner.networks.log_odds import log_odds
from scanner.review.all_rows import all_rows
from scanner.review.embeddings.rows import EmbeddingsError
from scanner.stability import stability

LARGE = 0.1
"""Stability index, beyond that of chance, from which on a population has moved (Siddiqi 2006, Credit Risk Scorecards, p. 137:
below 0.1 no change, from 0.25 on a large one)."""
SIGNIFICANT = 0.001
"""Largest probability that chance explains the index of a quantity that has moved, over all quantities together."""
_COLUMNS = ("status", "tile", "p_lens", ANOMALY.name, EMBEDDING.name)

Counts = Mapping[str, NDArray[np.int64]]
"""Histograms by quantity."""


class QuantityDrift(Frozen):
    """The histogram of one quantity beside that of the reference."""

    quantity: str
    """`p_lens`, `anomaly` or an axis of the embeddings."""
    n: int
    index: float
    """Population stability index."""
    expected: float
    """Mean of the index if both are of one population."""
    p_chance: float
    """Probability of an index at least as large if both are of one population."""
    differs: bool


class Drift(Frozen):
    """The objects of a night, or of one tile of it, beside the reference."""

    night: str
    tile: str | None
    """None for the night as a whole."""
    ensemble: str
    quantities: tuple[QuantityDrift, ...]

    @property
    def differs(self) -> bool:
        """Whether any quantity has moved."""
        return any(of.differs for of in self.quantities)


def night_drifts(root_uri: str, night: str | None, ensembles_dir: Path, progress: Progress = no_progress) -> list[Drift]:
    """Return how far each night, and each of its tiles, has moved from the reference; a night comes before its tiles.

    Args:
        root_uri: The catalogue's root.
        night: Label of the night; None for all.
        ensembles_dir: Folder of the user's ensemble packages.
        progress: Called with (units read, units in all).

    Raises:
        EmbeddingsError: the scans have no reference, or it is not at hand.
        VisibleError: no scan is complete, or a file cannot be read.
        PackageError: the reference is damaged.
    """
    found: list[Drift] = []
    groups: dict[tuple[str, str], list[tuple[ShownPlan, Plan]]] = {}
    for shown in selected_plans(root_uri, night=night):
        plan = load_plan(root_uri, shown.plan_id)
        if plan.config.reference_sha256 is not None:
            groups.setdefault((night_label(plan.night), plan.config.reference_sha256), []).append((shown, plan))
    if not groups:
        raise EmbeddingsError(f"{root_uri}: drift is measured against the reference of an ensemble, and its scans had none")
    for (label, _), plans in sorted(groups.items(), key=lambda group: group[0]):
        reference = _reference(plans[0][1], ensembles_dir)
        found += _drifts(root_uri, label, plans, reference, progress)
    return found


def _drifts(
    root_uri: str, label: str, plans: list[tuple[ShownPlan, Plan]], reference: FeatureReference, progress: Progress
) -> Iterator[Drift]:
    ensemble = plans[0][1].ensemble_name
    tiles: dict[str, Counts] = {}
    for table in all_rows(root_uri, [shown for shown, _ in plans], _COLUMNS, progress):
        scored = table.filter(pc.equal(table["status"], SCORED))
        if scored.num_rows:
            # Shards of two plans may have one name.
            name, found = scored["tile"][0].as_py(), counts_of(scored, reference)
            before = tiles.get(name, {})
            tiles[name] = {of: counts + before.get(of, 0) for of, counts in found.items()}
    if not tiles:
        return
    night = {name: np.sum([counts[name] for counts in tiles.values()], axis=0) for name in reference.histograms}
    yield Drift(night=label, tile=None, ensemble=ensemble, quantities=tuple(_compared(night, reference, 1)))
    for tile, counts in sorted(tiles.items()):
        yield Drift(night=label, tile=tile, ensemble=ensemble, quantities=tuple(_compared(counts, reference, len(tiles))))


def counts_of(scored: pa.Table, reference: FeatureReference) -> Counts:
    """Return the histograms of scored rows in the bins of the reference."""
    seen = scored.filter(scored[EMBEDDING.name].is_valid())
    embeddings = embedding_array(seen)
    values = {P_LENS: log_odds(scored["p_lens"].to_numpy()), ANOMALY.name: seen[ANOMALY.name].to_numpy()}
    values |= {name: embeddings[:, axis] for axis, name in enumerate(AXES)}
    return {name: histogram.of(values[name]) for name, histogram in reference.histograms.items()}


def _compared(counts: Counts, reference: FeatureReference, n_tests: int) -> Iterator[QuantityDrift]:
    """Yield the quantities that have objects; chance is as rare as `SIGNIFICANT` over all quantities of all tests."""
    least = SIGNIFICANT / (n_tests * len(reference.histograms))
    for name, histogram in reference.histograms.items():
        n = int(counts[name].sum())
        if not n:
            continue
        found = stability(histogram.counts, counts[name])
        yield QuantityDrift(
            quantity=name,
            n=n,
            index=found.value,
            expected=found.expected,
            p_chance=found.p_chance,
            differs=found.value - found.expected > LARGE and found.p_chance < least,
        )


def _reference(plan: Plan, ensembles_dir: Path) -> FeatureReference:
    """Return the reference that a plan names.

    Raises:
        EmbeddingsError: this machine has no such ensemble, or another reference by its name.
        PackageError: the reference is damaged.
    """
    try:
        folder = find_scanning_package(plan.ensemble_name, ensembles_dir)
    except PackageError as error:
        raise EmbeddingsError(f"drift needs the ensemble that scanned night {night_label(plan.night)}: {error}") from error
    card = read_card(folder)
    reference = read_reference(folder, card) if card.reference_sha256 == plan.config.reference_sha256 else None
    if reference is None:
        needed, got = (plan.config.reference_sha256 or "")[:12], (card.reference_sha256 or "none")[:12]
        raise EmbeddingsError(f"drift of {plan.ensemble_name} needs the reference {needed} of the scan, {folder} has {got}")
    return reference
