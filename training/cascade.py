"""Make a cascade of trained networks: choose how the committee is pooled, its default cut and its stages."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load

from infra.frozen import Frozen
from infra.progress import Progress, part_of
from infra.provenance import code_version, digest
from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.card import EnsembleCard, TrainingDataCard, data_sets_of
from scanner.networks.card_file import read_card, read_weights
from scanner.networks.combiner import Pooling
from scanner.networks.log_odds import restated
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import write_package
from scanner.vocabulary.kinds import KINDS
from training.candidate_stage import final_p_lens, make_candidate_stage
from training.errors import TrainingError
from training.evaluation.calibrate import MIN_OBJECTS_PER_KIND, can_stack
from training.evaluation.card_text import CITATION
from training.evaluation.known_shards import kind_counts, read_kinds
from training.evaluation.metrics import log_loss, metrics, recall_at_false_positives, threshold_at_rate
from training.evaluation.shard_scores import Footers, shard_footers, shards_digest
from training.margins import Margins, read_margins
from training.stages import Data, calibrated, make_stages

CUT_LOSES = {"natural": 0.06, "broad": 0.10}
"""Largest shares of the lenses of each set that may lie below the default cut. Real lenses score lower than simulated ones, so
these are small: STUDY.md has the shares of real galaxies lensed into real hosts, and of real non-lenses, at or above cuts."""
CORRECTED_FROM = 0.2
"""Multiple of the prevalence from which on a candidate network may correct `p_lens`: below the default cut, so that it can also
lift an object to the candidates (STUDY.md)."""
MOST_RECALL_LOST = 0.03
"""Largest loss in the recall of natural lenses that a pooling may have for a higher recall of broad lenses: about the error of
a recall at 1 % of six thousand non-lenses."""
RATE = 0.01
"""False-positive rate on natural draws of the threshold at which the recall of broad lenses is compared."""
_NONLENS = KINDS.index("nonlens")
_POOLINGS: tuple[Pooling, ...] = ("each", "without_lowest", "mean_probability")
_WITHOUT_VETO = _POOLINGS[1:]
"""Poolings in which no network alone makes a lens a non-lens."""


PLens = Mapping[str, NDArray[np.float32]]
"""`p_lens` of the objects of each data set, `[object]`."""


class PoolingFigures(Frozen):
    """Figures of a pooling on objects that its regression was not fitted on."""

    pooling: Pooling
    log_loss: float
    """Mean log loss of lens against non-lens on natural draws, in nats per object."""
    natural_recall: float
    """Recall of natural lenses at `RATE` false positives."""
    broad_recall: float
    """Recall of broad lenses at the same threshold."""


def compare_poolings(natural: Margins, broad: Margins) -> tuple[PoolingFigures, ...]:
    """Fit each pooling on half of the natural objects, drawn at random; measure it on the others and on the broad objects."""
    fitted_on = _fitted_on(len(natural.kinds))
    half, other = natural.rows(fitted_on), natural.rows(~fitted_on)
    return tuple(_figures_of(pooling, half, other, broad) for pooling in _POOLINGS)


def _fitted_on(n: int) -> NDArray[np.bool_]:
    """Choose the half of `n` natural objects that poolings are fitted on, `[object]`."""
    return np.random.default_rng(0).permutation(n) % 2 == 0


def _figures_of(pooling: Pooling, half: Margins, other: Margins, broad: Margins) -> PoolingFigures:
    stack = calibrated(half, pooling)
    p, p_broad = (1 - stack.probabilities(part.by_network)[:, _NONLENS] for part in (other, broad))
    threshold = threshold_at_rate(p, other.is_lens, RATE)
    return PoolingFigures(
        pooling=pooling,
        log_loss=log_loss(p, other.is_lens),
        natural_recall=recall_at_false_positives(p, other.is_lens, int(RATE * np.sum(~other.is_lens))),
        broad_recall=float((p_broad[broad.is_lens] > threshold).mean()),
    )


def best_pooling(compared: Sequence[PoolingFigures]) -> Pooling:
    """Return the pooling with the highest recall of broad lenses among those with nearly the best recall of natural ones.

    Poolings outside `_WITHOUT_VETO` are left out even with a higher recall: real images may mislead one network alone. Of two
    that find as many broad lenses, the one that finds more natural ones is returned.
    """
    without_veto = [figures for figures in compared if figures.pooling in _WITHOUT_VETO]
    least = max(figures.natural_recall for figures in without_veto) - MOST_RECALL_LOST
    good = (figures for figures in without_veto if figures.natural_recall >= least)
    return max(good, key=lambda figures: (figures.broad_recall, figures.natural_recall)).pooling


def default_cut(p_lens: PLens, data: Data, prevalence: float) -> float:
    """Return the largest cut that loses no more lenses than `CUT_LOSES`, at most twice the prevalence."""
    cuts = [2 * prevalence, 0.5]
    for name, margins in data.items():
        of_lenses = np.sort(p_lens[name][margins.is_lens])
        cuts.append(float(of_lenses[int(CUT_LOSES[name] * len(of_lenses))]))
    return min(cuts)


def rounded_down(cut: float) -> float:
    """Return a cut above 0 with two digits, at most as high: people read and type it."""
    step = 10.0 ** (math.floor(math.log10(cut)) - 1)
    return float(f"{math.floor(cut / step + 1e-9) * step:.1e}")


def assemble(
    name: str,
    first: Path | None,
    members: Sequence[Path],
    natural_uri: str,
    broad_uri: str,
    out: Path,
    prevalence: float,
    compound_share: float,
    progress: Progress,
    *,
    turns: bool = True,
    candidates: Path | None = None,
) -> EnsembleCard:
    """Write the package `out/name`: a cascade of the network of one package and those of others, or an ensemble of the others.

    Args:
        name: Name of the ensemble.
        first: Package with one network, the first stage, or a cascade whose first stage is taken; None: the committee looks at
            every object.
        members: Packages whose networks make up the committee; of a cascade, those of its committee.
        natural_uri: Shards of the preset `euclid` that no network saw; every stage is calibrated on them.
        broad_uri: Shards of the preset `broad` that no network saw; the pooling and the first stage's limit depend on them too.
        out: Folder of the package's folder.
        prevalence: Fraction of lenses that `p_lens` assumes.
        compound_share: Fraction of the lenses that `p_compound` assumes to be compound.
        progress: Called with (objects scored, objects in all).
        turns: Let the committee of a cascade see each object in several orientations; a candidate network has its own.
        candidates: Package with one network, or a cascade with a candidate network, which looks at the candidates of a cascade;
            None: no network does.

    Raises:
        TrainingError: two networks share a name or read different geometries, the first package has several networks, the
            candidate network cannot be used, or the shards cannot be used or hold too few objects of a kind.
        PackageError: a package cannot be read.
    """
    committee = _all_networks(members, with_turns=turns and first is not None)
    first_card = _first_network(first) if first else None
    everything = dict(committee)
    if first and first_card:
        if first_card.name in committee:
            raise TrainingError(f"networks of a cascade must have different names, got {first_card.name} in both stages")
        everything = {first_card.name: (first, first_card), **committee}
    last_card = _candidate_network(candidates, everything, first) if candidates else None
    if candidates and last_card:
        everything[last_card.name] = candidates, last_card
    _check_geometry(everything)
    footers = [shard_footers(uri) for uri in (natural_uri, broad_uri)]
    _check_natural(natural_uri, read_kinds(footers[0]))
    _check_broad(broad_uri, read_kinds(footers[1]))
    sizes = [sum(footer.num_rows for footer in files.values()) for files in footers]
    natural = read_margins(everything, natural_uri, part_of(progress, 0, sum(sizes)))
    broad = read_margins(everything, broad_uri, part_of(progress, sizes[0], sum(sizes)))
    of_committee = [margins.of(tuple(committee)) for margins in (natural, broad)]
    compared = compare_poolings(*of_committee)
    pooling = best_pooling(compared)
    combiner = calibrated(of_committee[0], pooling).assuming(prevalence, compound_share)
    data = {"natural": natural, "broad": broad}
    p_of_committee = {of: final_p_lens(combiner, None, margins) for of, margins in data.items()}
    kept = rounded_down(default_cut(p_of_committee, data, prevalence))
    stage, early_exit = make_stages(first_card, combiner, data, kept, compound_share) if first_card else (None, None)
    least = min(CORRECTED_FROM * prevalence, 0.5)
    candidate_stage = make_candidate_stage(last_card, combiner, natural, compound_share, least) if last_card else None
    p_lens = {of: final_p_lens(combiner, candidate_stage, margins) for of, margins in data.items()}
    cut = rounded_down(default_cut(p_lens, data, prevalence))
    what = f"A cascade: one small network, then a committee of {len(committee)}" if stage else f"{len(committee)} networks"
    what += ", then a network for the candidates" if candidate_stage else ""
    card = EnsembleCard(
        format_version=2,
        name=name,
        description=f"{what} ({code_version()}).",
        licence="MIT",
        geometry=next(network for _, network in committee.values()).geometry,
        first=stage,
        early_exit=early_exit,
        networks=tuple(network for _, network in committee.values()),
        combiner=combiner,
        candidate_stage=candidate_stage,
        training_data=_training_data(footers, [read_card(folder) for folder in _distinct(first, *members, candidates)]),
        metrics=_metrics(restated(p_lens["natural"], prevalence, combiner.fitted_prevalence), natural, compared)
        | _cut_metrics(p_lens, data, cut),
        default_cut=cut,
        calibration=(
            "Multinomial logistic regression of the kind on the networks' logit differences, "
            f"pooled as {pooling!r}, and a curve that corrects its log-odds of a lens, both fitted on "
            f"{len(natural.kinds)} natural draws that no network saw."
        ),
        assumed_prevalence=prevalence,
        limits=(),
        citation=CITATION,
    )
    states = {of: load(read_weights(folder, network)) for of, (folder, network) in everything.items()}
    return write_package(out / name, card, states)


def _check_geometry(networks: Mapping[str, tuple[Path, NetworkCard]]) -> None:
    by_network = {name: network.geometry for name, (_, network) in networks.items()}
    if len(set(by_network.values())) > 1:
        got = ", ".join(f"{geometry} of {name}" for name, geometry in by_network.items())
        raise TrainingError(f"networks that are combined must read the same geometry, got {got}")


def _check_natural(uri: str, kinds: NDArray[np.int8]) -> None:
    """Check that poolings can be fitted on one half of the natural objects and measured on the other."""
    fitted_on = _fitted_on(len(kinds))
    for half in (kinds[fitted_on], kinds[~fitted_on]):
        if not can_stack(half):
            raise TrainingError(
                f"{uri}: needs at least {MIN_OBJECTS_PER_KIND} objects of each kind in each of two random halves, "
                f"got {kind_counts(half)} in one and {kind_counts(kinds)} in all"
            )


def _check_broad(uri: str, kinds: NDArray[np.int8]) -> None:
    is_lens = kinds != _NONLENS
    if is_lens.all() or not is_lens.any():
        raise TrainingError(f"{uri}: needs lenses and non-lenses, got {kind_counts(kinds)}")


def _first_network(folder: Path) -> NetworkCard:
    card = read_card(folder)
    if card.first:
        return card.first.network
    if len(card.networks) != 1:
        raise TrainingError(f"{folder}: the first stage must be a package of one network, got {len(card.networks)}")
    return card.networks[0]


def _candidate_network(folder: Path, others: Mapping[str, tuple[Path, NetworkCard]], first: Path | None) -> NetworkCard:
    """Return the network of a package that looks at the candidates, in as many orientations as help its architecture."""
    if first is None:
        raise TrainingError("a candidate network needs a cascade: name a first stage too")
    card = read_card(folder)
    if card.candidate_stage is None and len(card.networks) != 1:
        n = len(card.networks)
        raise TrainingError(
            f"{folder}: the candidate network must be alone in its package, or that of a cascade, got {n} networks"
        )
    network = _turned(card.candidate_stage.network if card.candidate_stage else card.networks[0])
    if network.name in others:
        raise TrainingError(f"networks of a cascade must have different names, got {network.name} in two stages")
    if network.classes != KINDS:
        raise TrainingError(
            f"{folder}: the candidate network must distinguish {', '.join(KINDS)}, got {', '.join(network.classes)}"
        )
    return network


def _distinct(*folders: Path | None) -> list[Path]:
    """Return the folders that are given, each once."""
    return list(dict.fromkeys(folder for folder in folders if folder is not None))


def _all_networks(folders: Sequence[Path], *, with_turns: bool) -> dict[str, tuple[Path, NetworkCard]]:
    """Return the networks of packages by name, each with its folder; with the turns that a committee can afford, or without."""
    found: dict[str, tuple[Path, NetworkCard]] = {}
    for folder in folders:
        for network in read_card(folder).networks:
            if network.name in found:
                raise TrainingError(f"networks of a committee must have different names, got {network.name} twice")
            found[network.name] = folder, _turned(network) if with_turns else network
    return found


def _turned(network: NetworkCard) -> NetworkCard:
    """Return the network with the turns of its architecture, unless its card names others."""
    return network if network.turns != 1 else network.model_copy(update={"turns": ARCHITECTURES[network.architecture].turns})


def _cut_metrics(p_lens: PLens, data: Data, cut: float) -> dict[str, float]:
    """Return the share of lenses below the default cut, and that of other objects at or above it, which is the work."""
    figures = {}
    for name, margins in data.items():
        kept = p_lens[name] >= cut
        figures[f"cut_{name}_lenses_lost"] = float(1 - kept[margins.is_lens].mean())
        figures[f"cut_{name}_nonlenses_kept"] = float(kept[~margins.is_lens].mean())
    return figures


def _metrics(p: NDArray[np.float64], natural: Margins, compared: Sequence[PoolingFigures]) -> dict[str, float]:
    """Return the metrics of `p_lens` in the fitted mixture, `[object]`, and those of the poolings."""
    figures = metrics(p, natural.kinds, np.random.default_rng(0))
    for of in compared:
        figures |= {f"pooling_{of.pooling}_{name}": value for name, value in of.model_dump(exclude={"pooling"}).items()}
    return figures


def _training_data(footers: Sequence[Footers], cards: Sequence[EnsembleCard]) -> TrainingDataCard:
    described = [f"{card.name}: {card.training_data.description}" for card in cards]
    n_calibrated = sum(footer.num_rows for files in footers for footer in files.values())
    calibrated_on = [shards_digest(files) for files in footers]
    return TrainingDataCard(
        description=f"{'. '.join(described)}. Calibrated on {n_calibrated} further objects",
        digest=digest(calibrated_on),
        n_objects={},
        data_sets=tuple(dict.fromkeys((*data_sets_of(cards), *calibrated_on))),
    )
