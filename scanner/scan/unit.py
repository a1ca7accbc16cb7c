"""Scan a unit into a table with one row per object; workers call this module, which does not use Ray."""

import contextlib
from contextlib import AbstractContextManager

import pyarrow as pa

from infra.steps import Step, reached
from scanner.catalogue.columns import unit_schema
from scanner.catalogue.unit_inputs import check_unchanged
from scanner.scan.batch_reader import WAIT
from scanner.scan.errors import ScanError
from scanner.scan.open_unit import OpenUnit
from scanner.scan.scoring import CutoutScanner, ScoredRows
from scanner.scan.skipped_rows import with_skipped_rows
from scanner.vocabulary.metrics import WorkStage
from scanner.vocabulary.rejections import Rejection


def scan_unit(
    opened: OpenUnit, scanner: CutoutScanner, night: str, turn: AbstractContextManager[None] | None = None
) -> pa.Table:
    """Return one row of `unit_schema` per row that the unit owns, in the order of its files; skipped rows among them.

    All rows that the plan scores must be read, or rejected unread.

    Every row of a tile with a damaged mosaic, or of a damaged shard, is rejected, but only after a second read, because the
    damage may come from the transfer.

    Args:
        opened: The unit, and its rows.
        scanner: Scorer of the rows.
        night: Night of the catalogue, or an empty text.
        turn: Entered while the networks score; maps are made after it.

    Raises:
        InputChangedError: a file was changed or removed since the unit was opened.
        ScanError: not all of these rows are read, or a network output a value that is not a probability.
    """
    n_needed = opened.unit.n_selected
    if opened.n_rows != n_needed:
        raise ScanError(f"unit {opened.unit.unit_id}: a scan needs all {n_needed} rows, {opened.n_rows} are selected")
    with turn or contextlib.nullcontext(), opened.watch.timed(WorkStage.NETWORKS, without=WAIT):
        scored = _scored(opened, scanner)
    with opened.watch.timed(WorkStage.READ):
        # After the last read: a file that replaced a planned one before or amid a read may be read without an error.
        check_unchanged(opened.unit)
    with opened.watch.timed(WorkStage.MAPS):
        scores = scanner.explained(scored)
    if scores.num_rows != opened.n_rows:
        raise ScanError(f"unit {opened.unit.unit_id}: {opened.n_rows} rows went in, {scores.num_rows} came out")
    table = _with_identity(with_skipped_rows(scores, opened.is_selected), opened, scanner, night)
    reached(Step.SCORED, opened.unit.unit_id)
    return table


def _scored(opened: OpenUnit, scanner: CutoutScanner) -> ScoredRows:
    with contextlib.suppress(Rejection):
        return scanner.scored(opened.batches)
    # The first exception is gone here: its traceback would keep the first reader and its pixels in memory.
    opened.batches.restart()
    try:
        return scanner.scored(opened.batches)
    except Rejection as rejection:
        return scanner.refused(opened.n_rows, rejection)


def _with_identity(scores: pa.Table, opened: OpenUnit, scanner: CutoutScanner, night: str) -> pa.Table:
    n_rows = opened.unit.n_rows
    known = {
        **opened.identity,
        "tile": pa.repeat(pa.scalar(opened.unit.unit_id, pa.string()), n_rows),
        "night": pa.repeat(pa.scalar(night, pa.string()), n_rows),
    }
    schema = unit_schema(
        scanner.network_names, maps=scanner.has_maps, carried=opened.carried, embeddings=scanner.has_embeddings
    )
    columns = {name: scores[name] for name in scores.column_names}
    columns |= {field.name: known[field.name] for field in schema if field.name in known}
    return pa.table([columns[field.name] for field in schema], schema=schema)
