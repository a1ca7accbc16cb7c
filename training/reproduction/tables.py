"""Tables 3 to 7 of Wilde et al. (2022) with our values."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.parameters import count_parameters
from scanner.purity import ValueWithInterval
from training.evaluation.compound_selection import wilson
from training.evaluation.metrics import THRESHOLD, auroc, f_beta, interval
from training.reproduction import paper
from training.reproduction.results import Architecture, LayerRow, Row, Table
from training.reproduction.sample import ScoredSample
from training.tsne import TsneGrid, fit_tsne_grid

Numbers = NDArray[np.floating]
Flags = NDArray[np.bool_]
MAX_REFERENCES = 2000
"""Most objects that t-SNE is run on; it takes minutes for more."""
MIN_REFERENCES = 10
TSNE_SEED = 0
KnownScores = Mapping[str, Mapping[str, Mapping[str, ValueWithInterval]]]
"""Lens probabilities of known lenses, by object, ensemble and network; the interval is the range over orientations."""


def architectures() -> tuple[Architecture, ...]:
    """Return tables 3 and 4: shapes and numbers of parameters of OU-66 and OU-200 as they are built here."""
    return (
        _architecture(3, "OU-66", paper.TABLE_3, paper.TABLE_3_TOTAL),
        _architecture(4, "OU-200", paper.TABLE_4, paper.TABLE_4_TOTAL),
    )


def _architecture(number: int, name: str, layers: Sequence[paper.Layer], total: int) -> Architecture:
    spec = next(spec for spec in PAPER_NETWORKS if spec.name == name)
    network = spec.build().eval()
    found: dict[int, tuple[tuple[int, ...], int]] = {}
    maps = torch.zeros(1, len(spec.channels), spec.input_pixels, spec.input_pixels)
    with torch.inference_mode():
        for label, layer in network.named_children():
            maps = layer(maps)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                found[int(label)] = tuple(maps.shape[1:]), count_parameters(layer)
    rows = [
        LayerRow(
            number=layer.number,
            paper_shape=layer.shape,
            shape=found[layer.number][0],
            paper_parameters=layer.n_parameters,
            n_parameters=found[layer.number][1],
        )
        for layer in layers
    ]
    return Architecture(table=number, network=name, layers=tuple(rows), paper_total=total, total=count_parameters(network))


def table_5(sample: ScoredSample, ensembles: Sequence[str], rng: np.random.Generator) -> tuple[Table, dict[str, TsneGrid]]:
    """Return table 5, from single lenses and non-lenses, and the fitted map of OU-T-SNE by ensemble.

    Precision, F and accuracy are those of a test set with the share of lenses that the paper's own numbers imply.
    """
    is_used = _is_used(sample)
    is_lens = sample.is_lens[is_used]
    values: dict[str, dict[str, dict[str, ValueWithInterval]]] = {}
    grids: dict[str, TsneGrid] = {}
    for ensemble in ensembles:
        outputs = {name: p[is_used] for name, p in sample.outputs(ensemble).items()}
        values[ensemble] = {name: _metrics(outputs[name], is_lens, rng) for name in ("OU-66", "OU-200")}
        is_reference = _references(len(is_lens))
        if is_reference.sum() >= MIN_REFERENCES and _has_both(is_lens[is_reference]) and _has_both(is_lens[~is_reference]):
            stacked = np.stack(list(outputs.values()), axis=1)
            grids[ensemble] = fit_tsne_grid(stacked[is_reference], is_lens[is_reference], TSNE_SEED)
            p = grids[ensemble].predict(stacked[~is_reference])
            values[ensemble][paper.TSNE] = _metrics(p, is_lens[~is_reference], rng)
    rows = [
        Row(
            what=(network, metric),
            paper=stated,
            ours={e: values[e][network][metric] for e in ensembles if network in values[e]},
        )
        for network, metrics in paper.TABLE_5.items()
        for metric, stated in metrics.items()
    ]
    return Table(number=5, keys=("network", "metric"), ensembles=tuple(ensembles), rows=tuple(rows)), grids


def _references(n: int) -> Flags:
    """Return which of `n` objects t-SNE is run on: every second one, up to a limit; the others are classified."""
    is_reference = np.arange(n) % 2 == 0
    is_reference[2 * MAX_REFERENCES :] = False
    return is_reference


def reference_lenses(sample: ScoredSample) -> Flags:
    """Return whether each object that t-SNE is run on is a lens, `[reference]`."""
    is_lens = sample.is_lens[_is_used(sample)]
    return np.asarray(is_lens[_references(len(is_lens))])


def _is_used(sample: ScoredSample) -> Flags:
    """Return which objects table 5 is about: single lenses and non-lenses, as in the paper's test set."""
    return np.isin(sample.kinds, ("nonlens", "single"))


def _has_both(flags: Flags) -> bool:
    return bool(0 < flags.sum() < len(flags))


def implied_share() -> float:
    """Return the share of lenses that table 5 implies, the mean of its rows."""
    return float(np.mean([paper.share_implied(m["precision"], m["recall"], m["accuracy"]) for m in paper.TABLE_5.values()]))


def at_share(p: Numbers, is_lens: Flags, share: float) -> dict[str, float]:
    """Return precision, recall, accuracy and F 0.03 at the threshold of 0.5 if a share of all objects were lenses."""
    called = p >= THRESHOLD
    recall, false = float(called[is_lens].mean()), float(called[~is_lens].mean())
    above = share * recall + (1 - share) * false
    precision = share * recall / above if above else 0.0
    accuracy = share * recall + (1 - share) * (1 - false)
    return {"F 0.03": f_beta(precision, recall), "precision": precision, "recall": recall, "accuracy": accuracy}


def _metrics(p: Numbers, is_lens: Flags, rng: np.random.Generator) -> dict[str, ValueWithInterval]:
    share = implied_share()
    statistics: dict[str, Callable[[Numbers, Flags], float]] = {
        name: partial(_at_share, name, share) for name in at_share(p, is_lens, share)
    }
    statistics["AUROC"] = auroc
    return {
        name: _ranged(statistic(p, is_lens), interval(statistic, p, is_lens, rng)) for name, statistic in statistics.items()
    }


def _at_share(name: str, share: float, p: Numbers, is_lens: Flags) -> float:
    return at_share(p, is_lens, share)[name]


def _ranged(value: float, limits: tuple[float, float]) -> ValueWithInterval:
    return ValueWithInterval(value=value, low=limits[0], high=limits[1])


def table_6(sample: ScoredSample, ensembles: Sequence[str]) -> Table:
    """Return table 6: recall of each network at the threshold of 0.5, by kind of lens."""
    outputs = {ensemble: sample.outputs(ensemble) for ensemble in ensembles}
    rows = []
    for data, by_network in paper.TABLE_6.items():
        of_kind = sample.kinds == paper.KIND_OF_DATA.get(data)
        for network, stated in by_network.items():
            found = {ensemble: outputs[ensemble][network][of_kind] >= THRESHOLD for ensemble in ensembles if of_kind.any()}
            ours = {ensemble: wilson(float(of_one.mean()), len(of_one)) for ensemble, of_one in found.items()}
            rows.append(Row(what=(data, network), paper=stated, ours=ours))
    return Table(number=6, keys=("data", "network"), ensembles=tuple(ensembles), rows=tuple(rows))


def table_7(known: KnownScores | None, ensembles: Sequence[str]) -> Table:
    """Return table 7: OU-66 and OU-200 on known compound lenses, and on further lenses and images that were given."""
    by_lens = _by_lens(known or {})
    rows = [
        Row(
            what=(lens, network),
            paper=paper.TABLE_7.get(lens, {}).get(network),
            ours={e: by_lens[lens][e][network] for e in ensembles if lens in by_lens},
        )
        for lens in dict.fromkeys([*paper.TABLE_7, *by_lens])
        for network in ("OU-66", "OU-200")
    ]
    return Table(number=7, keys=("lens", "network"), ensembles=tuple(ensembles), rows=tuple(rows))


def _by_lens(known: KnownScores) -> KnownScores:
    """Return known scores by the paper's name of the lens, or by the object's own name where the paper's is absent or taken."""
    found = {name: of_lens for name, of_lens in known.items() if name in paper.TABLE_7}
    for name, of_lens in known.items():
        lens = paper.paper_lens(name)
        found[name if lens is None or lens in found else lens] = of_lens
    return found
