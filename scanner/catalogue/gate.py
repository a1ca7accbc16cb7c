"""Keep a sealed plan from readers until its quality was judged: a plan that a scan holds is shown by its promotion alone.

The entry of the journal that holds a plan is written before its seal. So no command that finishes an interrupted scan shows the
plan by mistake. A plan that was shown once is no longer kept back.
"""

from infra.store.storage import exists
from scanner.catalogue.journal import Entry, Event, append, entries, first_numbers
from scanner.catalogue.paths import night_label, seal_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.shown import replaced_by, show_records
from scanner.purity import PurityTable


def begin(plan: Plan, root_uri: str, threshold: float, purity: PurityTable | None = None, *, gate: bool) -> None:
    """Record, before the first unit, from which `p_lens` on readers are to see a plan, and whether a gate holds it.

    The newest scan of a plan decides the threshold. A plan that was held stays so; one that readers saw is not held.

    Raises:
        JournalError: an entry of the night is damaged.
        StorageError: the store failed.
    """
    label = night_label(plan.night)
    is_held = (gate or held(plan, root_uri) is not None) and not was_shown(plan, root_uri)
    event = Event.HELD if is_held else Event.ASKED
    wanted = Entry(event=event, plan_id=plan.plan_id, threshold=threshold, purity=purity)
    append(root_uri, label, wanted, lambda entry: entry.event is not Event.SHOWN and entry.plan_id == plan.plan_id)


def asked(plan: Plan, root_uri: str) -> Entry | None:
    """Return what the newest scan of a plan asked for; None if none has begun. Raises as `begin`."""
    label = night_label(plan.night)
    of_plan = (entry for entry in entries(root_uri, label).get(label, ()) if entry.plan_id == plan.plan_id)
    return next((entry for entry in of_plan if entry.event is not Event.SHOWN), None)


def held(plan: Plan, root_uri: str) -> Entry | None:
    """Return the entry that holds a plan; None if no scan has held it. Raises as `begin`."""
    entry = asked(plan, root_uri)
    return entry if entry and entry.event is Event.HELD else None


def is_waiting(plan: Plan, root_uri: str) -> bool:
    """Return whether a plan is held and readers have never seen it; raises as `begin`."""
    return held(plan, root_uri) is not None and not was_shown(plan, root_uri)


def was_shown(plan: Plan, root_uri: str) -> bool:
    """Return whether the night of a plan has shown it; raises as `begin`."""
    label = night_label(plan.night)
    return any(record.plan_id == plan.plan_id for record in show_records(root_uri, label).get(label, ()))


def is_behind(plan: Plan, root_uri: str) -> bool:
    """Return whether the night of a plan has shown it, and another plan after it; raises as `begin`."""
    label = night_label(plan.night)
    shown = [record.plan_id for record in show_records(root_uri, label).get(label, ())]
    return plan.plan_id in shown and shown[0] != plan.plan_id


def waiting_plans(root_uri: str, label: str = "") -> dict[str, list[Plan]]:
    """Return the sealed plans that wait for their promotion, newest first, by the labels of nights that have some.

    A plan does not wait any more once its night shows a newer plan that holds one of its units. The plan is newer whose first
    entry in the journal has the larger number.

    Args:
        root_uri: The catalogue's root.
        label: Label of a night; all nights if it is empty.

    Raises:
        JournalError: an entry is damaged.
        PlanError: a plan is damaged.
        StorageError: the store failed.
    """
    found = {night: _waiting(root_uri, journal) for night, journal in entries(root_uri, label).items()}
    return {night: plans for night, plans in sorted(found.items()) if plans}


def _waiting(root_uri: str, journal: list[Entry]) -> list[Plan]:
    numbers = first_numbers(journal)
    shown = {entry.plan_id for entry in journal if entry.event is Event.SHOWN}
    asked_for = {entry.plan_id: entry for entry in reversed(journal) if entry.event is not Event.SHOWN}
    names = [name for name, entry in asked_for.items() if entry.event is Event.HELD and name not in shown]
    plans = [load_plan(root_uri, name) for name in names if exists(seal_uri(root_uri, name))]
    waiting = [plan for plan in plans if not is_replaced(plan, root_uri, numbers)]
    return sorted(waiting, key=lambda plan: numbers[plan.plan_id], reverse=True)


def is_replaced(plan: Plan, root_uri: str, numbers: dict[str, int]) -> bool:
    """Return whether readers see, of a unit of this plan, the rows of a newer plan; `numbers` are the `first_numbers`."""
    own = numbers.get(plan.plan_id, 0)
    return any(numbers.get(other.plan_id, 0) > own for other in replaced_by(plan, root_uri))
