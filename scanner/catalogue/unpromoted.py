"""Find the oldest plan whose night readers do not see yet: the age that an operator's alert looks at."""

from datetime import datetime

from infra.store.storage import join, list_files
from scanner.catalogue.paths import PLANS, night_label, plan_id_of
from scanner.catalogue.plan import load_plan
from scanner.catalogue.shown import replaced_by, show_records
from scanner.catalogue.units import PlanError


def oldest_unpromoted_s(root_uri: str, now: datetime) -> float:
    """Return the age in seconds of the oldest plan that no record shows, 0 if there is none.

    A plan was replaced, and does not count, if readers see one of its units in a plan of its night that was written later. Only
    plans that were never shown are read, and the plans that their nights show.

    Raises:
        ShownError: a record of a shown plan is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    files = {plan_id_of(file.uri): file for file in list_files(join(root_uri, PLANS), ".json")}
    nights = show_records(root_uri)
    shown = {record.plan_id for records in nights.values() for record in records}
    waiting = sorted((file.modified, plan_id) for plan_id, file in files.items() if plan_id not in shown and file.modified)
    for modified, plan_id in waiting:
        try:
            plan = load_plan(root_uri, plan_id)
        except PlanError:
            continue
        others = replaced_by(plan, root_uri) if night_label(plan.night) in nights else ()
        times = (files[other.plan_id].modified for other in others if other.plan_id in files)
        if not any(time and time > modified for time in times):
            return max((now - modified).total_seconds(), 0.0)
    return 0.0
