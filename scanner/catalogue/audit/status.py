"""Count the committed units and rows of a plan from listings alone, and tell whether readers see it."""

from datetime import datetime
from enum import StrEnum

from infra.frozen import Frozen
from infra.store.storage import info
from scanner.catalogue.gate import held, is_replaced
from scanner.catalogue.journal import entries, first_numbers
from scanner.catalogue.ledger import pending
from scanner.catalogue.paths import night_label, plan_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.seal import SealReport, load_seal
from scanner.catalogue.shown import ShownPlan, show_records, shown_plans
from scanner.catalogue.verdicts import Verdict, newest_verdict, promotion_of
from scanner.catalogue.visible import rows_of


class State(StrEnum):
    """Progress of a plan."""

    UNFINISHED = "unfinished"
    """Units are missing."""
    TO_BE_SEALED = "to be sealed"
    """All units are there, and the seal is not."""
    TO_BE_SHOWN = "to be shown"
    """The plan is sealed, but its scan ended before readers saw it."""
    TO_BE_JUDGED = "to be judged"
    """The plan is sealed and waits for its quality gate."""
    REFUSED = "refused"
    """The plan is sealed, and its quality gate has failed."""
    TO_BE_PROMOTED = "to be promoted"
    """The plan is sealed, its quality gate has passed, and readers do not see it yet."""
    SHOWN = "shown"
    """Readers see all units of the plan."""
    PARTLY_SHOWN = "partly shown"
    """A newer plan holds some of the units."""
    SUPERSEDED = "superseded"
    """Newer plans hold all units, or a unit of a plan that waited: readers do not see the plan."""


class PlanStatus(Frozen):
    """Progress of one plan, counted without opening a unit file."""

    plan_id: str
    night: str | None
    ensemble: str
    threshold: float
    """Smallest `p_lens` of the candidates: that which is shown if the plan is shown, else that of the plan."""
    code_version: str
    survey: str | None
    """Name of the survey that the tiles are of; None for shards."""
    bands: dict[str, str]
    """Band of the survey by each band of the networks that is read from tiles."""
    planned_at: datetime | None
    """Time at which the plan was written, by the store's clock."""
    n_units: int
    n_units_committed: int
    n_units_shown: int
    n_rows: int
    n_rows_committed: int
    n_rows_skipped: int
    """Number of planned rows that the selection of sources leaves out."""
    sources: str
    """Selection of the tiles' sources; empty if all are scored."""
    state: State
    why: str
    """Failures in the newest verdict of a refused plan, or the reason of the person who overruled its gate; else empty."""
    is_sealed: bool
    n_candidates: int | None
    """Number of the plan's candidates at this threshold; None for a plan that is not sealed."""


def plan_status(plan_id: str, root_uri: str) -> PlanStatus:
    """Count the committed units and rows of a plan.

    Raises:
        PlanError: the plan is damaged.
        SealError: the plan's seal, or that of a newer plan of its night, is damaged.
        JournalError: a record of a shown plan is damaged.
        VerdictError: the plan's newest verdict is damaged.
        VisibleError: the plan's candidate file is damaged, and its candidates must be counted.
    """
    plan = load_plan(root_uri, plan_id)
    sealed = load_seal(root_uri, plan_id)
    left = pending(plan, root_uri)
    label = night_label(plan.night)
    shown = {entry.plan_id: entry for entry in shown_plans(root_uri, label).get(label, ())}.get(plan_id)
    was_shown = any(record.plan_id == plan_id for record in show_records(root_uri, label).get(label, ()))
    state = _state(shown, is_sealed=sealed is not None, is_complete=not left, was_shown=was_shown)
    if state is State.TO_BE_SHOWN and held(plan, root_uri):
        is_behind_newer = is_replaced(plan, root_uri, first_numbers(entries(root_uri, label)[label]))
        state = State.SUPERSEDED if is_behind_newer else _state_at_gate(newest_verdict(root_uri, plan_id))
    return PlanStatus(
        plan_id=plan_id,
        night=plan.night,
        ensemble=plan.ensemble_name,
        threshold=shown.threshold if shown else plan.config.candidate_threshold,
        code_version=plan.code_version,
        survey=plan.survey_name,
        bands=plan.bands,
        planned_at=info(plan_uri(root_uri, plan_id)).modified,
        n_units=len(plan.units),
        n_units_committed=len(plan.units) - len(left),
        n_units_shown=_n_units(shown, len(plan.units)),
        n_rows=plan.n_rows,
        n_rows_committed=plan.n_rows - sum(unit.n_rows for unit in left),
        n_rows_skipped=plan.n_rows - plan.n_selected,
        sources=str(plan.sources or ""),
        state=state,
        why=_why(state, plan_id, root_uri),
        is_sealed=sealed is not None,
        n_candidates=_n_candidates(sealed, shown, plan, root_uri),
    )


def _n_candidates(sealed: SealReport | None, shown: ShownPlan | None, plan: Plan, root_uri: str) -> int | None:
    if shown is None or shown.threshold == plan.config.candidate_threshold:
        return sealed.n_candidates if sealed else None
    return rows_of(root_uri, [ShownPlan(plan.plan_id, shown.threshold)]).num_rows


def _n_units(shown: ShownPlan | None, n_units: int) -> int:
    if shown is None:
        return 0
    return n_units if shown.units is None else len(shown.units)


def _state(shown: ShownPlan | None, *, is_sealed: bool, is_complete: bool, was_shown: bool) -> State:
    if not is_sealed:
        return State.TO_BE_SEALED if is_complete else State.UNFINISHED
    if shown is None:
        return State.SUPERSEDED if was_shown else State.TO_BE_SHOWN
    return State.SHOWN if shown.units is None else State.PARTLY_SHOWN


def _state_at_gate(verdict: Verdict | None) -> State:
    if verdict is None:
        return State.TO_BE_JUDGED
    return State.TO_BE_PROMOTED if verdict.is_passed else State.REFUSED


def _why(state: State, plan_id: str, root_uri: str) -> str:
    if state is State.REFUSED:
        verdict = newest_verdict(root_uri, plan_id)
        return verdict.why if verdict else ""
    promotion = promotion_of(root_uri, plan_id)
    if promotion is None or promotion.overruled_because is None:
        return ""
    return f"{promotion.by} has overruled its quality gate: {promotion.overruled_because}"
