"""The request of a scan: its input, its ensembles and what it records; the plan follows from it."""

from datetime import date
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from infra.engine_name import EngineName
from infra.frozen import Frozen
from infra.store.storage import absolute
from scanner.catalogue.plan import Plan, ScanConfig, SecondEnsemble, build_plan
from scanner.catalogue.units import PlanError
from scanner.networks.card_file import read_card
from scanner.vocabulary.choices import MAPS_PER_UNIT, MOST_MAPS_PER_UNIT


class ScanRequest(Frozen):
    """The input of a scan and its settings; the catalogue's URI and the number of workers are no part of it.

    Raises:
        PlanError: `second_above` is given without a second ensemble.
    """

    input_uri: str
    """Folder or `s3://` prefix of Euclid MER tiles, or of shards."""
    night: date | None = None
    """Night that the catalogue rows carry; None for a survey that is not scanned night by night."""
    package: Path
    """Folder of the ensemble."""
    candidate_threshold: float | None = Field(default=None, ge=0, le=1)
    """Smallest `p_lens` of the candidates that readers are shown; None stands for the ensemble's own threshold."""
    engine: EngineName = "auto"
    """Engine that runs the networks; `auto` selects the best one of each worker."""
    exact: bool = False
    """Whether to score every row in float32; without it, candidates and their stored values are the same."""
    second: Path | None = None
    """Folder of a second ensemble, which scores the rows whose first `p_lens` reaches `second_above`."""
    second_above: float | None = Field(default=None, ge=0, le=1)
    """Smallest first `p_lens` of these rows; None stands for the smallest of the plan's candidates."""
    maps_per_unit: int = Field(default=MAPS_PER_UNIT, ge=0, le=MOST_MAPS_PER_UNIT)
    """Number of candidates of each unit, the best, that are stored with maps that explain their scores."""

    @model_validator(mode="after")
    def _rows_are_selected_for_an_ensemble(self) -> Self:
        if self.second_above is not None and self.second is None:
            raise PlanError(
                f"second_above={self.second_above:g} selects rows for a second ensemble, but no second ensemble is given"
            )
        return self


def plan_scan(request: ScanRequest) -> Plan:
    """Plan a scan: read the cards of its ensembles and every object id of its input.

    The plan's candidates are those of the ensemble's own threshold, or of a lower one that was asked for. So a higher threshold
    needs no other plan and no other scan: it is applied when the candidates are read.

    Raises:
        PlanError: there is nothing to scan, the input cannot be planned, or `second_above` is above the candidates' threshold.
        PackageError: an ensemble's card cannot be read.
    """
    card = read_card(request.package)
    shown = shown_threshold(request)
    threshold = min(shown, card.candidate_threshold)
    config = ScanConfig(
        candidate_threshold=threshold,
        engine=request.engine,
        sweep=not request.exact,
        second=_second(request, threshold, shown),
        maps_per_unit=request.maps_per_unit,
    )
    return build_plan(absolute(request.input_uri), request.night.isoformat() if request.night else None, card, config)


def shown_threshold(request: ScanRequest) -> float:
    """Return the smallest `p_lens` of the candidates that readers are shown.

    Raises:
        PackageError: the ensemble's card cannot be read.
    """
    asked = request.candidate_threshold
    return read_card(request.package).candidate_threshold if asked is None else asked


def _second(request: ScanRequest, threshold: float, shown: float) -> SecondEnsemble | None:
    if request.second is None:
        return None
    above = threshold if request.second_above is None else request.second_above
    if above > shown:
        raise PlanError(f"second_above must be <= the candidates' threshold {shown:g}, got {above:g}")
    card = read_card(request.second)
    return SecondEnsemble(ensemble_name=card.name, ensemble_sha256=card.sha256, above=above)
