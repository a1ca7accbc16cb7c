"""Record which plan a night shows, and tell which plans, and which units of each, readers see.

Each night has numbered records, and each record names a plan. The newest record decides: its plan hides the units of older
plans that it scanned too, and the objects that it looked at. An older plan stays visible for all other units, so that two
fields that were scanned into one night are both there. Tiles are equal if their ids are, because a survey has each id once.
The names of shards say little, so shards are equal only if they also hold the same objects.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json
from infra.store.removal import remove
from infra.store.storage import CreateOutcome, FileInfo, create_if_absent, exists, join, list_files, read_bytes, read_many
from scanner.catalogue.paths import SEALS, SHOWN, label_and_number, night_label, plan_id_of, plan_uri, seal_uri, shown_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.seal import load_seal
from scanner.catalogue.units import PlanError, Unit
from scanner.purity import PurityTable


class ShownError(LensscanError):
    """A record of a shown plan is damaged."""


class ShowRecord(Frozen):
    """A record that a night shows a plan from now on."""

    number: int = Field(default=0, ge=0, exclude=True)
    """Number in the name of the file, which is not in its content."""
    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    threshold: float = Field(ge=0, le=1)
    """Smallest `p_lens` of the candidates that are shown; at least that of the plan's own candidates."""
    purity: PurityTable | None = None
    """Expected purity of the plan's ensemble; None where unknown."""


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


def show_records(root_uri: str, label: str = "") -> dict[str, list[ShowRecord]]:
    """Return the records of each night, newest first, by the night's label; of one night only if its label is given.

    Raises:
        ShownError: a record is damaged.
        StorageError: the store failed.
    """
    found: dict[str, list[ShowRecord]] = {}
    for _, night, record in _stored_records(root_uri, label):
        found.setdefault(night, []).insert(0, record)
    return found


def remove_records(root_uri: str, plan_id: str) -> set[str]:
    """Remove all records that name a plan, and return the labels of their nights; the night's files stay as they are.

    Raises:
        ShownError: a record is damaged.
        StorageError: the store failed; remove the records again.
    """
    labels = set()
    for file, night, record in _stored_records(root_uri):
        if record.plan_id == plan_id:
            remove(file)
            labels.add(night)
    return labels


def _stored_records(root_uri: str, label: str = "") -> Iterator[tuple[FileInfo, str, ShowRecord]]:
    """Yield each record with its file and its night's label, oldest first; raises as `show_records`."""
    files = list_files(join(root_uri, SHOWN, *filter(None, [label])), ".json")
    for file, data in zip(files, read_many(files), strict=True):
        if data is None:
            # Its plan is being forgotten.
            continue
        try:
            night, number = label_and_number(file.uri)
            record = ShowRecord.model_validate_json(data).model_copy(update={"number": number})
        except (ValueError, ValidationError) as error:
            raise ShownError(
                f"{file.uri}: not a record of a shown plan; move it out of the catalogue, then run `lensscan scan` again for "
                "what it showed, and after that for what newer records show: each scan makes its plan the newest of the night"
            ) from error
        yield file, night, record


def record_shown(root_uri: str, label: str, plan_id: str, threshold: float, purity: PurityTable | None = None) -> None:
    """Make a sealed plan the newest one that a night shows; write nothing if the newest record says so already.

    The order of the records' numbers decides, not a clock. A number belongs to the writer that creates its file first; another
    writer takes the next number.

    Raises:
        ShownError: a record of the night is damaged.
        StorageError: the store failed; record the plan again.
    """
    wanted = ShowRecord(plan_id=plan_id, threshold=threshold, purity=purity)
    while True:
        newest, *_ = show_records(root_uri, label).get(label, [None])
        if newest and newest.model_copy(update={"number": 0}) == wanted:
            return
        uri = shown_uri(root_uri, label, newest.number + 1 if newest else 1)
        if create_if_absent(uri, canonical_json(wanted.model_dump()), plan_id) is not CreateOutcome.EXISTS:
            return


def shown_plans(root_uri: str, label: str = "") -> dict[str, list[ShownPlan]]:
    """Return the plans that readers see, newest first, by the label of their night; of one night if its label is given.

    A plan without a seal is not shown, whatever a record says: a repair moved its seal away, for example.

    Raises:
        ShownError: a record is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    records = show_records(root_uri, label)
    sealed = {plan_id_of(file.uri) for file in list_files(join(root_uri, SEALS), ".json")} if records else set()
    return {night: _shown(root_uri, [r for r in found if r.plan_id in sealed]) for night, found in records.items()}


def shown_with(root_uri: str, label: str, plan_id: str, threshold: float, purity: PurityTable | None = None) -> list[ShownPlan]:
    """Return the plans that readers of a night will see, newest first, once a sealed plan is recorded as its newest.

    Raises:
        ShownError: a record is damaged.
        SealError: a seal is damaged.
        StorageError: the store failed.
    """
    records = show_records(root_uri, label).get(label, [])
    next_one = ShowRecord(number=records[0].number + 1 if records else 1, plan_id=plan_id, threshold=threshold, purity=purity)
    sealed = {plan_id_of(file.uri) for file in list_files(join(root_uri, SEALS), ".json")}
    return _shown(root_uri, [record for record in (next_one, *records) if record.plan_id in sealed])


class Replaced(Frozen):
    """An older plan, some of whose units a newer plan hides."""

    plan_id: str
    n_units_replaced: int
    n_units: int
    """Number of its units that were shown before."""


def replaced_by(plan: Plan, root_uri: str) -> tuple[Replaced, ...]:
    """Return the plans that readers will see less of, once a plan is shown that was not the newest of its night.

    Raises:
        ShownError: a record is damaged.
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
        ShownError: a record is damaged.
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


def _shown(root_uri: str, records: list[ShowRecord]) -> list[ShownPlan]:
    """Return what a night shows; `records` are those of its sealed plans, newest first."""
    newest: dict[str, ShowRecord] = {}
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
