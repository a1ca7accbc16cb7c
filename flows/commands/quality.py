"""`lensscan qa` and `lensscan promote`: judge a night before readers see it, and show it."""

from flows.commands.publish import publication, publish_after
from infra.account import account_name
from infra.progress import Progress, no_progress
from infra.store.storage import absolute
from scanner.catalogue.gate import is_waiting, waiting_plans
from scanner.catalogue.paths import night_label
from scanner.catalogue.plan import Plan, find_plans, load_plan
from scanner.catalogue.shown import shown_plans
from scanner.catalogue.verdicts import Verdict
from scanner.quality.assess import assess
from scanner.quality.errors import QualityError
from scanner.quality.limits import read_limits
from scanner.quality.promote import Promoted, promote


def judge_night(
    root_uri: str,
    label: str | None = None,
    *,
    plan: str | None = None,
    reference_label: str | None = None,
    limits: str | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Judge the scan of a night and store the verdict; see `assess`.

    Args:
        root_uri: The catalogue's root.
        label: Label of the night: its newest scan that waits for its gate is judged, else the one that readers see. By default
            the only night that waits.
        plan: First characters of a plan id, to judge this plan.
        reference_label: Label of the night to compare with.
        limits: TOML file of limits.
        progress: Called with the numbers of tiles read and to read.

    Raises:
        QualityError: there is no such night, or a file of limits is wrong.
        LensscanError: a file of the catalogue is damaged.
    """
    root_uri, wanted = absolute(root_uri), read_limits(limits)
    chosen = chosen_plan(root_uri, label, plan)
    return assess(chosen, root_uri, wanted, reference_label, progress)


def next_step(root_uri: str, verdict: Verdict) -> str | None:
    """Return a sentence with the command that shows readers a night that has passed; None if they see it, or it failed."""
    if not verdict.is_passed or not is_waiting(load_plan(root_uri, verdict.plan_id), root_uri):
        return None
    return f"Readers do not see it yet; `lensscan promote {root_uri} --night {night_label(verdict.night)}` shows it."


def promote_night(
    root_uri: str,
    label: str | None = None,
    *,
    plan: str | None = None,
    overrule: str | None = None,
    by: str | None = None,
    publish_to: str | None = None,
    ray_address: str | None = None,
) -> tuple[Promoted, str | None]:
    """Show a night whose gate has passed, or overrule the gate; return what is shown, and the published version.

    Args:
        root_uri: The catalogue's root.
        label: Label of the night; its newest scan that waits is promoted. By default the only night that waits.
        plan: First characters of a plan id, to promote this plan.
        overrule: Reason to promote the night although its gate has not passed.
        by: Name that is stored; by default that of the account.
        publish_to: Collection in which the catalogue is published afterwards; None for no publication.
        ray_address: Ray cluster that publishes.

    Raises:
        QualityError: there is no such night, or its gate has not passed and no reason is given.
        PublishError: the night is promoted, and the catalogue cannot be published.
        LensscanError: a file of the catalogue is damaged, or `publish_to` is no place for a collection.
    """
    root_uri = absolute(root_uri)
    publish = publication(root_uri, publish_to, ray_address=ray_address) if publish_to else None
    done = promote(chosen_plan(root_uri, label, plan), root_uri, by or account_name(), overrule)
    return done, publish_after("the night is promoted", publish) if publish else None


def chosen_plan(root_uri: str, label: str | None, plan: str | None) -> Plan:
    """Return the plan of an id, else the newest plan of a night that waits, else the newest that its readers see.

    Raises:
        QualityError: both are named, there is none, or several nights wait and none is named.
        PlanError: no plan, or several, have this id.
    """
    if plan is not None:
        if label is not None:
            raise QualityError("give either a plan or a night, not both")
        return load_plan(root_uri, find_plans(root_uri, plan)[0])
    chosen = label or _only_waiting(root_uri)
    if waiting := waiting_plans(root_uri, chosen).get(chosen):
        return waiting[0]
    if shown := shown_plans(root_uri, chosen).get(chosen):
        return load_plan(root_uri, shown[0].plan_id)
    raise QualityError(f"{root_uri}: no complete scan of night {chosen}; `lensscan status {root_uri}` shows what is there")


def _only_waiting(root_uri: str) -> str:
    labels = list(waiting_plans(root_uri))
    if len(labels) != 1:
        found = f"several nights wait: {', '.join(labels)}" if labels else "no night waits for its gate"
        raise QualityError(f"{root_uri}: name a night with --night; {found}")
    return labels[0]
