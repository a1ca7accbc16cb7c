"""The commands that send candidates to Zooniverse and take its classifications."""

from typing import Annotated

from cyclopts import App, Parameter

from flows.cli.app import app
from flows.cli.candidates import ALL_CANDIDATES, CandidateOptions, Most
from infra.private_apis import arrow_without_pandas

zooniverse = App(name="zooniverse", help="Candidates for volunteers of Zooniverse: export pictures, import classifications.")
app.command(zooniverse)

MOST_SUBJECTS = 1000
"""Number of candidates that are exported by default: thousands of pictures take gigabytes of memory, and volunteers' weeks."""


@zooniverse.command(name="export")
def export_to_zooniverse(
    catalogue: str,
    folder: str,
    *,
    chosen: CandidateOptions = ALL_CANDIDATES,
    limit: Most = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write pictures of candidates and a manifest, which a project on Zooniverse takes as a subject set.

    A picture shows VIS and colour, with the same stretches for all objects, in less than 1 MB. Names of files tell neither
    score nor place; columns that begin with `#` are hidden from volunteers, and an import needs them unchanged.

    For example: `lensscan zooniverse export catalogue/ subjects/ --top 1000`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        folder: Local folder to write to.
        chosen: The candidates to write; those without stored pixels are left out.
        limit: Largest number of rows; 1000 by default.
        overwrite: Replace the manifest if the folder holds one.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.commands.words import counted
    from flows.commands.zooniverse import export_subjects
    from flows.terminal import print_json, print_text

    arrow_without_pandas()
    done = export_subjects(catalogue, chosen.wanted(limit or MOST_SUBJECTS, catalogue), folder, overwrite=overwrite)
    if json:
        print_json(asdict(done))
        return
    without = f"; {counted(done.n_without_picture, 'row')} without stored pixels left out" if done.n_without_picture else ""
    print_text(f"{counted(done.n_subjects, 'subject')} written to {folder}, {done.n_bytes / 1e6:.1f} MB{without}")


@zooniverse.command(name="import")
def import_from_zooniverse(
    catalogue: str,
    file: str,
    *,
    workflow: str | None = None,
    task: str = "T0",
    answer: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    reason_task: str | None = None,
    comment_task: str | None = None,
    json: bool = False,
) -> None:
    """Add the classifications that Zooniverse exports as CSV to the votes of a catalogue.

    A classification that is there already is left alone, so a later export of the same project may be imported, too. A row
    whose subject was changed after `zooniverse export` is refused, and then nothing is added. Volunteers get names such as
    `zooniverse-1234`, from their number.

    For example: `lensscan zooniverse import catalogue/ classifications.csv --answer "Lens=B" --answer "No lens=X"`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        file: Export of classifications, the data export of the project or of a workflow.
        workflow: Id of the workflow; by default all.
        task: Task of the grade.
        answer: An answer and its grade, as in `Lens=B`, once for each answer; an answer that is not named must begin with its
            grade, as in "A: sure lens".
        reason_task: Task of the reason for X, whose answers are merger, spiral, ring, edge-on, artefact, star, other.
        comment_task: Task whose text is a comment.
        json: Print JSON instead of a sentence.
    """
    from flows.commands.words import counted
    from flows.commands.zooniverse import answers_of, import_classifications
    from flows.terminal import print_json, print_text
    from scanner.review.zooniverse.classifications import Tasks

    tasks = Tasks(task, reason_task, comment_task, answers_of(answer), workflow)
    found, merged = import_classifications(catalogue, file, tasks)
    counts = {
        "n_added": merged.n_added,
        "n_known": merged.n_known,
        "n_of_others": found.n_other,
        "n_unanswered": found.n_unanswered,
    }
    if json:
        print_json(counts)
        return
    left_out = f"{found.n_other:,} of other subjects or workflows, {found.n_unanswered:,} without an answer to {task}"
    print_text(f"{counted(merged.n_added, 'act')} added, {merged.n_known:,} known already; left out: {left_out}")
