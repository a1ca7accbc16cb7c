"""Gather what a report shows of a night or a catalogue, and write it as one HTML file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from infra.progress import Progress, no_progress
from infra.store.files import one_line, replace_whole
from infra.store.storage import absolute
from scanner.catalogue.calibration import calibration_warning
from scanner.catalogue.known_lenses import KnownLenses, KnownTable
from scanner.catalogue.paths import UNDATED
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import selected_plans
from scanner.catalogue.wanted import Wanted
from scanner.review.report.alike import AlikeObject, alike_of
from scanner.review.report.card import Card, card_of, meanings_of
from scanner.review.report.completeness import NightCompleteness, nights_completeness
from scanner.review.report.cuts import Cuts, common_purity, cuts_of
from scanner.review.report.listed import Listed
from scanner.review.report.outcomes import OutcomeLine, outcome_lines
from scanner.review.report.page import page
from scanner.review.report.pictures import pictures_of
from scanner.review.report.provenance import PlanFacts, plan_facts
from scanner.review.report.score_chart import ScoreChart, score_chart
from scanner.review.report.sky_map import Place, SkyMap, sky_maps
from scanner.review.report.tally import Tally, tally_of
from scanner.review.stored_pixels import stored_pixels

TOP = 200
"""Number of candidates that a report lists by default: 10 MB of pictures."""
MOST_TOP = 500
"""Largest number: 25 MB of pictures."""
N_BEST = 6
"""Number of candidates at the top of the page."""
SORTS = {"p_lens": "p_lens", "p_compound": "p_compound", "disagreement": "disagreement", "arc_snr_vis": "arc S/N"}
"""Columns of every candidate that people sort by, in words."""


@dataclass(frozen=True)
class Report:
    """Everything that a report shows."""

    title: str
    source: str
    """Name of the catalogue's folder."""
    made_at: datetime
    conditions: dict[str, str]
    """Conditions on the candidates, in words."""
    tally: Tally
    listed: Listed
    cards: list[Card]
    """Card of each listed candidate."""
    maps: list[SkyMap]
    chart: ScoreChart | None
    cuts: Cuts | None
    completeness: list[NightCompleteness]
    """Completeness of the nights that lenses were injected into."""
    plans: list[PlanFacts]
    known_table: KnownTable | None
    """Table of known lenses that the candidates were matched with."""
    warning: str | None
    """Line that says that `p_lens` is not calibrated for a survey of the report; None where it is."""

    @property
    def n_objects(self) -> int:
        """Number of all candidates, each object once."""
        return self.listed.n_objects

    @property
    def n_candidate_rows(self) -> int:
        """Number of all rows of candidates."""
        return self.listed.n_rows

    @property
    def has_many_nights(self) -> bool:
        """Whether the tally may count an object several times, once in each night."""
        return len({plan.night for plan in self.plans}) > 1

    @property
    def square_degrees(self) -> float:
        return self.tally.coverage.cells().scored_square_degrees

    @property
    def cell_arcmin(self) -> float:
        return 60 * self.tally.coverage.cells().side_deg

    @property
    def outcomes(self) -> list[OutcomeLine]:
        return outcome_lines(self.tally.statuses, self.tally.details)

    @property
    def meanings(self) -> dict[str, str]:
        """Meaning of each column."""
        return meanings_of(self.listed.rows.schema) if self.cards else {}

    @property
    def nights(self) -> list[str]:
        """Nights of the listed candidates."""
        return sorted({night for card in self.cards for night in card.nights})

    @property
    def kinds(self) -> dict[str, str]:
        """Subclasses of the listed candidates, in words."""
        return {card.kind: card.kind_text for card in sorted(self.cards, key=lambda card: card.kind) if card.kind}

    @property
    def best(self) -> list[Card]:
        """The first candidates with pictures, for the top of the page."""
        return [card for card in self.cards if card.pictures][:N_BEST]

    @property
    def has_known(self) -> bool:
        return any(card.known for card in self.cards)

    @property
    def sorts(self) -> dict[str, str]:
        """Columns to sort the list by, in words."""
        graded = {"grade": "grade", "p_graded": "p_graded"} if self.grades else {}
        near = {"known_separation_arcsec": "distance of known lens"} if self.has_known else {}
        unusual = {"anomaly": "anomaly"} if any(card.anomaly for card in self.cards) else {}
        return {**SORTS, **unusual, **graded, **near, "ra": "RA", "dec": "Dec", "name": "name"}

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the table, by the keys that they sort by."""
        always = {"number": "#", "name": "name", "p_lens": "p_lens", "purity": "purity", "p_compound": "p_compound"}
        night = {"night": "night"} if self.nights else {}
        known = {"known_separation_arcsec": "known lens"} if self.has_known else {}
        grade = {"grade": "grade"} if self.grades else {}
        return {**always, "subclass": "subclass", "ra": "RA, Dec", **night, "tile": "tile", **known, **grade}

    @property
    def grades(self) -> list[str]:
        return sorted({card.grade for card in self.cards if card.grade})


def make_report(
    root_uri: str,
    wanted: Wanted,
    top: int = TOP,
    known: KnownLenses | None = None,
    made_at: datetime | None = None,
    title: str | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Read a catalogue for a report.

    Args:
        root_uri: The catalogue's root.
        wanted: Night and plans of the report, and conditions on its candidates; the limit has no effect.
        top: Number of candidates to list.
        known: Table of known lenses to match the listed candidates with.
        made_at: Time that the report states; by default now.
        title: Title of the page; by default one that names the night.
        progress: Called with (tiles or shards read, tiles or shards in all).

    Raises:
        QueryError: both one plan and all plans are wanted.
        VisibleError: no scan is complete, or a file is damaged.
        PlanError: no plan, or more than one, begins with `wanted.plan`, or a plan cannot be read.
        StorageError: the store failed.
    """
    listed = Listed.of(root_uri, wanted, top, known)
    plans = _plans_of(root_uri, wanted)
    warning = calibration_warning(root_uri, (shown.plan_id for shown in plans))
    purity = None if warning else common_purity(plans)
    tally = tally_of(root_uri, plans, [cut.p_lens for cut in purity.cuts] if purity else [], progress)
    cards = _cards(root_uri, listed, plans.values(), alike_of(root_uri, listed.rows, wanted))
    return Report(
        title=title or f"Lens candidates{f' of {wanted.night}' if wanted.night else ''}",
        source=one_line(absolute(root_uri).rstrip("/").rpartition("/")[2]),
        made_at=made_at or datetime.now(UTC),
        conditions=conditions_of(wanted),
        tally=tally,
        listed=listed,
        cards=cards,
        maps=sky_maps(tally.coverage.cells(), _places(listed.rows, cards), listed.others),
        chart=score_chart(tally.scores, sorted({shown.threshold for shown in plans})),
        cuts=cuts_of(purity, tally.n_at_cuts, tally.n_scored) if purity else None,
        completeness=nights_completeness(root_uri, sorted({about.night or UNDATED for about in plans.values()})),
        plans=list(plans.values()),
        known_table=known.table if known else None,
        warning=warning,
    )


def _plans_of(root_uri: str, wanted: Wanted) -> dict[ShownPlan, PlanFacts]:
    """Return the plans whose rows a report counts, and the facts about each."""
    plans = selected_plans(root_uri, night=wanted.night, plan=wanted.plan, all_plans=wanted.all_plans)
    facts = {shown: plan_facts(root_uri, shown) for shown in plans}
    return {shown: about for shown, about in facts.items() if wanted.night in {None, about.night, about.night or UNDATED}}


def _cards(root_uri: str, listed: Listed, plans: Iterable[PlanFacts], alike: Sequence[tuple[AlikeObject, ...]]) -> list[Card]:
    """Return the cards of the listed candidates, with their pictures from the catalogue; `alike` is of the first ones.

    Raises:
        VisibleError: a file is damaged.
    """
    rows, euclid_plans = listed.rows, {about.plan_id for about in plans if about.is_euclid}
    pictures = {i: pictures_of(pixels) for i, pixels in stored_pixels(root_uri, rows)}
    return [
        card_of(
            i + 1,
            row,
            rows.schema,
            nights=listed.nights[i],
            pictures=pictures.get(i),
            is_euclid=row["plan_id"] in euclid_plans,
            alike=alike[i] if i < len(alike) else (),
        )
        for i, row in enumerate(rows.to_pylist())
    ]


def conditions_of(wanted: Wanted) -> dict[str, str]:
    """Return the conditions that the candidates meet, in words, by the name of the option."""
    given = {
        "night": wanted.night,
        "p_lens of at least": None if wanted.min_p_lens is None else f"{wanted.min_p_lens:g}",
        "subclass": wanted.subclass,
        "within": None if wanted.circle is None else str(wanted.circle),
        "plan": wanted.plan,
        "plans": "all, also those that newer scans have replaced" if wanted.all_plans else None,
    }
    return {name: text for name, text in given.items() if text is not None}


def report_html(report: Report) -> str:
    """Return the page."""
    return page("report.html.j2", report=report)


def write_page(html: str, path: Path) -> int:
    """Write a page, or replace one whole, and return its size in bytes.

    Raises:
        OSError: the file cannot be written.
    """
    data = html.encode("utf-8", "replace")
    with replace_whole(path) as part:
        part.write_bytes(data)
    return len(data)


def _places(rows: pa.Table, cards: Sequence[Card]) -> list[Place]:
    ra, dec = (rows[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
    has_position = np.isfinite(ra) & np.isfinite(dec)
    return [
        Place(card.number, card.name, card.kind, float(ra[i]), float(dec[i])) for i, card in enumerate(cards) if has_position[i]
    ]
