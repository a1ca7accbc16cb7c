"""Record which plan a night shows, and tell which plans, and which units of each, readers see.

The newest entry of a night's journal that shows a plan decides: its plan hides the units of older plans that it scanned too,
and the objects that it looked at. An older plan stays visible for all other units, so that two fields that were scanned into
one night are both there. Tiles are equal if their ids are, because a survey has each id once. The names of shards say little,
so shards are equal only if they also hold the same objects.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError

from infra.frozen import Frozen
from infra.store.storage import exists, join, list_files, read_bytes
from scanner.catalogue.journal import Entry, Event, append, entries
from scanner.catalogue.paths import SEALS, night_label, plan_id_of, plan_uri, seal_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.seal import load_seal
from scanner.catalogue.units import PlanError, Unit
from scanner.purity import PurityTable


@dataclass(frozen=True)
class ShownPlan:
    """A sealed plan that readers see."""

    plan_id: str
    threshold: float
    """Smallest `p_lens` of its candidates."""
    record: int = 0
    """Number of the record that shows it."""
    units: frozenset[str] | None = None
    """Its units that no newer plan holds; None for all of its units."""
    # Each newer plan has newer plans in turn: to compare or to print them all takes time that doubles with each plan.
    newer: tuple["ShownPlan", ...] = field(default=(), compare=False, repr=False)
    """Plans of the same night; this plan must not show the objects again that they looked at."""
    purity: PurityTable | None = field(default=None, compare=False)
    """Expected purity of its ensemble; None where unknown."""


def show_records(root_uri: str, label: str = "") -> dict[str, list[Entry]]:
    """Return the entries that show a plan, newest first, by the label of each night with some; arguments as of `entries`."""
    found: dict[str, list[Entry]] = {}
    for night, journal in entries(root_uri, label).items():
        if records := [entry for entry in journal if entry.event is Event.SHOWN]:
            found[night] = records
    return found


def record_shown(root_uri: str, label: str, plan_id: str, threshold: float, purity: PurityTable | None = None) -> Entry:
    """Make a sealed plan the newest one that a night shows, and return its entry; an equal newest one is not repeated.

    Raises:
        JournalError: an entry of the night is damaged.
        StorageError: the store failed; record the plan again.
    """
    wanted = Entry(event=Event.SHOWN, plan_id=plan_id, threshold=threshold, purity=purity)
    return append(root_uri, label, wanted, lambda entry: entry.event is Event.SHOWN)


def shown_plans(root_uri: str, label: str = "", *, written: Entry | None = None) -> dict[str, list[ShownPlan]]:
    """Return the plans that readers see, newest first, by the label of their night; of one night if its label is given.

    A plan without a seal is not shown, whatever an entry says: a repair moved its seal away, for example.

    Args:
        root_uri: The catalogue's root.
        label: Label of a night; all nights if it is empty.
        written: An entry that the caller has just written for a sealed plan of the one night: a listing may still lack both.

    Raises:
        JournalError: an entry is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    records = show_records(root_uri, label)
    if written and written not in (known := records.get(label, [])):
        records[label] = sorted([written, *known], key=lambda entry: -entry.number)
    sealed = {plan_id_of(file.uri) for file in list_files(join(root_uri, SEALS), ".json")} if records else set()
    sealed |= {written.plan_id} if written else set()
    return {night: _shown(root_uri, [r for r in found if r.plan_id in sealed]) for night, found in records.items()}


def shown_with(root_uri: str, label: str, entry: Entry) -> list[ShownPlan]:
    """Return the plans that readers of a night will see, newest first, once the sealed plan of this entry is shown as asked.

    Raises:
        JournalError: an entry is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    newest = max((known.number for known in entries(root_uri, label).get(label, ())), default=0)
    written = entry.model_copy(update={"event": Event.SHOWN, "number": newest + 1})
    return shown_plans(root_uri, label, written=written)[label]


class Replaced(Frozen):
    """An older plan, some of whose units a newer plan hides."""

    plan_id: str
    n_units_replaced: int
    n_units: int
    """Number of its units that were shown before."""


def replaced_by(plan: Plan, root_uri: str) -> tuple[Replaced, ...]:
    """Return the plans that readers will see less of, once a plan is shown that was not the newest of its night.

    Raises:
        JournalError: a record is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    label, own = night_label(plan.night), {_key(unit) for unit in plan.units}
    found = []
    for shown in shown_plans(root_uri, label).get(label, ()):
        if shown.plan_id == plan.plan_id:
            continue
        units = _sealed_units(root_uri, shown.plan_id)
        visible = {key for key, unit_id in units.items() if shown.units is None or unit_id in shown.units}
        if visible & own:
            found.append(Replaced(plan_id=shown.plan_id, n_units_replaced=len(visible & own), n_units=len(visible)))
    return tuple(found)


def with_lower_threshold(plan: Plan, root_uri: str) -> Plan:
    """Return a sealed plan of the night that holds all that `plan` asks for, because only its threshold differs and is lower.

    Without such a plan, and if `plan` is sealed itself, return `plan`.

    Raises:
        JournalError: a record is damaged.
        StorageError: the store failed.
    """
    if exists(seal_uri(root_uri, plan.plan_id)):
        return plan
    label = night_label(plan.night)
    for plan_id in dict.fromkeys(record.plan_id for record in show_records(root_uri, label).get(label, ())):
        try:
            other = load_plan(root_uri, plan_id)
        except PlanError:
            continue
        lower = other.config.candidate_threshold
        config = plan.config.model_copy(update={"candidate_threshold": lower})
        # These are not stored.
        unstored = {"left_out": plan.left_out, "unmatched": plan.unmatched, "input_digest": plan.input_digest}
        found = other.model_copy(update=unstored)
        wanted = plan.model_copy(update={"config": config, "plan_id": plan_id})
        if lower < plan.config.candidate_threshold and found == wanted and exists(seal_uri(root_uri, plan_id)):
            return found
    return plan


class _PlannedUnit(BaseModel):
    """The fields of a unit that tell it from others; plans of all versions have them."""

    unit_id: str
    kind: str
    id_digest: str


class _PlannedUnits(BaseModel):
    units: tuple[_PlannedUnit, ...]


def _key(unit: Unit | _PlannedUnit) -> str:
    """Return a text that is equal for units of which a newer one replaces an older one."""
    return unit.unit_id if unit.kind == "tile" else f"{unit.unit_id} {unit.id_digest}"


def _sealed_units(root_uri: str, plan_id: str) -> dict[str, str]:
    """Return the ids of the units of a sealed plan by their keys; none if it has no seal.

    If the plan cannot be read, its units replace none and none replaces them.

    Raises:
        SealError: the seal is damaged.
    """
    sealed = load_seal(root_uri, plan_id)
    planned: Iterable[_PlannedUnit] = ()
    with suppress(FileNotFoundError, ValidationError):
        planned = _PlannedUnits.model_validate_json(read_bytes(plan_uri(root_uri, plan_id))).units
    keys = {unit.unit_id: _key(unit) for unit in planned}
    return {keys.get(unit_id, f"{unit_id} {plan_id}"): unit_id for unit_id in (sealed.units if sealed else ())}


def _shown(root_uri: str, records: list[Entry]) -> list[ShownPlan]:
    """Return what a night shows; `records` are those of its sealed plans, newest first."""
    newest: dict[str, Entry] = {}
    for record in records:
        newest.setdefault(record.plan_id, record)
    if len(newest) == 1:
        return [ShownPlan(record.plan_id, record.threshold, record.number, purity=record.purity) for record in newest.values()]
    shown: list[ShownPlan] = []
    hidden: set[str] = set()
    for record in newest.values():
        own = _sealed_units(root_uri, record.plan_id)
        left = frozenset(unit_id for key, unit_id in own.items() if key not in hidden)
        if left or not shown:
            units = None if len(left) == len(own) else left
            shown.append(ShownPlan(record.plan_id, record.threshold, record.number, units, tuple(shown), record.purity))
        hidden.update(own)
    return shown
