"""`make mutants`: test whether the tests detect defects, those of an audit and a sample of small ones in core modules.

Writes `report.json` and `REPORT.md` beside this file, unless only a part is run. Fails if a defect of the audit survives,
if too many mutants of a sample survive, or if the list of equivalent mutants is stale. If it is killed and started again with
the same code, it resumes where it stopped.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from tests.circumstances import commit
from tests.mutants.campaign import PACKAGES, Campaign, audit_jobs, held_out_jobs, progress_file, sample_jobs, say
from tests.mutants.modules import MODULES
from tests.mutants.report import (
    Circumstances,
    as_json,
    as_markdown,
    complaints,
    read_equivalents,
    survivors,
    write,
)
from tests.mutants.sampling import FIRST_SEED, HELD_OUT_SEED
from tests.mutants.trees import Tree

ROOT = Path(__file__).parents[2]
REPORT = Path(__file__).with_name("report.json")


def _arguments(arguments: Iterable[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--audit-only", action="store_true", help="run only the audit's defects")
    parser.add_argument("--sample-only", action="store_true", help="run only the sampled mutants")
    parser.add_argument("--modules", nargs="+", metavar="PATH", help="run only sampled mutants of these modules")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED, help="seed of the held-out sample (default %(default)s)")
    parser.add_argument("--copies", type=int, default=2, help="number of mutants that run at a time")
    parser.add_argument("--fresh", action="store_true", help="discard the results of an earlier run of the same code")
    parser.add_argument("--list", action="store_true", help="list the mutants without running them")
    parser.add_argument("--report", type=Path, help="file for the report (default: report.json, if everything is run)")
    found = parser.parse_args(None if arguments is None else list(arguments))
    known = [module.path for module in MODULES]
    if unknown := sorted(set(found.modules or ()) - set(known)):
        parser.error(f"modules must be among {', '.join(known)}, got {', '.join(unknown)}")
    if found.seed == FIRST_SEED:
        parser.error(f"--seed must not be {FIRST_SEED}, the seed of the sample against which tests were written")
    if found.copies < 1:
        parser.error(f"--copies must be >= 1, got {found.copies}")
    return found


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the requested mutants; return 0 if the run found nothing wrong, else 1."""
    asked = _arguments(arguments)
    start, code = time.monotonic(), commit()
    with ExitStack() as cleanup:
        folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))
        trees = [cleanup.enter_context(closing(Tree(ROOT, Path(folder, str(i))))) for i in range(asked.copies)]
        root = trees[0].root
        # Read the copy, not the working tree, which may change during the run.
        paths = asked.modules or [module.path for module in MODULES]
        jobs = [] if asked.sample_only or asked.modules else audit_jobs(root)
        jobs += [] if asked.audit_only else [*sample_jobs(root, paths), *held_out_jobs(root, paths, asked.seed)]
        if asked.list:
            for job in jobs:
                say(f"{job.path} {job.what}: {job.line} -> {job.becomes}")
            return 0
        trees[0].check_imports(*PACKAGES)
        progress = progress_file(root, ROOT / "build")
        if asked.fresh:
            progress.unlink(missing_ok=True)
        results = Campaign(jobs, trees, progress).results()
    equivalents = read_equivalents()
    words = sys.argv[1:] if arguments is None else arguments
    # If this run resumed an earlier one, the clock covers only the last part.
    wall_s = max(time.monotonic() - start, sum(result.seconds for result in results) / asked.copies)
    run = Circumstances(" ".join(["python -m tests.mutants", *words]), code, wall_s, asked.seed)
    report = as_json(results, equivalents, run)
    say(as_markdown(report))
    is_whole = not (asked.audit_only or asked.sample_only or asked.modules)
    if asked.report or is_whole:
        write(report, asked.report or REPORT)
    wrong = complaints(results, equivalents, asked.seed)
    for survivor in survivors(results, equivalents):
        say(f"survives: {survivor.path} {survivor.what}: {survivor.line} -> {survivor.becomes}")
    for line in wrong:
        say(f"wrong: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
