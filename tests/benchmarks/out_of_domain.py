"""`make out-of-domain`: ensembles on the independent simulator, beside the figures of the simulator they were trained on.

Writes OUT_OF_DOMAIN.md beside this file. The figures in domain are those of EVALUATION.md in the ensemble's package.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.settings import Settings
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.locate import find_package
from scanner.networks.package import load_scorer
from scanner.scan.batch_reader import BatchReader
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import shard_of, shard_table
from scanner.vocabulary.geometry import MER_10
from tests.circumstances import commit
from tests.independent.sets import IndependentSet, independent_set
from training.evaluation.metrics import auroc, binomial_interval, threshold_at_rate

RESULTS = Path(__file__).with_name("OUT_OF_DOMAIN.md")
SEED, N_OF_EACH = 41, 300
RATES = (0.01, 0.05)
LOOKALIKES = {"ring": "ring_galaxy", "spiral": "spiral", "companions": "companions", "merger": "merger", "edge_on": "edge_on"}
"""Classes of the independent simulator, and the look-alikes of the package's that are like them."""
_INTRODUCTION = """# Out of domain

Written by `make out-of-domain`: {n} objects of each of nine classes from a second simulator (`tests/independent`), on which no
network is trained; commit {commit:.12}. Out of domain, thresholds are those that 1 % and 5 % of its own non-lenses exceed;
brackets hold 95 % intervals. In domain: objects of the preset `euclid`, from the package's EVALUATION.md.
"""


def scores(ensemble: Scorer, objects: IndependentSet) -> NDArray[np.float64]:
    """Return `p_lens` of each object, scored as in a scan."""
    ids = np.arange(len(objects.classes))
    shard = shard_of(shard_table(ids, objects.stamps, {}, MER_10))
    scanner = CutoutScanner(ensemble, check_above=None)
    begin = partial(shard_batches, shard, ids, scanner.geometry, scanner.batch_size)
    return scanner.score_batches(BatchReader(begin, n_ahead=0))["p_lens"].to_numpy().astype(np.float64)


def figures(p: NDArray[np.float64], objects: IndependentSet) -> dict[str, str]:
    """Return the figures of the table: AUROC, recall at few false positives, and the share of each look-alike that passes."""
    is_lens = objects.is_lens
    found = {"AUROC": f"{auroc(p, is_lens):.3f}"}
    thresholds = {rate: threshold_at_rate(p, is_lens, rate) for rate in RATES}
    for of_class in ("single", "compound"):
        for rate, threshold in thresholds.items():
            found[f"{of_class} lenses at {rate:.0%}"] = _share(p[objects.classes == of_class] > threshold)
    for of_class in LOOKALIKES:
        found[f"{of_class} above the threshold of 5%"] = _share(p[objects.classes == of_class] > thresholds[RATES[-1]])
    return found


def in_domain(package: Path) -> dict[str, str]:
    """Return the same figures from the evaluation in a package; none if it holds none."""
    file = package / "evaluation.json"
    if not file.is_file():
        return {}
    content = json.loads(file.read_text())
    groups = {(group["property"], group["group"]): group for group in content["groups"]}
    found = {"AUROC": f"{content['overall']['auroc']['value']:.3f}"}
    for i, rate in enumerate(RATES):
        shares = {kind: groups["kind", kind]["above"][i] for kind in ("single", "compound_arc", "double_ring")}
        found[f"single lenses at {rate:.0%}"] = _shown(shares["single"])
        n = [groups["kind", kind]["n"] for kind in ("compound_arc", "double_ring")]
        recall = np.average([shares[kind]["value"] for kind in ("compound_arc", "double_ring")], weights=n)
        found[f"compound lenses at {rate:.0%}"] = f"{recall:.2f}"
    for of_class, lookalike in LOOKALIKES.items():
        if ("look-alike", lookalike) in groups:
            found[f"{of_class} above the threshold of 5%"] = _shown(groups["look-alike", lookalike]["above"][-1])
    return found


def markdown(tables: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]], n_of_each: int, of_commit: str) -> str:
    """Return a table with two columns, in and out of domain, for each ensemble."""
    return "\n".join(_lines(tables, n_of_each, of_commit)) + "\n"


def _lines(tables: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]], n: int, of_commit: str) -> Iterator[str]:
    yield _INTRODUCTION.format(n=n, commit=of_commit)
    yield _row(["", *(f"{name}, {where} domain" for name in tables for where in ("in", "out of"))])
    yield _row(["---"] * (1 + 2 * len(tables)))
    for name in next(iter(tables.values()))[1]:
        yield _row([name, *(columns.get(name, "-") for pair in tables.values() for columns in pair)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(chosen: NDArray[np.bool_]) -> str:
    low, high = binomial_interval(int(chosen.sum()), len(chosen))
    return _shown({"value": float(chosen.mean()), "low": low, "high": high})


def _shown(share: Mapping[str, float]) -> str:
    return f"{share['value']:.2f} ({share['low']:.2f}-{share['high']:.2f})"


def main() -> None:
    settings = Settings.read()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", nargs="+", default=[settings.ensemble])
    parser.add_argument("--n", type=int, default=N_OF_EACH, help="objects of each class")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    objects = independent_set(arguments.n, SEED)
    tables = {}
    for name in arguments.ensemble:
        package = find_package(name, settings.ensembles_dir)
        ensemble = load_scorer(package, resolve_engine(settings.engine))
        tables[ensemble.card.name] = in_domain(package), figures(scores(ensemble, objects), objects)
    arguments.out.write_text(markdown(tables, arguments.n, commit()), encoding="utf-8")


if __name__ == "__main__":
    main()
