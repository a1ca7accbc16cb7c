"""Say where the rows of a report come from: plan, ensemble, code, thresholds, dates and inputs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from infra.store.files import one_line
from infra.store.storage import info
from scanner.catalogue.paths import plan_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.seal import load_seal
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.units import PlanError
from scanner.vocabulary.prior import grouped, prior_text


@dataclass(frozen=True)
class PlanFacts:
    """Facts about a plan, in words for people."""

    plan_id: str
    night: str
    """Empty for a scan without a night, and for a plan that cannot be read."""
    ensemble: str
    is_euclid: bool
    lines: dict[str, str] = field(default_factory=dict)
    """Name to text."""


def plan_facts(root_uri: str, shown: ShownPlan) -> PlanFacts:
    """Read the facts about a plan; of a plan of another version of lensscan, those in its seal.

    Raises:
        SealError: the plan's seal is damaged.
        StorageError: the store failed.
    """
    threshold = {"candidates": f"p_lens of at least {shown.threshold:g}"}
    try:
        plan = load_plan(root_uri, shown.plan_id)
    except PlanError:
        sealed = load_seal(root_uri, shown.plan_id)
        if sealed is None:
            return PlanFacts(shown.plan_id, "", "", is_euclid=False, lines={"plan": shown.plan_id, **threshold})
        lines = {
            "plan": shown.plan_id,
            **_of_code(sealed.ensemble_name, sealed.ensemble_sha256, sealed.code_version),
            **threshold,
            "objects": grouped(sealed.n_rows),
        }
        return PlanFacts(shown.plan_id, sealed.night or "", sealed.ensemble_name, is_euclid=False, lines=lines)
    planned_at = info(plan_uri(root_uri, shown.plan_id)).modified
    lines = {
        "plan": shown.plan_id,
        **({"night": plan.night} if plan.night else {}),
        **({"planned": f"{planned_at:%Y-%m-%d %H:%M:%S} UTC"} if planned_at else {}),
        **_of_code(plan.ensemble_name, plan.ensemble_sha256, plan.code_version),
        **({"prior of p_lens": prior_text(shown.purity.prevalence)} if shown.purity else {}),
        **threshold,
        **_of_inputs(plan),
        "settings": _settings(plan),
    }
    return PlanFacts(shown.plan_id, plan.night or "", plan.ensemble_name, plan.survey_name == "euclid-mer", lines)


def _of_code(ensemble: str, sha256: str, code_version: str) -> dict[str, str]:
    return {"ensemble": f"{ensemble}, SHA-256 {sha256}", "lensscan": code_version}


def _of_inputs(plan: Plan) -> dict[str, str]:
    kind = plan.units[0].kind
    survey = {"survey": plan.survey_name} if plan.survey_name else {}
    chosen = {"sources": str(plan.sources)} if plan.sources else {}
    n_skipped = plan.n_rows - plan.n_selected
    return {
        **survey,
        **chosen,
        "input": folder_of(file.uri for unit in plan.units for file in unit.files.values()),
        f"{kind}s": grouped(len(plan.units)),
        "objects": grouped(plan.n_rows) + (f", {grouped(n_skipped)} of them not selected" if n_skipped else ""),
    }


def _settings(plan: Plan) -> str:
    config = plan.config
    return (
        f"threshold {config.candidate_threshold:g}, engine {config.engine}, "
        f"{'bfloat16 first where that is faster' if config.sweep else 'float32 throughout'}, "
        f"maps of the best {config.maps_per_unit} of each {plan.units[0].kind}"
    )


def folder_of(uris: Iterable[str]) -> str:
    """Return the deepest folder or prefix that holds all files, without a user or password in it."""
    folders = [uri.split("/")[:-1] for uri in uris]
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))]
    return one_line("/".join(common) or "/")
