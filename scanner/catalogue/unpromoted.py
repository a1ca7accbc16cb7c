"""Find the oldest plan whose night readers do not see yet: the age that an operator's alert looks at."""

from datetime import datetime

from infra.store.storage import join, list_files
from scanner.catalogue.paths import PLANS, night_label, plan_id_of
from scanner.catalogue.plan import load_plan
from scanner.catalogue.shown import show_records
from scanner.catalogue.units import PlanError


def oldest_unpromoted_s(root_uri: str, now: datetime) -> float:
    """Return the age in seconds of the oldest plan that no record shows, 0 if there is none.

    A plan whose night shows a plan that was written later was replaced, and does not count. Only plans that were never shown
    are read.

    Raises:
        ShownError: a record of a shown plan is damaged.
        StorageError: the store failed.
    """
    files = {plan_id_of(file.uri): file for file in list_files(join(root_uri, PLANS), ".json")}
    nights = show_records(root_uri)
    shown = {record.plan_id for records in nights.values() for record in records}
    waiting = sorted((file.modified, plan_id) for plan_id, file in files.items() if plan_id not in shown and file.modified)
    for modified, plan_id in waiting:
        try:
            label = night_label(load_plan(root_uri, plan_id).night)
        except PlanError:
            continue
        others = (files.get(record.plan_id) for record in nights.get(label, ()))
        if not any(other and other.modified and other.modified > modified for other in others):
            return max((now - modified).total_seconds(), 0.0)
    return 0.0
