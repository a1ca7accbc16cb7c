"""Keep a sealed plan from readers until its quality was judged: a plan that a scan holds is shown by its promotion alone.

The record that holds a plan is written before its seal. So no command that finishes an interrupted scan shows the plan by
mistake. A plan that was shown once is no longer kept back.
"""

from contextlib import suppress
from datetime import UTC, datetime

from pydantic import Field, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json
from infra.store.replacement import replace
from infra.store.storage import info, join, list_files, read_bytes, read_many
from scanner.catalogue.paths import HELD_NAME, QUALITY, held_uri, night_label, seal_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.shown import replaced_by, show_records
from scanner.purity import PurityTable


class GateError(LensscanError):
    """A record about a held plan is damaged, or there is no such plan."""


class Hold(Frozen):
    """A record that a plan waits for its promotion, and how it will be shown then."""

    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    night: str | None
    threshold: float = Field(ge=0, le=1)
    """Smallest `p_lens` of the candidates that will be shown."""
    purity: PurityTable | None = None
    """Expected purity of the plan's ensemble; None where unknown."""


def hold(plan: Plan, root_uri: str, threshold: float, purity: PurityTable | None = None) -> None:
    """Keep a plan from readers until it is promoted; a plan that readers saw before is not held.

    A second scan of the plan with another threshold replaces the first one's.

    Raises:
        GateError, ShownError: a record is damaged.
        StorageError: the store failed.
    """
    wanted = Hold(plan_id=plan.plan_id, night=plan.night, threshold=threshold, purity=purity)
    if not was_shown(plan, root_uri) and held(root_uri, plan.plan_id) != wanted:
        replace(held_uri(root_uri, plan.plan_id), canonical_json(wanted.model_dump()))


def held(root_uri: str, plan_id: str) -> Hold | None:
    """Return the record that holds a plan; None if no scan has held it.

    Raises:
        GateError: the record is damaged.
        StorageError: the store failed.
    """
    uri = held_uri(root_uri, plan_id)
    try:
        return _decoded(uri, read_bytes(uri))
    except FileNotFoundError:
        return None


def is_waiting(plan: Plan, root_uri: str) -> bool:
    """Return whether a plan is held and readers have never seen it; raises as `hold`."""
    return held(root_uri, plan.plan_id) is not None and not was_shown(plan, root_uri)


def was_shown(plan: Plan, root_uri: str) -> bool:
    """Return whether the night of a plan has shown it; raises as `show_records`."""
    label = night_label(plan.night)
    return any(record.plan_id == plan.plan_id for record in show_records(root_uri, label).get(label, ()))


def is_behind(plan: Plan, root_uri: str) -> bool:
    """Return whether the night of a plan has shown it, and another plan after it; raises as `show_records`."""
    label = night_label(plan.night)
    shown = [record.plan_id for record in show_records(root_uri, label).get(label, ())]
    return plan.plan_id in shown and shown[0] != plan.plan_id


def holds(root_uri: str) -> list[Hold]:
    """Return the records of all plans that a scan has held, whether or not readers see them by now; raises as `held`."""
    files = list_files(join(root_uri, QUALITY), HELD_NAME)
    return [_decoded(file.uri, data) for file, data in zip(files, read_many(files), strict=True) if data is not None]


def waiting_plans(root_uri: str, label: str) -> list[Plan]:
    """Return the sealed plans of a night that wait for their promotion, newest first.

    A plan does not wait any more once the night shows a plan that was sealed later and holds one of its units.

    Raises:
        GateError, ShownError: a record is damaged.
        PlanError: a plan is damaged.
        StorageError: the store failed.
    """
    seen = {record.plan_id for record in show_records(root_uri, label).get(label, ())}
    found = []
    for one in holds(root_uri):
        if night_label(one.night) == label and one.plan_id not in seen:
            with suppress(FileNotFoundError):
                found.append((_sealed_at(root_uri, one.plan_id), one.plan_id))
    plans = [(sealed_at, load_plan(root_uri, plan_id)) for sealed_at, plan_id in sorted(found, reverse=True)]
    return [plan for sealed_at, plan in plans if not _is_replaced(plan, sealed_at, root_uri)]


def _is_replaced(plan: Plan, sealed_at: datetime, root_uri: str) -> bool:
    """Return whether readers see, of a unit of a plan that waits, the rows of a plan that was sealed later."""
    return any(_sealed_at(root_uri, shown.plan_id) > sealed_at for shown in replaced_by(plan, root_uri))


def _sealed_at(root_uri: str, plan_id: str) -> datetime:
    return info(seal_uri(root_uri, plan_id)).modified or datetime.min.replace(tzinfo=UTC)


def _decoded(uri: str, data: bytes) -> Hold:
    try:
        return Hold.model_validate_json(data)
    except ValidationError as error:
        raise GateError(f"{uri}: not the record of a held plan; remove it and scan again with --gate") from error
