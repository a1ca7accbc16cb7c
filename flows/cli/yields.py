"""The commands that say what lists of candidates are worth: `yield`, and the sample of non-lenses that guarantees need."""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.app import Fraction, Night, NotNegative, Positive, app
from flows.cli.arguments import warn
from flows.cli.models import models

COLUMNS = ("p_lens >=", "rows", "foreseen", "lenses", "contaminants", "per lens", "lenses, estimated", "per lens, estimated")
"""Columns of the table; `--json` has the intervals of all numbers."""
SEED = 27_000_001
"""Seed of the simulated non-lenses, far from the seeds that people train with."""


@app.command(name="yield")
def yield_of(
    catalogue: str,
    *,
    night: Night | None = None,
    cut: Annotated[tuple[Fraction, ...], Parameter(negative=())] = (),
    json: bool = False,
) -> None:
    """Print how many lenses and contaminants the lists of a night should hold, for several cuts in `p_lens`.

    Lenses are expected at the prevalence that `p_lens` assumes, and at one that the scores of the night tell, by maximum
    likelihood. Brackets hold 95 % intervals for the list at hand. `foreseen` is the length that the evaluation of the ensemble
    foretells: where `rows` lies outside, the night's objects are of another mixture than the evaluated ones.

    For example: `lensscan yield catalogue/ --night 2026-11-24`

    or: `lensscan yield catalogue/ --cut 0.01 --cut 0.2 --json`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        night: Night of the lists, YYYY-MM-DD, or `undated` for scans without a night; needed if the catalogue has several.
        cut: Smallest `p_lens` of a list; by default that of the candidates, and the higher cuts of the evaluation.
        json: Print JSON instead of a table.
    """
    from flows.commands.yields import rows_of, sentences_of, yield_of_night
    from flows.terminal import print_json, print_table, print_text, terminal_progress
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    with terminal_progress("reading", quiet=json) as report:
        found = yield_of_night(catalogue, None if night is None else str(night), cut, report)
    if found.warning:
        warn(found.warning)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    print_table(f"Night {found.night}, {found.n_scored} scored rows", COLUMNS, rows_of(found, COLUMNS))
    for sentence in sentences_of(found):
        print_text(sentence)


@models.command
def nonlenses(
    *,
    ensemble: str | None = None,
    n: Positive = 100_000,
    seed: NotNegative = SEED,
    scores: str | None = None,
    out: str | None = None,
    workers: Positive | None = None,
    json: bool = False,
) -> None:
    """Score many simulated non-lenses, so that lists of candidates can have a guaranteed purity (`query --fdr`).

    Objects are simulated, scored and forgotten: only scores are kept. The highest go into a file beside the card, which names
    it and its digest. After a kill, the same command continues with the missing objects.

    For example: `lensscan models nonlenses --ensemble mine --n 200000`

    Args:
        ensemble: Name or folder of an ensemble; the configured one by default.
        n: Number of non-lenses, in the shares of the preset `euclid`.
        seed: Seed of the objects, which must not be one that the networks were trained or evaluated with.
        scores: Folder or `s3://` prefix of the scores on the way; by default nonlenses-NAME in the working folder.
        out: Folder to copy the package to; by default the ensemble's own folder. A shipped ensemble, which never changes,
            needs it.
        workers: Number of processes; by default the setting `workers`.
        json: Print JSON instead of text.
    """
    from flows.commands.nonlenses import sample_nonlenses
    from flows.terminal import print_json, print_lines, terminal_progress

    with terminal_progress("scoring", quiet=json) as report:
        result = sample_nonlenses(ensemble, n, seed, scores, out, workers, report)
    print_json(result) if json else print_lines(result)
