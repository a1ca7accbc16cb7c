"""Objects like a double ring: of its 20 nearest in a simulated night of 20 000, how many are lenses, and how long does it take?

`python -m tests.benchmarks.night_features --scratch FOLDER` simulates the objects, which takes long and goes on after a kill;
`python -m tests.benchmarks.more_like_this --scratch FOLDER` puts lenses among the non-lenses, asks for the objects like each
double ring, and writes MORE_LIKE_THIS.md and more_like_this.json beside this file, or to `--out`.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.settings import Settings
from scanner.networks.feature_reference import FeatureReference
from scanner.review.embeddings.rows import LIKE_COLUMNS, EmbeddedRows
from tests.benchmarks.night_features import N_NONLENSES, Objects, read
from tests.benchmarks.references import referenced
from tests.circumstances import commit, processor

RESULTS = Path(__file__).with_name("MORE_LIKE_THIS.md")
N_LIKE = 20
NUMBERS_OF_LENSES = (120, 60, 39)
"""Lenses in the night: about 12, 6 and 4 times the share that `p_lens` assumes; with fewer, 20 lenses are hardly there."""
N_DRAWS, SEED = 40, 6
"""Draws of the lenses for each number, so that each number has hundreds of double rings."""
LEAST_SHARE, MOST_S = 0.5, 0.2
"""Smallest accepted mean share of lenses among the nearest, and longest accepted time of a query after loading."""


def embedded_rows(objects: Sequence[Objects], reference: FeatureReference) -> tuple[EmbeddedRows, NDArray[np.str_]]:
    """Return the objects that have an embedding, as a catalogue holds them, and the true kind of each."""
    features, p_lens = (np.concatenate([getattr(of, name) for of in objects]) for name in ("features", "p_lens"))
    is_seen = ~np.isnan(features).any(axis=1)
    embeddings, n = reference.embeddings(features[is_seen]), int(is_seen.sum())
    known = {"object_id": pa.array(np.flatnonzero(is_seen)), "p_lens": pa.array(p_lens[is_seen])}
    known |= {"night": pa.repeat("", n), "anomaly": pa.array(reference.anomalies(embeddings))}
    table = pa.table({name: known.get(name, pa.nulls(n, pa.string())) for name in LIKE_COLUMNS})
    return EmbeddedRows(table, embeddings), np.array([kind for of in objects for kind in of.kinds])[is_seen]


def draws(kinds: NDArray[np.str_], n_lenses: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of nights with all non-lenses and this number of lenses, or all if there are fewer."""
    lenses, others = np.flatnonzero(kinds != "nonlens"), np.flatnonzero(kinds == "nonlens")
    n = min(n_lenses, len(lenses))
    for _ in range(1 if n == len(lenses) else N_DRAWS):
        yield np.sort(np.concatenate([rng.choice(lenses, n, replace=False), others]))


def shares_of(rows: EmbeddedRows, kinds: NDArray[np.str_], night: NDArray[np.int64]) -> list[float]:
    """Return the share of lenses among the nearest of each double ring of a night."""
    rings = night[kinds[night] == "double_ring"]
    return [float(np.mean(kinds[rows.near(int(row), N_LIKE, night).rows] != "nonlens")) for row in rings]


def seconds_of(rows: EmbeddedRows, queried: Sequence[int]) -> list[float]:
    """Return how long each query of the whole night takes, its table included."""
    found = []
    for row in queried:
        begun = time.perf_counter()
        rows.like(row, N_LIKE)
        found.append(time.perf_counter() - begun)
    return found


def measured(objects: dict[str, Objects], reference: FeatureReference) -> dict[str, Any]:
    """Return all figures."""
    rows, kinds = embedded_rows([objects["nonlenses"], objects["lenses"]], reference)
    rng = np.random.default_rng(SEED)
    by_number = {}
    n_lenses_made = len(objects["lenses"].kinds)
    for number in NUMBERS_OF_LENSES:
        # A night's lenses are drawn before the first stage excludes some.
        n_seen = round(number * np.mean(~np.isnan(objects["lenses"].features).any(axis=1)))
        shares = [share for night in draws(kinds, n_seen, rng) for share in shares_of(rows, kinds, night)]
        by_p_lens = _share_of_the_best(rows, kinds, n_seen, np.random.default_rng(SEED))
        by_number[number] = {
            "n_lenses_seen": n_seen,
            "n_queries": len(shares),
            "share": float(np.mean(shares)),
            "tenth_percentile": float(np.quantile(shares, 0.1)),
            "share_of_the_best_by_p_lens": by_p_lens,
        }
    seconds = seconds_of(rows, np.flatnonzero(kinds == "double_ring").tolist())
    return {
        "n_objects": N_NONLENSES + n_lenses_made,
        "n_embedded": len(kinds),
        "by_number_of_lenses": by_number,
        "median_query_s": float(np.median(seconds)),
        "longest_query_s": float(max(seconds)),
    }


def _share_of_the_best(rows: EmbeddedRows, kinds: NDArray[np.str_], n_lenses: int, rng: np.random.Generator) -> float:
    """Return the share of lenses among as many objects with the highest `p_lens`, for comparison."""
    p_lens, found = rows.table["p_lens"].to_numpy(), []
    for night in draws(kinds, n_lenses, rng):
        best = night[np.argsort(-p_lens[night])[:N_LIKE]]
        found.append(np.mean(kinds[best] != "nonlens"))
    return float(np.mean(found))


_INTRODUCTION = """# Objects like a double ring

Written by `tests/benchmarks/more_like_this.py`, commit {:.12}, for {} `{:.12}`, on {}: a simulated night of {} objects of a
seed that nothing else uses, of which the first stage leaves {} with an embedding. Each double ring among them is asked for its
{} nearest. With fewer lenses than all, they are drawn {} times.

| lenses | queries | lenses among the nearest, mean | lowest tenth of the queries | lenses among the best by p_lens | passes |
| --- | --- | --- | --- | --- | --- |
"""
_TIMES = """
A query takes {:.4f} s in the median and {:.4f} s at most after loading (limit {} s); passes: {}.
"""


def text_of(found: dict[str, Any], ensemble: str, sha256: str) -> str:
    """Return the page."""
    about = (commit(), ensemble, sha256, processor(), found["n_objects"], found["n_embedded"], N_LIKE, N_DRAWS)
    text = _INTRODUCTION.format(*about)
    for number, of in found["by_number_of_lenses"].items():
        shares = [f"{of[name]:.2f}" for name in ("share", "tenth_percentile", "share_of_the_best_by_p_lens")]
        text += f"| {number} | {of['n_queries']} | {' | '.join(shares)} | {_word(of['share'] >= LEAST_SHARE)} |\n"
    longest = found["longest_query_s"]
    return text + _TIMES.format(found["median_query_s"], longest, MOST_S, _word(longest < MOST_S))


def _word(passes: object) -> str:
    return "yes" if passes else "no"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", default=Settings.read().ensemble)
    parser.add_argument("--scratch", type=Path, required=True, help="folder of `night_features`")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    package, card, reference = referenced(parser, options.ensemble)
    found = measured(read(package, options.scratch), reference)
    figures = {"commit": commit(), "ensemble": card.name, "sha256": card.sha256, "reference": card.reference_sha256, **found}
    options.out.with_name("more_like_this.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    options.out.write_text(text_of(found, card.name, card.sha256), encoding="utf-8")


if __name__ == "__main__":
    main()
