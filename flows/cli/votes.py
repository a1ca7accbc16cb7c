"""The commands about the votes of graders: show, merge and write."""

from cyclopts import App

from flows.cli.app import app

votes = App(name="votes", help="Votes of graders in a catalogue: show what they say, merge, write.")
app.command(votes)


@votes.command(name="show")
def show_votes(catalogue: str, *, json: bool = False) -> None:
    """Print what the votes in a catalogue say: graders, their agreement, and how good each grader is.

    "Lenses found" is the share of the known lenses that a grader gave A or B, "false positives" that of the known non-lenses,
    "same again" the share of the objects that a grader saw again and gave the same grade, "bits" the information in a vote (0
    for guesses, at most 1), "seconds" the median time of a decision. The second table has the probability of each grade for
    lenses and for others, from all votes together. Intervals hold 95 %.

    For example: `lensscan votes show catalogue/`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        json: Print JSON instead of tables.
    """
    from dataclasses import asdict

    from flows.commands.votes import summary_of
    from flows.commands.votes_text import confusion_rows, skill_rows, summary_lines
    from flows.terminal import print_json, print_lines, print_table, print_text

    found = summary_of(catalogue)
    if json:
        print_json(asdict(found))
        return
    print_lines(summary_lines(found))
    if not found.graders:
        print_text("No grade counts: all were taken back.")
        return
    for title, rows in (("Graders", skill_rows(found)), ("Grades of lenses and others", confusion_rows(found))):
        print_table(title, list(rows[0]), rows)


@votes.command(name="merge")
def merge_votes(catalogue: str, *sources: str, json: bool = False) -> None:
    """Add votes to a catalogue: those that grading pages let graders download, and those of other catalogues.

    A vote that is there already is left alone, so the same command may run twice. If a vote is wrong or contradicts another,
    nothing is added.

    For example: `lensscan votes merge catalogue/ ann.csv bob.csv`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        sources: CSV files of votes, and catalogues that were graded.
        json: Print JSON instead of a sentence.
    """
    from dataclasses import asdict

    from flows.commands.votes import merge_into
    from flows.commands.words import counted
    from flows.terminal import print_json, print_text

    done = merge_into(catalogue, sources)
    if json:
        print_json(asdict(done))
    else:
        print_text(f"{counted(done.n_added, 'act')} added, {done.n_known:,} known already")


@votes.command(name="write")
def write_votes(catalogue: str, file: str, *, acts: bool = False, overwrite: bool = False, json: bool = False) -> None:
    """Write the grade of each graded object to a file, or every act of the graders.

    The ending of the name says the format: `.parquet`, `.csv`, `.fits`, `.vot` (VOTable) or `.json`. To write all candidates
    with their grades: `lensscan export --grades`.

    For example: `lensscan votes write catalogue/ grades.csv`

    or: `lensscan votes write catalogue/ votes.csv --acts`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        file: File to write.
        acts: Write every act, with comments, to a CSV file that `lensscan votes merge` reads.
        overwrite: Replace the file if it exists.
        json: Print JSON instead of a sentence.
    """
    from flows.commands.votes import write_acts, write_grades
    from flows.commands.words import counted
    from flows.terminal import print_json, print_text

    n = (write_acts if acts else write_grades)(catalogue, file, overwrite=overwrite)
    if json:
        print_json({"rows": n, "file": file})
    else:
        print_text(f"{counted(n, 'row')} written to {file}")
