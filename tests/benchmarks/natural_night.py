"""Simulated nights at natural prevalence: do stated purity, completeness and false discovery rates hold the truth?

`python -m tests.benchmarks.natural_objects --scratch FOLDER` simulates and scores the objects, which takes long and goes on
after a kill; `python -m tests.benchmarks.natural_night --scratch FOLDER` draws nights from what is there, and writes
NATURAL_NIGHT.md beside this file, or to `--out`. With `--sample`, the halves of the scores of `lensscan models nonlenses`
stand for the non-lenses of the nights and of the calibration, and only lenses need be simulated (`--only lenses`). Nights are
bootstrap draws: non-lenses with replacement, and a Poisson number of lenses. What the product says of each night is compared
with the night's own truth. All nights share what chance did to the drawn objects, so of nights as large as the set of
non-lenses, right intervals of the prevalence hold 83 % rather than 95 %.

Lenses come in two mixes: that of the evaluation, which `p_lens` assumes and the cuts of earlier cards, and one with as few
compound lenses as `p_compound` assumes, which cuts with a natural recall are for.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.stats import binom

from infra.settings import Settings
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.locate import find_package
from scanner.networks.nonlens_sample import NonLensTail
from scanner.purity import PurityTable, ValueWithInterval
from scanner.review.yields.conformal import guaranteed_list
from scanner.review.yields.night import NightScores, NightYield, expected_lists
from simulation.population.draw import LENS_SHARES
from tests.benchmarks.natural_objects import N_NONLENSES, Scored, read, read_with_sample
from tests.circumstances import commit
from training.evaluation.calibrate import expected_calibration_error

RESULTS = Path(__file__).with_name("NATURAL_NIGHT.md")
N_NIGHTS, N_SPLITS, SEED = 20, 200, 5
"""Nights for the intervals, nights and calibration samples for the false discovery rate, and the seed of both."""
LEVELS = (0.1, 0.2, 0.5)
MOST_ERROR, LEAST_HELD = 0.02, 0.9
"""Largest accepted calibration error, and smallest accepted share of the nights whose truth a stated interval holds."""
Numbers = NDArray[np.float64]


_INTRODUCTION = """# Nights at natural prevalence

Written by `tests/benchmarks/natural_night.py`, commit {:.12}, for {} `{:.12}`: nights of {} non-lenses and a Poisson number of
lenses, one for 2000 objects, drawn from {} non-lenses and {} lenses that no network saw; {} more non-lenses calibrate the lists
with a guarantee.
"""


@dataclass(frozen=True)
class Night:
    """The scores of a night, and which of its objects are lenses."""

    p_lens: NDArray[np.float32]
    is_lens: NDArray[np.bool_]
    p_compound: NDArray[np.float32] | None = None


def draw_night(
    nonlenses: NDArray[np.float32], lenses: NDArray[np.float32], weights: Numbers, n: int, prevalence: float, rng: Generator
) -> Night:
    """Draw `n` non-lenses and a Poisson number of lenses with replacement.

    Args:
        nonlenses: `[object, 2]`: `p_lens` and `p_compound` of non-lenses, the second NaN where unknown.
        lenses: The same of lenses.
        weights: `[lens]`: chance of each lens; they sum to 1.
        n: Number of non-lenses of the night.
        prevalence: Fraction of lenses; the mean number of lenses is `n` times it.
        rng: Source of randomness.
    """
    n_lenses = int(rng.poisson(n * prevalence))
    drawn = np.concatenate([rng.choice(lenses, n_lenses, p=weights), rng.choice(nonlenses, n)])
    p_lens, p_compound = np.asarray(drawn, np.float32).T
    return Night(p_lens, np.arange(len(drawn)) < n_lenses, None if np.isnan(p_compound).any() else p_compound)


def weights_of(kinds: Sequence[str], compound_share: float) -> Numbers:
    """Return the chance of each lens of a stratum, so that this share of the drawn lenses is compound."""
    is_single = np.array(kinds) == "single"
    shares = np.where(is_single, (1 - compound_share) / is_single.sum(), compound_share / (~is_single).sum())
    return np.asarray(shares / shares.sum())


def held(night: Night, said: NightYield, purity: PurityTable) -> dict[str, dict[float, bool]]:
    """Return, by statement and cut, whether the stated interval holds the truth of the night."""
    n_lenses = int(night.is_lens.sum())
    found: dict[str, dict[float, bool]] = {}
    for of in said.lists:
        is_listed = night.p_lens >= np.float32(of.p_lens)
        true = int(np.sum(is_listed & night.is_lens))
        purities = purity.at(np.array([of.p_lens]))
        card = ValueWithInterval(value=float(purities[0][0]), low=float(purities[1][0]), high=float(purities[2][0]))
        stated = {
            "lenses, at the stated prevalence": _holds(of.at_stated.n_lenses, true),
            "contaminants, at the stated prevalence": _holds(of.at_stated.n_contaminants, of.n_listed - true),
            "lenses, at the estimated prevalence": _holds(of.at_estimated.n_lenses, true),
            "length of the list": _holds(of.n_foreseen, of.n_listed),
            "purity on the card": _holds_count(card, true, of.n_listed),
            "completeness on the card": _holds_count(purity.recall(of.p_lens), true, n_lenses),
        }
        for name, holds in stated.items():
            found.setdefault(name, {})[of.p_lens] = holds
    share = n_lenses / len(night.p_lens)
    found["prevalence of the night"] = {0.0: _holds(said.estimated.fraction, share)}
    return found


def _holds(stated: ValueWithInterval, true: float) -> bool:
    return stated.low <= true + 1e-9 and true <= stated.high + 1e-9


def _holds_count(stated: ValueWithInterval, n: int, of: int) -> bool:
    """Return whether a count is one that a stated fraction makes likely: within the binomial limits at its limits."""
    return of == 0 or bool(binom.ppf(0.025, of, stated.low) <= n <= binom.ppf(0.975, of, stated.high))


@dataclass(frozen=True)
class Guarantee:
    """Lists of all nights at one level."""

    level: float
    n_lists: int
    """Number of nights that have a list."""
    false_share: float
    """Mean share of non-lenses; 0 in nights without a list, as the false discovery rate counts them."""
    n_lenses: float
    """Mean number of lenses in those lists."""


def guarantee(nights: Sequence[Night], tails: Sequence[NonLensTail], level: float) -> Guarantee:
    """Return what the lists of nights at a level hold, each with its own calibration sample."""
    shares, lenses = [], []
    for night, tail in zip(nights, tails, strict=True):
        chosen = guaranteed_list(night.p_lens, len(night.p_lens), tail, level)
        listed = night.is_lens[night.p_lens >= (2 if chosen.least_p_lens is None else chosen.least_p_lens)]
        shares.append(float(np.mean(~listed)) if len(listed) else 0.0)
        lenses += [int(listed.sum())] if len(listed) else []
    return Guarantee(level, len(lenses), float(np.mean(shares)), float(np.mean(lenses)) if lenses else 0.0)


def judge(
    scored: Scored, card: EnsembleCard, compound_share: float, rng: Generator, n_nonlenses: int = N_NONLENSES
) -> Iterator[str]:
    """Draw nights in which this share of the lenses is compound, and yield the lines of the report.

    The false discovery rate is a mean over nights and calibration samples, so each night has its own: all non-lenses are split
    anew into those that nights are drawn from and those that calibrate.

    Raises:
        ValueError: the ensemble was not evaluated.
    """
    purity = card.purity_table
    if purity is None:
        raise ValueError(f"{card.name} must be calibrated and evaluated")
    others, lenses, sample = (_scores(table) for table in (scored.nonlenses, scored.lenses, scored.calibration))
    weights = weights_of(scored.lenses["kind"].to_pylist(), compound_share)
    nights = [draw_night(others, lenses, weights, n_nonlenses, purity.prevalence, rng) for _ in range(N_NIGHTS)]
    said = [_said(night, card, purity) for night in nights]
    yield f"## {compound_share:.0%} of the lenses are compound\n"
    yield from _intervals(nights, said, purity)
    yield "| level of the false discovery rate | nights with a list | mean share of non-lenses | lenses in a list | passes |"
    yield "| --- | --- | --- | --- | --- |"
    splits = [_split(others, sample, rng) for _ in range(N_SPLITS)]
    drawn = [draw_night(pool, lenses, weights, n_nonlenses, purity.prevalence, rng) for pool, _ in splits]
    tails = [NonLensTail.of(calibration[:, 0], card.candidate_threshold) for _, calibration in splits]
    for of in (guarantee(drawn, tails, level) for level in LEVELS):
        passes = _word(of.false_share <= of.level)
        yield f"| {of.level:g} | {of.n_lists} of {len(drawn)} | {of.false_share:.3f} | {of.n_lenses:.1f} | {passes} |"
    yield ""
    yield from _sentences(nights, said, purity)


def _intervals(nights: Sequence[Night], said: Sequence[NightYield], purity: PurityTable) -> Iterator[str]:
    yield "| the stated 95 % interval holds the truth | share of nights, all cuts | least share of a cut | passes |"
    yield "| --- | --- | --- | --- |"
    for name, shares in _shares([held(night, of, purity) for night, of in zip(nights, said, strict=True)]).items():
        passes = _word(np.mean(shares) >= LEAST_HELD)
        yield f"| {name} | {np.mean(shares):.3f} | {min(shares):.2f} | {passes} |"
    yield ""


def _sentences(nights: Sequence[Night], said: Sequence[NightYield], purity: PurityTable) -> Iterator[str]:
    errors = [expected_calibration_error(night.p_lens, night.is_lens) for night in nights]
    n_told = sum(of.estimated.is_above_zero for of in said)
    ratios = [of.estimated.fraction.value / purity.prevalence for of in said]
    passes = _word(max(errors) <= MOST_ERROR)
    yield f"Calibration error of a night: {np.mean(errors):.5f} in the mean, {max(errors):.5f} at most; passes: {passes}."
    yield (
        f"Estimated over true prevalence: {np.mean(ratios):.2f} in the mean, {min(ratios):.2f} to {max(ratios):.2f}; told from "
        f"zero in {n_told} of {len(nights)} nights.\n"
    )


def _split(
    others: NDArray[np.float32], sample: NDArray[np.float32], rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all non-lenses in a new order, cut into the numbers that they had before."""
    both = rng.permutation(np.concatenate([others, sample]))
    return both[: len(others)], both[len(others) :]


def _said(night: Night, card: EnsembleCard, purity: PurityTable) -> NightYield:
    cut = card.candidate_threshold
    scores = NightScores("simulated", night.p_lens, cut, cut, card.name, card.sha256, purity, night.p_compound)
    return expected_lists(scores)


def _shares(nights: Sequence[dict[str, dict[float, bool]]]) -> dict[str, list[float]]:
    """Return, by statement, the share of the nights whose truth it holds, for each cut."""
    return {name: [float(np.mean([night[name][cut] for night in nights])) for cut in nights[0][name]] for name in nights[0]}


def _scores(table: pa.Table) -> NDArray[np.float32]:
    """Return `p_lens` and `p_compound` of the scored objects, `[object, 2]`."""
    table = table.filter(table["p_lens"].is_valid())
    unknown = pa.nulls(table.num_rows, pa.float32())
    columns = (table["p_lens"], table["p_compound"] if "p_compound" in table.column_names else unknown)
    return np.stack([np.asarray(column.fill_null(float("nan")), np.float32) for column in columns], axis=1)


def _word(passes: object) -> str:
    return "yes" if passes else "no"


def main() -> None:
    settings = Settings.read()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", default=settings.ensemble)
    parser.add_argument("--scratch", type=Path, required=True, help="folder of `natural_objects`")
    parser.add_argument(
        "--sample", type=Path, help="scores of `lensscan models nonlenses`, in place of both sets of non-lenses"
    )
    parser.add_argument("--sample-n", type=int, default=100_000)
    parser.add_argument("--sample-seed", type=int, default=2101)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    package = find_package(options.ensemble, settings.ensembles_dir)
    card = read_card(package)
    if options.sample:
        scored = read_with_sample(package, options.scratch, options.sample, options.sample_n, options.sample_seed)
    else:
        scored = read(package, options.scratch)
    if not isinstance(card.combiner, SoftmaxStack):
        parser.error(f"{card.name} is not calibrated")
    numbers = (scored.nonlenses.num_rows, scored.lenses.num_rows, scored.calibration.num_rows)
    lines = [_INTRODUCTION.format(commit(), card.name, card.sha256, N_NONLENSES, *numbers)]
    for share in (1 - dict(LENS_SHARES)["single"] / sum(dict(LENS_SHARES).values()), card.combiner.assumed_compound_share):
        lines += judge(scored, card, share, default_rng(SEED))
    options.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
