"""Score cutouts with an ensemble, a batch at a time."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.plan import ScanConfig
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Cascade, FirstStage, Scorer
from scanner.networks.engines import ResolvedEngineName, fast_precision, resolve_engine
from scanner.networks.ensemble import EnsembleScores, joined
from scanner.networks.errors import PackageError
from scanner.networks.feature_reference import FeatureReference, read_reference
from scanner.networks.package import load_candidate_stage, load_first_stage, load_package, load_scorer
from scanner.scan.batch_reader import BatchReader
from scanner.scan.best_candidates import CandidateMapping, FoundCandidates
from scanner.scan.committee_sweep import CommitteeSweep, make_committee_sweep
from scanner.scan.late_mapper import LateMapper
from scanner.scan.score_table import ScoreTable
from scanner.scan.sweep import (
    CASCADE_MARGIN,
    ScoringEnsemble,
    Sweep,
    SweepCount,
    SweepError,
    make_sweep,
)
from scanner.sources.batches import CutoutBatch, joined_batches
from scanner.sources.registration_notes import BatchNotes, with_registration
from scanner.vocabulary.rejections import Rejection

RECORDED_PRECISION: Final = "float32"
_STAGE_ROWS, _STAGE_BATCHES = 256, 4
"""Number of rows, and of batches if these have fewer rows, that the later stages of a cascade wait for.

Each stage sees few of them, and a network takes as long for a batch that is not full.
"""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredRows:
    """Rows with scores, without maps."""

    table: pa.Table
    found: FoundCandidates | None
    """The candidates among the rows, if maps are wanted."""


class CutoutScanner:
    """Scorer of cutouts with one ensemble; the other rows of a batch never change a row's scores."""

    def __init__(
        self,
        ensemble: ScoringEnsemble,
        batch_size: int = 64,
        sweep: Sweep | None = None,
        mapping: CandidateMapping | None = None,
        check_above: float | None = 0.0,
        reference: FeatureReference | None = None,
        committee_sweep: CommitteeSweep | None = None,
    ) -> None:
        """Keep the ensembles: `ensemble` scores every possible candidate and, without `sweep`, all other rows too.

        With `committee_sweep`, a cascade scores the rows that `sweep` chooses, and `ensemble` the possible candidates among
        these. With `mapping`, tables have the columns of maps too. Rows that `ensemble` gives a `p_lens` of at least
        `check_above` get `bands_shift_arcsec`, and a note in `detail` if their bands are misregistered; with None, no row is
        checked. With `reference`, rows that have the networks' features get an embedding and an anomaly.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {batch_size}")
        self.geometry = ensemble.geometry
        self.network_names = ensemble.network_names
        self.batch_size = batch_size
        self._ensemble = ensemble
        self._sweep, self._mapping, self._check_above = sweep, mapping, check_above
        self._reference, self._committee_sweep = reference, committee_sweep
        self.n_again = batch_size
        if committee_sweep is not None:
            self.n_again = min(_STAGE_BATCHES * batch_size, max(batch_size, _STAGE_ROWS))
        self.has_maps, self.has_embeddings = mapping is not None, reference is not None

    def with_batch_size(self, batch_size: int) -> "CutoutScanner":
        """Return the same scanner with another batch size, for use when memory is short; scores do not depend on it."""
        if batch_size == self.batch_size:
            return self
        kept = self._sweep, self._mapping, self._check_above, self._reference, self._committee_sweep
        return CutoutScanner(self._ensemble, batch_size, *kept)

    def score_batches(self, batches: BatchReader) -> pa.Table:
        """Return one output row (`score_fields`, then maps) per row of the batches, in the order of the rows' numbers.

        Raises:
            ScanError: a row is missing or repeated, or a network output a value that is not a probability.
        """
        return self.explained(self.scored(batches))

    def scored(self, batches: BatchReader) -> ScoredRows:
        """Return one row of `score_fields` per row of the batches, and the candidates among them, for `explained`.

        The batches are read again in the rare case that the error of the sweep is too large.

        Raises:
            ScanError: a row is missing or repeated, or a network output a value that is not a probability.
        """
        if self._sweep is None:
            return self._recorded(batches)
        try:
            return self._swept(batches, self._sweep)
        except SweepError as error:
            _LOG.warning("%s: every row of this unit is scored in %s", error, RECORDED_PRECISION)
        # The exception is gone here: its traceback would keep the first reader and its pixels in memory.
        batches.restart()
        return self._recorded(batches)

    def refused(self, n_rows: int, rejection: Rejection) -> ScoredRows:
        """Return `n_rows` rows, all rejected for one reason."""
        scored = ScoreTable(self.network_names, self._reference)
        scored.reject([(row, rejection) for row in range(n_rows)])
        return ScoredRows(scored.table(), self._found())

    def explained(self, scored: ScoredRows) -> pa.Table:
        """Return scored rows with the columns of maps, if this scanner makes them; several threads may call this at once."""
        if self._mapping is None or scored.found is None:
            return scored.table
        return self._mapping.with_maps(scored.table, scored.found)

    def _recorded(self, batches: Iterator[CutoutBatch]) -> ScoredRows:
        scored, found = ScoreTable(self.network_names, self._reference), self._found()
        for batch in batches:
            scored.reject(batch.rejected)
            if len(batch.rows):
                self._record(batch, scored, found)
        return ScoredRows(scored.table(), found)

    def _swept(self, batches: Iterator[CutoutBatch], sweep: Sweep) -> ScoredRows:
        scored, found, waiting = ScoreTable(self.network_names, self._reference), self._found(), _Waiting()
        possible, count = _Waiting(), SweepCount()
        for read in batches:
            scored.reject(read.rejected)
            if not len(read.rows):
                continue
            if count.is_over:
                self._record(read, scored, found)
                continue
            # The rows that are scored again need the same sky.
            batch = read.prepared()
            scores = sweep.ensemble.score(batch.stamps)
            chosen = sweep.needs_rescoring(batch.rows, scores.p_lens)
            is_swept, swept = np.arange(len(chosen)) < count.add(chosen), batch
            if not is_swept.all():
                self._record(batch.of(~is_swept), scored, found)
                swept, scores, chosen = batch.of(is_swept), scores.of(is_swept), chosen[is_swept]
            scored.put(swept.rows, self._unchecked(swept), scores, sweep.precision)
            waiting.add(swept, scores, chosen)
            if waiting.n_rows >= self.n_again:
                self._rescore(*waiting.take(), sweep, scored, found, possible)
        if waiting.n_rows:
            self._rescore(*waiting.take(), sweep, scored, found, possible)
        if possible.n_rows and self._committee_sweep:
            self._confirm(*possible.take(), sweep, self._committee_sweep, scored, found)
        return ScoredRows(scored.table(), found)

    def _record(self, batch: CutoutBatch, scored: ScoreTable, found: FoundCandidates | None) -> None:
        scores = self._ensemble.score(batch.stamps)
        scored.put(batch.rows, self._notes(batch, scores.p_lens), scores, RECORDED_PRECISION)
        if found is not None:
            found.offer(batch, scores.p_lens)

    def _rescore(
        self,
        batch: CutoutBatch,
        fast: EnsembleScores,
        sweep: Sweep,
        scored: ScoreTable,
        found: FoundCandidates | None,
        possible: "_Waiting",
    ) -> None:
        """Score rows exactly, or by the committee in its sweep, whose possible candidates go to `possible`."""
        by_committee = self._committee_sweep
        if by_committee is None:
            scores = self._ensemble.score(batch.stamps)
            sweep.check(fast.p_lens, scores.p_of_sweep)
            self._put_exact(batch, scores, scored, found)
            return
        undecided = sweep.is_undecided(batch.rows, fast.p_lens)
        scores = by_committee.ensemble.score_again(batch.stamps, fast, undecided)
        sweep.check(fast.p_lens[undecided], scores.p_of_sweep[undecided])
        is_seen, could_be = by_committee.saw(scores), by_committee.could_be_candidates(batch.rows, scores)
        # Of these notes, only those of rows that are no candidates are used.
        notes = self._unchecked(batch)
        for chosen, precision in ((~is_seen, RECORDED_PRECISION), (is_seen & ~could_be, by_committee.precision)):
            if chosen.any():
                scored.put_rescored(batch.rows[chosen], notes.of(chosen), scores.of(chosen), precision)
        possible.add(batch, scores, could_be)
        if possible.n_rows >= self.batch_size:
            self._confirm(*possible.take(), sweep, by_committee, scored, found)

    def _confirm(
        self,
        batch: CutoutBatch,
        fast: EnsembleScores,
        sweep: Sweep,
        by_committee: CommitteeSweep,
        scored: ScoreTable,
        found: FoundCandidates | None,
    ) -> None:
        """Score the possible candidates of a committee's sweep exactly."""
        scores = self._ensemble.score(batch.stamps)
        sweep.check(fast.p_of_sweep, scores.p_of_sweep)
        by_committee.check_again(fast, scores)
        self._put_exact(batch, scores, scored, found)

    def _put_exact(self, batch: CutoutBatch, scores: EnsembleScores, scored: ScoreTable, found: FoundCandidates | None) -> None:
        scored.put_rescored(batch.rows, self._notes(batch, scores.p_lens), scores, RECORDED_PRECISION)
        if found is not None:
            found.offer(batch, scores.p_lens)

    def _unchecked(self, batch: CutoutBatch) -> BatchNotes:
        return with_registration(batch, self.geometry, np.zeros(len(batch.rows), bool))

    def _notes(self, batch: CutoutBatch, p_lens: NDArray[np.float32]) -> BatchNotes:
        if self._check_above is None:
            return self._unchecked(batch)
        return with_registration(batch, self.geometry, p_lens.astype(np.float64) >= self._check_above)

    def _found(self) -> FoundCandidates | None:
        return self._mapping.candidates() if self._mapping else None


def open_scanner(package: Path, config: ScanConfig, threads: int | None = None) -> CutoutScanner:
    """Open a scanner of an ensemble package, on the engine that `config` names, with a sweep where that is faster.

    A cascade is scored in the same way: its first stage sweeps over every row.

    Raises:
        PackageError: the package cannot be used, or its reference is not the one of `config`.
        EngineError: this machine has no such engine.
    """
    engine = resolve_engine(config.engine)
    reference = _reference(package, config)
    exact = load_scorer(
        package,
        engine,
        threads,
        checks_pixels=False,
        candidate_threshold=config.candidate_threshold,
        features=reference is not None,
    )
    mapping = None
    if config.maps_per_unit:
        mapper = LateMapper(package, exact.card, engine, threads)
        mapping = CandidateMapping(mapper, config.candidate_threshold, config.maps_per_unit, exact.geometry)
    first = _first_sweep(package, exact, config, engine, threads)
    committee = _committee_sweep(package, exact, config, engine, threads)
    return CutoutScanner(exact, config.batch_size, first, mapping, config.candidate_threshold, reference, committee)


def _reference(package: Path, config: ScanConfig) -> FeatureReference | None:
    """Return the reference that the settings name; None if they name none."""
    if config.reference_sha256 is None:
        return None
    card = read_card(package)
    if card.reference_sha256 != config.reference_sha256:
        got = (card.reference_sha256 or "none")[:12]
        raise PackageError(f"{package}: the plan needs the reference {config.reference_sha256[:12]}, got {got}")
    return read_reference(package, card)


def _first_sweep(
    package: Path, exact: Scorer, config: ScanConfig, engine: ResolvedEngineName, threads: int | None
) -> Sweep | None:
    """Return the sweep over every row: of a cascade's first stage, which is always worth its time, or of all networks."""
    fast = fast_precision(engine) if config.sweep else None
    if isinstance(exact, Cascade):
        if fast is None:
            return make_sweep(exact.first_stage, RECORDED_PRECISION, exact.first_stage, exact.exclude_below)
        rounded = load_first_stage(package, engine, fast, threads, checks_pixels=False)
        first = FirstStage(rounded, exact.committee.network_names)
        return make_sweep(first, fast, exact.first_stage, exact.exclude_below, CASCADE_MARGIN)
    if fast is None:
        return None
    has_features = config.reference_sha256 is not None
    rounded = load_package(package, engine, fast, threads, checks_pixels=False, features=has_features)
    return make_sweep(rounded, fast, exact, config.candidate_threshold)


def _committee_sweep(
    package: Path, exact: Scorer, config: ScanConfig, engine: ResolvedEngineName, threads: int | None
) -> CommitteeSweep | None:
    """Return the sweep of a cascade's committee; None where there is none, or no faster arithmetic."""
    fast = fast_precision(engine) if config.sweep else None
    if fast is None or not isinstance(exact, Cascade):
        return None
    has_features = config.reference_sha256 is not None
    committee = load_package(package, engine, fast, threads, checks_pixels=False, features=has_features)
    corrects = load_candidate_stage(package, engine, fast, threads) if exact.correction else None
    return make_committee_sweep(exact, committee, corrects, fast, config.candidate_threshold, CASCADE_MARGIN)


class _Waiting:
    """Rows to be scored again, gathered until they fill a batch, because a network takes as long for one row as for many."""

    def __init__(self) -> None:
        self._parts: list[tuple[CutoutBatch, EnsembleScores]] = []

    @property
    def n_rows(self) -> int:
        return sum(len(batch.rows) for batch, _ in self._parts)

    def add(self, batch: CutoutBatch, scores: EnsembleScores, chosen: NDArray[np.bool_]) -> None:
        if chosen.any():
            # Some batches have features and others, which no network of the committee saw, have none.
            self._parts.append((batch.of(chosen), replace(scores.of(chosen), features=None)))

    def take(self) -> tuple[CutoutBatch, EnsembleScores]:
        parts, self._parts = self._parts, []
        return joined_batches([batch for batch, _ in parts]), joined([scores for _, scores in parts])
