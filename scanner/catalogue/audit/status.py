"""Count the committed units and rows of a plan from listings alone."""

from infra.frozen import Frozen
from scanner.catalogue.ledger import pending
from scanner.catalogue.plan import load_plan
from scanner.catalogue.seal import load_seal


class PlanStatus(Frozen):
    """Progress of one plan, counted without opening a unit file."""

    plan_id: str
    night: str
    ensemble: str
    code_version: str
    n_units: int
    n_units_committed: int
    n_rows: int
    n_rows_committed: int
    is_sealed: bool
    n_candidates: int | None
    """Number of candidates; None for a plan that is not sealed."""


def plan_status(plan_id: str, root_uri: str) -> PlanStatus:
    """Count the committed units and rows of a plan.

    Raises:
        PlanError: the plan is damaged.
        SealError: the plan's seal is damaged.
    """
    plan = load_plan(root_uri, plan_id)
    sealed = load_seal(root_uri, plan_id)
    left = pending(plan, root_uri)
    return PlanStatus(
        plan_id=plan_id,
        night=plan.night,
        ensemble=plan.ensemble_name,
        code_version=plan.code_version,
        n_units=len(plan.units),
        n_units_committed=len(plan.units) - len(left),
        n_rows=plan.n_rows,
        n_rows_committed=plan.n_rows - sum(unit.n_rows for unit in left),
        is_sealed=sealed is not None,
        n_candidates=sealed.n_candidates if sealed else None,
    )
