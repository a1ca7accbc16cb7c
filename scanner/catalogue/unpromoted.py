"""Find the oldest plan whose night readers do not see yet: the age that an operator's alert looks at."""

from datetime import datetime

from infra.store.storage import join, list_files
from scanner.catalogue.gate import is_replaced
from scanner.catalogue.journal import Event, entries, first_numbers
from scanner.catalogue.paths import PLANS, night_label, plan_id_of
from scanner.catalogue.plan import load_plan
from scanner.catalogue.units import PlanError


def oldest_unpromoted_s(root_uri: str, now: datetime) -> float:
    """Return the age in seconds of the oldest plan that no record shows, 0 if there is none.

    A plan was replaced, and does not count, if readers see one of its units in a newer plan of its night. The age is
    that of the plan's file.

    Raises:
        JournalError: a record of a shown plan is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    files = {plan_id_of(file.uri): file for file in list_files(join(root_uri, PLANS), ".json")}
    nights = entries(root_uri)
    shown = {entry.plan_id for journal in nights.values() for entry in journal if entry.event is Event.SHOWN}
    ages = []
    for plan_id in files.keys() - shown:
        try:
            plan = load_plan(root_uri, plan_id)
        except PlanError:
            continue
        written = files[plan_id].modified
        if written and not is_replaced(plan, root_uri, first_numbers(nights.get(night_label(plan.night), []))):
            ages.append((now - written).total_seconds())
    return max(ages, default=0.0)
