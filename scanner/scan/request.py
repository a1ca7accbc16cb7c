"""The request of a scan: its input, its ensemble and what it records; the plan follows from it."""

from datetime import date
from pathlib import Path

from pydantic import Field

from infra.engine_name import EngineName
from infra.frozen import Frozen
from infra.store.storage import absolute
from scanner.catalogue.plan import Plan, ScanConfig, build_plan
from scanner.catalogue.selection import EVERYTHING, Selection
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.threshold import Threshold
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.choices import MAPS_PER_UNIT, MOST_MAPS_PER_UNIT


class ScanRequest(Frozen):
    """The input of a scan and its settings; the catalogue's URI and the number of workers are no part of it."""

    input_uri: str
    """Folder or `s3://` prefix of tiles, or of shards."""
    selection: Selection = EVERYTHING
    """Tiles to scan; by default all."""
    survey: Survey = EUCLID_MER
    """Survey that the tiles are of."""
    night: date | None = None
    """Night that the catalogue rows carry; None for a survey that is not scanned night by night."""
    package: Path
    """Folder of the ensemble."""
    candidate_threshold: Threshold | None = None
    """Smallest `p_lens` of the candidates that readers are shown; None stands for the ensemble's own threshold, `list`."""
    engine: EngineName = "auto"
    """Engine that runs the networks; `auto` selects the best one of each worker."""
    exact: bool = False
    """Whether to score every row in float32; without it, candidates and their stored values are the same."""
    maps_per_unit: int = Field(default=MAPS_PER_UNIT, ge=0, le=MOST_MAPS_PER_UNIT)
    """Number of candidates of each unit, the best, that are stored with maps that explain their scores."""


def plan_scan(request: ScanRequest, root_uri: str | None = None) -> Plan:
    """Plan a scan: read the card of its ensemble and every object id of its input.

    The plan's candidates are those of the ensemble's lowest cut, or of a lower threshold that was asked for. So a higher
    threshold needs no other plan and no other scan: it is applied when the candidates are read. A plan that the catalogue at
    `root_uri` remembers is taken from there.

    Raises:
        PlanError: there is nothing to scan, or the input cannot be planned.
        PackageError: the ensemble's card cannot be read.
    """
    card = read_card(request.package)
    threshold = min(shown_threshold(request), card.threshold("deep"))
    config = ScanConfig(
        candidate_threshold=threshold,
        engine=request.engine,
        sweep=not request.exact,
        maps_per_unit=request.maps_per_unit,
        reference_sha256=card.reference_sha256,
    )
    night = request.night.isoformat() if request.night else None
    bands = bands_read(card)
    return build_plan(absolute(request.input_uri), night, card, config, request.selection, request.survey, bands, root_uri)


def bands_read(card: EnsembleCard) -> tuple[str, ...]:
    """Return the bands that at least one network of an ensemble reads."""
    read = {channel.band for network in card.all_networks for channel in network.channels}
    return tuple(band for band in EUCLID if band in read)


def shown_threshold(request: ScanRequest) -> float:
    """Return the smallest `p_lens` of the candidates that readers are shown.

    Raises:
        PackageError: the ensemble's card cannot be read.
    """
    return read_card(request.package).threshold(request.candidate_threshold)
