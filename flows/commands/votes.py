"""Summarise, merge and write the votes of a catalogue, for `lensscan votes`."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import LensscanError
from infra.store.files import replace_whole
from infra.store.storage import absolute
from scanner.catalogue.columns import OBJECT_ID, POSITION_COLUMNS
from scanner.catalogue.export import export, export_path
from scanner.catalogue.plan import plan_ids
from scanner.catalogue.query import query
from scanner.catalogue.shown import shown_plans
from scanner.review.votes.errors import VoteError
from scanner.review.votes.graded import graded_ids, graded_objects
from scanner.review.votes.log import VoteLog
from scanner.review.votes.merge import Merged, merge, votes_in
from scanner.review.votes.priors import priors
from scanner.review.votes.summary import VotesSummary, summary
from scanner.review.votes.vote import Vote
from scanner.review.votes.vote_csv import as_csv

SEED = 1
"""Seed of the intervals, so that two calls say the same."""


class VotesArgumentsError(LensscanError):
    """The arguments of a command about votes do not fit together."""


def summary_of(catalogue: str) -> VotesSummary:
    """Return the summary of a catalogue's votes.

    Raises:
        VoteError: there are none, one is damaged, or votes contradict each other.
    """
    acts = _acts(catalogue)
    return summary(acts, priors(absolute(catalogue), graded_ids(acts)), SEED)


def merge_into(catalogue: str, sources: Sequence[str]) -> Merged:
    """Append the votes of CSV files and of other catalogues to the log of a catalogue.

    Raises:
        VotesArgumentsError: no source is named, or the target is no catalogue.
        VoteError: a vote is wrong or contradicts another; nothing is written then.
    """
    if not sources:
        raise VotesArgumentsError("votes merge needs the votes to add: name CSV files, or catalogues that were graded")
    return merge(existing_log(catalogue), [vote for source in sources for vote in votes_in(source)])


def existing_log(catalogue: str) -> VoteLog:
    """Return the log of a catalogue, or of a folder that holds votes: a misspelt name must not make a new one.

    Raises:
        VotesArgumentsError: it is neither.
    """
    log = VoteLog(catalogue)
    if not plan_ids(log.root_uri) and not log.votes():
        raise VotesArgumentsError(f"{catalogue}: no catalogue; name the folder or prefix given to `lensscan scan --out`")
    return log


def write_grades(catalogue: str, file: str, *, overwrite: bool) -> int:
    """Write a row for each graded object, in the format of the file's ending; return the number of rows."""
    target = export_path(file, "FILE", overwrite=overwrite)
    _acts(catalogue)
    graded = _with_places(graded_objects(absolute(catalogue)), absolute(catalogue))
    export(graded, target, catalogue)
    return int(graded.num_rows)


def _with_places(graded: pa.Table, root_uri: str) -> pa.Table:
    """Return graded objects with their names and positions, from the newest night, for programs that join tables by these."""
    columns = POSITION_COLUMNS[:3]
    found = pa.schema([column.field() for column in (OBJECT_ID, *columns)]).empty_table()
    if any(shown_plans(root_uri).values()) and graded.num_rows:
        newest = ", ".join(f"arg_max({column.name}, coalesce(night, DATE '-infinity')) AS {column.name}" for column in columns)
        ids = ", ".join(map(str, graded["object_id"].to_pylist()))
        found = query(root_uri, sql=f"SELECT object_id, {newest} FROM scores WHERE object_id IN ({ids}) GROUP BY object_id")  # noqa: S608
    rows = found.take(pc.index_in(graded["object_id"], found["object_id"].combine_chunks()))
    for place, column in enumerate(columns, 1):
        graded = graded.add_column(place, column.field(), rows[column.name].cast(column.type))
    return graded


def write_acts(catalogue: str, file: str, *, overwrite: bool) -> int:
    """Write every act to a CSV file that `votes merge` reads; return their number."""
    target = export_path(file, "FILE", overwrite=overwrite)
    if target.suffix.lower() != ".csv":
        raise VotesArgumentsError(f"with --acts, FILE must end in .csv, got {file}")
    acts = _acts(catalogue)
    _write(target, as_csv(acts))
    return len(acts)


def _write(path: Path, text: str) -> None:
    # The byte order mark tells spreadsheets that this is UTF-8.
    with replace_whole(path) as part:
        part.write_bytes(text.encode("utf-8-sig"))


def _acts(catalogue: str) -> list[Vote]:
    """Return all acts in the log of a catalogue, at least one."""
    acts = VoteLog(catalogue).votes()
    if not acts:
        raise VoteError(f"{catalogue}: holds no votes; is it the folder or prefix given to `lensscan scan --out`?")
    return acts
