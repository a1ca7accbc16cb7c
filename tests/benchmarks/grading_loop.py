"""Grades of a night with look-alikes that the networks have never seen: what training on 500 of them gains, and what it costs.

    python -m tests.benchmarks.grading_loop DIR [--old SHARDS] [--ensemble mer3-sim] [--lookalike ring_galaxy]

The night holds objects of the preset `euclid` and look-alikes of the preset `broad`, of a class that fools the ensemble. Three
simulated graders who err give grades to the best 500 candidates; `lensscan train --with-grades` continues the training. Both
ensembles then score other objects of both populations. Writes GRADING_LOOP.md beside this file.
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.progress import no_progress
from infra.settings import Settings
from scanner.catalogue.query import query
from scanner.catalogue.wanted import Wanted
from scanner.networks.engines import resolve_engine
from scanner.networks.locate import find_package
from scanner.networks.package import load_scorer
from scanner.review.votes.grades import GRADES
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import Vote, subject_of
from scanner.sources.shards import ROWS_PER_SHARD, encode_shard
from tests.circumstances import commit
from training.evaluation.evaluate import inspected_per_lens
from training.evaluation.metrics import auroc, binomial_interval, recall_at_false_positives, threshold_at_rate
from training.evaluation.shard_scores import score_shards, shard_footers

RESULTS = Path(__file__).with_name("GRADING_LOOP.md")
N_GRADED, N_OLD, N_NIGHT, N_NEW, N_HELD, N_HELD_NEW = 500, 12_000, 2400, 2400, 3000, 600
N_LENSES = 60
"""Number of the night's lenses that are kept: most candidates of a night are no lenses."""
NEW_SHARE = 0.01
"""Share of a night's objects that are the new look-alike; the rest are the objects that the networks know."""
PREVALENCE = 1 / 2000
GRADERS = {
    "careful": ((0.62, 0.22, 0.11, 0.05), (0.01, 0.04, 0.15, 0.80)),
    "bold": ((0.70, 0.20, 0.06, 0.04), (0.05, 0.12, 0.23, 0.60)),
    "tired": ((0.40, 0.25, 0.20, 0.15), (0.02, 0.08, 0.20, 0.70)),
}
"""Probabilities of A, B, C and X for a lens, and for another object."""
EPOCHS, LEARNING_RATE = 2, 1e-4


def run(*arguments: str) -> None:
    """Run `lensscan`; stop if it fails."""
    subprocess.run([sys.executable, "-m", "lensscan", *arguments], check=True, stdout=subprocess.DEVNULL)


def simulated(folder: Path, preset: str, kinds: str | None, n: int, seed: int) -> pa.Table:
    """Return simulated objects in one table of shards' columns; a second call finds their files."""
    chosen = ["--kinds", kinds] if kinds else []
    run(
        "simulate", "--preset", preset, *chosen, "--n", str(n), "--seed", str(seed), "--geometry", "mer10", "--out", str(folder)
    )
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])


def with_few_lenses(table: pa.Table) -> pa.Table:
    """Return the first `N_LENSES` lenses of a table and all its other objects."""
    is_lens = np.array(table["kind"].to_pylist()) != "nonlens"
    return table.filter(pa.array(~is_lens | (np.cumsum(is_lens) <= N_LENSES)))


def written(table: pa.Table, folder: Path) -> Path:
    """Write a table as shards; its objects get new ids from 1 on, because two data sets number theirs alike."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = pa.array(np.arange(table.num_rows) + 1, pa.int64())
    numbered = table.set_column(0, table.schema.field("object_id"), ids)
    for number, start in enumerate(range(0, numbered.num_rows, ROWS_PER_SHARD)):
        (folder / f"shard-{number:05}.parquet").write_bytes(encode_shard(numbered.slice(start, ROWS_PER_SHARD)))
    return folder


def grade(catalogue: str, night: pa.Table, rng: np.random.Generator) -> dict[str, int]:
    """Let the graders grade the best candidates; return how many of these are lenses and others."""
    best = query(catalogue, Wanted(limit=N_GRADED))["object_id"].to_pylist()
    kinds = dict(enumerate(night["kind"].to_pylist(), start=1))
    log, at = VoteLog(catalogue), datetime(2026, 1, 1, tzinfo=UTC)
    for grader, (of_lens, of_other) in GRADERS.items():
        for number, object_id in enumerate(best):
            chance = of_other if kinds[object_id] == "nonlens" else of_lens
            grade_given = GRADES[rng.choice(4, p=chance)]
            log.append(
                Vote(
                    act_id=rng.bytes(16).hex(),
                    act="grade",
                    grader=grader,
                    subject=subject_of(object_id),
                    object_id=object_id,
                    grade=grade_given,
                    is_compound=grade_given in "AB" and kinds[object_id] in {"compound_arc", "double_ring"},
                    graded_at=at + timedelta(seconds=number),
                )
            )
    n_lenses = sum(kinds[i] != "nonlens" for i in best)
    return {"lenses": n_lenses, "others": len(best) - n_lenses}


def scores(folder: Path, ensemble: str | Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return `p_lens` and whether it is a lens of each object in a folder of shards."""
    package = find_package(str(ensemble), Settings.read().ensembles_dir)
    scorer = load_scorer(package, resolve_engine("auto"), checks_pixels=False)
    found, truth = score_shards(shard_footers(str(folder)), scorer, no_progress)
    is_lens = np.array([kind != "nonlens" for kind in truth["kind"].to_pylist()])
    return found["p_lens"].to_numpy().astype(np.float64), is_lens


def per_lens_in_both(p: NDArray[np.float64], is_lens: NDArray[np.bool_], p_new: NDArray[np.float64], share: float) -> float:
    """Return the objects to inspect per lens, where a share of the lenses is found, in a night with new look-alikes."""
    threshold = np.quantile(p[is_lens], 1 - share)
    known, new, found = (float(np.mean(values >= threshold)) for values in (p[~is_lens], p_new, p[is_lens]))
    return 1 + (1 - PREVALENCE) / PREVALENCE * ((1 - NEW_SHARE) * known + NEW_SHARE * new) / found


def figures(old: Path, new: Path, ensemble: str | Path) -> dict[str, str]:
    """Return a column of the table."""
    (p, is_lens), (p_new, _) = scores(old, ensemble), scores(new, ensemble)
    few = int(0.01 * np.sum(~is_lens))
    threshold = threshold_at_rate(p, is_lens, 0.05)
    passed = int(np.sum(p_new > threshold))
    low, high = binomial_interval(passed, len(p_new))
    told = {
        "old objects: AUROC": f"{auroc(p, is_lens):.4f}",
        "old objects: recall at 1 % false positives": f"{recall_at_false_positives(p, is_lens, few):.3f}",
    }
    for share in (0.5, 0.75):
        of_old = inspected_per_lens(p, is_lens, PREVALENCE, share)
        told[f"old objects: inspected per lens, {share:.0%} found"] = f"{of_old.value:.1f} ({of_old.low:.1f}-{of_old.high:.1f})"
    told["new look-alikes above the 5 % threshold"] = f"{passed / len(p_new):.3f} ({low:.3f}-{high:.3f})"
    for share in (0.5, 0.75):
        told[f"night with both: inspected per lens, {share:.0%} found"] = f"{per_lens_in_both(p, is_lens, p_new, share):.1f}"
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--old", type=Path, help="training shards of the preset euclid, instead of new ones")
    parser.add_argument("--ensemble", default="mer3-sim")
    parser.add_argument("--lookalike", default="ring_galaxy")
    asked = parser.parse_args()
    made, new = asked.folder, {"preset": "broad", "kinds": asked.lookalike}
    old = asked.old or made / "old"
    if asked.old is None:
        simulated(old, "euclid", None, N_OLD, 71)
    known = with_few_lenses(simulated(made / "night-old", "euclid", None, N_NIGHT, 72))
    night = pa.concat_tables([known, simulated(made / "night-new", n=N_NEW, seed=73, **new)])
    catalogue = str(made / "catalogue")
    run("scan", str(written(night, made / "night")), "--out", catalogue, "--ensemble", asked.ensemble, "--maps", "0")
    counted = grade(catalogue, night, np.random.default_rng(74))
    options = ["--preset", "flagship", "--epochs", str(EPOCHS), "--learning-rate", str(LEARNING_RATE)]
    begun = ["--start-from", asked.ensemble, "--with-grades", catalogue]
    run("train", str(old), "--out", str(made / "runs"), "--name", "graded", *options, *begun)
    held = written(simulated(made / "held-old", "euclid", None, N_HELD, 75), made / "held")
    held_new = written(simulated(made / "held-new", n=N_HELD_NEW, seed=76, **new), made / "held-lookalikes")
    table = {name: figures(held, held_new, name) for name in (asked.ensemble, made / "runs" / "graded")}
    gain = json.loads((made / "runs" / "graded" / "grades.json").read_text(encoding="utf-8"))
    RESULTS.write_text(text_of(list(table.values()), counted, gain, asked), encoding="utf-8")
    sys.stdout.write(RESULTS.read_text(encoding="utf-8"))


def text_of(columns: list[dict[str, str]], counted: dict[str, int], gain: dict, asked: argparse.Namespace) -> str:
    """Return the page of results."""
    before, after = columns
    rows = [f"| {name} | {before[name]} | {after[name]} |" for name in before]
    held = gain["graded"]
    own = [
        f"{held[when]['auroc']:.3f} and {held[when]['inspected_per_lens']['0.75']['value']:.2f} {when}"
        for when in ("before", "after")
    ]
    return (
        "# The loop of grades\n\n"
        f"Written by `python -m tests.benchmarks.grading_loop DIR`, commit {commit():.12}. The night holds {N_LENSES} lenses, "
        f"{N_NIGHT // 2} other objects of the preset `euclid`, and {N_NEW} look-alikes `{asked.lookalike}` of the preset "
        f"`broad`. Three simulated graders graded the best {N_GRADED} candidates at most: {counted['lenses']} lenses and "
        f"{counted['others']} others. Training went on for {EPOCHS} epochs at a peak rate of {LEARNING_RATE:g}. Held-out "
        f"objects: {N_HELD} of `euclid`, {N_HELD_NEW} look-alikes; brackets hold 95 % intervals. A night with both holds one "
        f"lens in {1 / PREVALENCE:.0f} objects and {NEW_SHARE:.0%} new look-alikes.\n\n"
        f"| figure | {asked.ensemble} | after the grades |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"On the {held['n_lenses']} lenses and {held['n_others']} others by the grades held out, the command itself reports an "
        f"AUROC, and objects inspected per lens where three quarters of the lenses are found, of {own[0]}, {own[1]}.\n"
    )


if __name__ == "__main__":
    main()
