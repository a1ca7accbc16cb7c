"""Promote a held plan: readers see it from then on, because its gate passed or because a person overrules it with a reason."""

from infra.frozen import Frozen
from scanner.catalogue.gate import was_shown
from scanner.catalogue.night_file import show, write_night
from scanner.catalogue.paths import night_label, night_uri
from scanner.catalogue.plan import Plan
from scanner.catalogue.seal import load_seal
from scanner.catalogue.verdicts import Promotion, newest_verdict, promotion_of, record_promotion
from scanner.quality.errors import QualityError


class Promoted(Frozen):
    """A plan that readers see."""

    plan_id: str
    night: str | None
    candidates_uri: str
    """File with the candidates that the night shows."""
    is_new: bool
    """Whether this call has promoted the plan; false if readers saw it before."""
    promotion: Promotion | None
    """The stored record; None for a plan that was scanned without a gate."""


def promote(plan: Plan, root_uri: str, by: str, overrule: str | None = None) -> Promoted:
    """Show a plan whose newest verdict passed, or any sealed plan for a reason that is stored with the person's name.

    A plan that readers have seen before is left as it is, so a second promotion changes nothing.

    Raises:
        QualityError: the plan is not sealed, was not judged, or has failed, and no reason to overrule the gate is given.
        LensscanError: a file of the catalogue is damaged.
    """
    name, label = plan.plan_id[:12], night_label(plan.night)
    if load_seal(root_uri, plan.plan_id) is None:
        raise QualityError(f"plan {name} is not sealed: scan its night to the end first")
    if overrule is not None and not overrule.strip():
        raise QualityError("--overrule needs a reason, which is stored with the night")
    if was_shown(plan, root_uri):
        write_night(root_uri, label)
        return _promoted(plan, root_uri, label, is_new=False)
    verdict = newest_verdict(root_uri, plan.plan_id)
    if overrule is None and promotion_of(root_uri, plan.plan_id) is None:
        again = 'promote --overrule "reason" shows it all the same'
        if verdict is None:
            raise QualityError(f"night {label} was not judged: `lensscan qa {root_uri} --plan {name}` does it; {again}")
        if not verdict.is_passed:
            raise QualityError(f"night {label} has failed its quality gate: {verdict.why}; {again}")
    reason = None if overrule is None or (verdict and verdict.is_passed) else overrule.strip()
    number = verdict.number if verdict else None
    record_promotion(Promotion(plan_id=plan.plan_id, verdict=number, overruled_because=reason, by=by), root_uri)
    show(plan, root_uri)
    return _promoted(plan, root_uri, label, is_new=True)


def _promoted(plan: Plan, root_uri: str, label: str, *, is_new: bool) -> Promoted:
    return Promoted(
        plan_id=plan.plan_id,
        night=plan.night,
        candidates_uri=night_uri(root_uri, label),
        is_new=is_new,
        promotion=promotion_of(root_uri, plan.plan_id),
    )
