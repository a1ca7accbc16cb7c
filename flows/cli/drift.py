"""The commands about what the networks see in a night: `drift`, and the reference that it is measured against."""

from flows.cli.app import Night, app
from flows.cli.models import models

COLUMNS = ("night", "tile", "quantity", "objects", "index", "by chance", "p of chance", "differs")
"""Columns of the table."""


@app.command
def drift(catalogue: str, *, night: Night | None = None, tiles: bool = False, json: bool = False) -> None:
    """Say whether a night differs from the reference of its ensemble: seeing, depth, calibration or objects may have changed.

    The stability index compares the histogram of the night with that of simulated non-lenses, for the log-odds of `p_lens`,
    the anomaly, and the first axes of embeddings. It is 0 for equal histograms. Below 0.1 beyond what chance makes of it,
    nothing has changed; from 0.25 on, much has.

    For example: `lensscan drift catalogue/ --night 2026-11-24`

    or: `lensscan drift catalogue/ --tiles --json`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        night: This night only, YYYY-MM-DD, or `undated` for scans without a night; by default every night that has embeddings.
        tiles: Print every tile; by default those that differ.
        json: Print JSON with all tiles instead of a table.
    """
    from flows.commands.drift import drifts_of, rows_of, sentences_of
    from flows.terminal import print_json, print_table, print_text, terminal_progress
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    with terminal_progress("reading", quiet=json) as report:
        found = drifts_of(catalogue, None if night is None else str(night), report)
    if json:
        print_json([{**of.model_dump(mode="json"), "differs": of.differs} for of in found])
        return
    print_table("", COLUMNS, rows_of(found, COLUMNS, all_tiles=tiles))
    for sentence in sentences_of(found):
        print_text(sentence)


@models.command
def reference(ensemble: str, *shards: str, out: str | None = None, description: str | None = None, json: bool = False) -> None:
    """Give an ensemble the reference that embeddings, anomalies and `drift` need, from shards that no network was trained on.

    The axes of embeddings are those on which the features of the networks are largest, `p_lens` first. A file
    beside the card, which names it and its digest, holds them, some objects to compare with, and histograms.
    Scores and the digest of the ensemble stay the same.

    For example: `lensscan models reference mine data/natural data/broad`

    Args:
        ensemble: Name or folder of an ensemble.
        shards: Folders or `s3://` prefixes of shards with truth, of seeds that the ensemble was not trained or calibrated with.
            The non-lenses of the first, which should be like the objects of a night, make the histograms.
        out: Folder to copy the package to; by default the ensemble's own folder. A shipped ensemble, which never changes,
            needs it.
        description: Origin of the shards, for the card; by default their names.
        json: Print JSON instead of text.
    """
    from flows.commands.reference import make_reference
    from flows.terminal import print_json, print_lines, terminal_progress
    from training.errors import TrainingError

    if not shards:
        raise TrainingError("models reference needs shards: name at least one folder")
    with terminal_progress("scoring", quiet=json) as report:
        result = make_reference(ensemble, shards, out, description, report)
    print_json(result) if json else print_lines(result)
