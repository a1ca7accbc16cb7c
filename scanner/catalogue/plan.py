"""Make, freeze and find plans: a plan fixes the files and rows of a night, the ensemble and the settings that score them."""

import itertools
import re
from bisect import bisect_left
from collections.abc import Iterable
from datetime import date
from typing import Protocol

from pydantic import Field, ValidationError, field_validator

from infra.engine_name import EngineName
from infra.frozen import Frozen
from infra.provenance import canonical_json, code_version, digest, sha256_bytes
from infra.store.storage import CreateOutcome, create_if_absent, join, list_files, read_bytes
from scanner.catalogue.carried import CarriedColumn
from scanner.catalogue.find_units import find_input, list_tiles, tile_files
from scanner.catalogue.known_plan import KnownPlan, input_digest, known_plan, remember_plan
from scanner.catalogue.paths import PLANS, plan_id_of, plan_uri
from scanner.catalogue.selection import EVERYTHING, Selection
from scanner.catalogue.source_choice import SourceSelection, UnmatchedTargets
from scanner.catalogue.units import MAX_EXAMPLES, LeftOut, PlanError, Unit
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.sources.tiles import FoundTiles
from scanner.vocabulary.choices import MOST_MAPS_PER_UNIT


class PlanVersionError(PlanError):
    """An intact file is no plan of this version of lensscan; another version may have written it."""


class EnsembleIdentity(Protocol):
    """Properties of an ensemble that a plan records."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class ScanConfig(Frozen):
    """Settings of a scan that can change the written catalogue."""

    candidate_threshold: float = Field(default=0.5, ge=0, le=1)
    """Smallest `p_lens` of a candidate."""
    batch_size: int = Field(default=64, ge=1)
    """Number of cutouts scored at once."""
    engine: EngineName = "auto"
    """Engine that runs the networks; `auto` selects the best one of each worker."""
    sweep: bool = True
    """Whether to score all rows in reduced precision first where that is faster, then possible candidates in float32."""
    maps_per_unit: int = Field(default=0, ge=0, le=MOST_MAPS_PER_UNIT)
    """Number of candidates of each unit, the best, whose maps are stored."""
    reference_sha256: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """Digest of the ensemble's reference, on whose axes embeddings are stored; None: none are."""


class Plan(Frozen):
    """Everything that determines what a scan writes; equal inputs, ensemble, code and settings give an equal `plan_id`."""

    plan_id: str = Field(default="", exclude=True)
    """SHA-256 of the bytes that `encode_plan` returns, which are stored; it names the file and is not in it."""
    night: str | None
    """Date YYYY-MM-DD; None for a scan without a night."""
    ensemble_name: str
    ensemble_sha256: str
    code_version: str
    config: ScanConfig
    units: tuple[Unit, ...]
    survey: Survey | None = Field(default=None, exclude_if=lambda value: value is None)
    """Survey that the tiles are of; None for Euclid's MER tiles and for shards."""
    bands_read: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Bands that the networks read; stored with a survey only."""
    sources: SourceSelection | None = Field(default=None, exclude_if=lambda value: value is None)
    """Selection of the tiles' sources, which `selected` of each unit records row by row; None if all are scored."""
    columns: tuple[CarriedColumn, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Columns of the tiles' catalogues that the unit files carry."""
    left_out: tuple[LeftOut, ...] = Field(default=(), exclude=True)
    """Tiles of the input that cannot be scanned; not stored."""
    unmatched: UnmatchedTargets | None = Field(default=None, exclude=True)
    """Targets without a source; not stored."""
    input_digest: str | None = Field(default=None, exclude=True)
    """Digest by which the catalogue remembers the plan of an input, and what it left out, once it is frozen; not stored."""

    @field_validator("night")
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        return None if value is None else check_night(value)

    @property
    def n_rows(self) -> int:
        return sum(unit.n_rows for unit in self.units)

    @property
    def n_selected(self) -> int:
        """Number of rows to score; the others are skipped."""
        return sum(unit.n_selected for unit in self.units)

    @property
    def described(self) -> Survey:
        """The description by which workers read tiles."""
        return self.survey or EUCLID_MER

    @property
    def survey_name(self) -> str | None:
        """Name of the survey that the tiles are of; None for shards."""
        return self.described.name if self.units[0].kind == "tile" else None

    @property
    def bands(self) -> dict[str, str]:
        """Band of the survey by each band that is read from tiles, of those that the networks read; empty for shards."""
        if self.units[0].kind != "tile":
            return {}
        return {band: of for band, of in self.described.bands.items() if not self.bands_read or band in self.bands_read}

    def unit(self, unit_id: str) -> Unit | None:
        """Return the unit with an id, or None; a binary search, because units are sorted by id."""
        i = bisect_left(self.units, unit_id, key=lambda unit: unit.unit_id)
        unit = self.units[i] if i < len(self.units) else None
        return unit if unit and unit.unit_id == unit_id else None


def check_night(night: str) -> str:
    """Return the night unchanged if it is a date.

    Raises:
        ValueError: the night is not a date in the form YYYY-MM-DD.
    """
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", night):
        raise ValueError(f"night must be a date YYYY-MM-DD, got {night!r}")
    return date.fromisoformat(night).isoformat()


def build_plan(
    input_uri: str,
    night: str | None,
    ensemble: EnsembleIdentity,
    config: ScanConfig,
    selection: Selection = EVERYTHING,
    survey: Survey = EUCLID_MER,
    bands_read: tuple[str, ...] = (),
    root_uri: str | None = None,
) -> Plan:
    """Plan the scan of the selected tiles, or else every shard, under `input_uri`.

    Reads all object ids, so that the expected rows are known before anything is scanned. The plan records `bands_read`, the
    bands that the networks read, with a survey other than Euclid's. An equal input and request whose plan the catalogue at
    `root_uri` remembers is not read again.

    Raises:
        PlanError: there is nothing to scan, a shard cannot be read, or the night is not a date.
        ConditionError, ManifestError: as `find_input`.
    """
    listed = list_tiles(input_uri, selection, survey)
    about = {
        "night": night,
        "ensemble": [ensemble.name, ensemble.sha256],
        "code_version": code_version(),
        "config": config.model_dump(mode="json"),
        "survey": survey.model_dump(mode="json"),
        "bands_read": list(bands_read),
    }
    key = input_digest(listed, selection, **about) if root_uri is not None else None
    known = _remembered(root_uri, key) if root_uri is not None and key is not None else None
    if known is not None and _is_of(known, listed, selection, night, ensemble, config, survey):
        return known
    found = find_input(input_uri, selection, survey, listed)
    plan = make_plan(night, ensemble, config, found.units, survey, bands_read, found.sources, found.columns)
    if key is None and root_uri is not None and listed.tiles:
        # Such a plan is made anew each time, and its record only says which tiles it left out.
        key = digest({"plan": plan.plan_id, "left_out": [tile.model_dump(mode="json") for tile in found.left_out]})
    return plan.model_copy(update={"left_out": found.left_out, "unmatched": found.unmatched, "input_digest": key})


def _remembered(root_uri: str, key: str) -> Plan | None:
    """Return the plan of an input that was planned before; None if it is not stored, or not as it was written."""
    known = known_plan(root_uri, key)
    if known is None:
        return None
    try:
        plan = load_plan(root_uri, known.plan_id)
    except PlanError:
        return None
    return plan.model_copy(update={"left_out": known.left_out, "input_digest": key})


def _is_of(
    plan: Plan,
    listed: FoundTiles,
    selection: Selection,
    night: str | None,
    ensemble: EnsembleIdentity,
    config: ScanConfig,
    survey: Survey,
) -> bool:
    """Return whether a remembered plan fits these tiles and this request: its record may come from elsewhere, or be edited."""
    asked = (night, ensemble.name, ensemble.sha256, code_version(), config, survey)
    if (plan.night, plan.ensemble_name, plan.ensemble_sha256, plan.code_version, plan.config, plan.described) != asked:
        return False
    tiles = {tile.tile_id: tile for tile in listed.tiles}
    named = {unit.unit_id for unit in plan.units} | {tile.tile for tile in plan.left_out}
    # Tiles outside a circle are neither scanned nor left out.
    if selection.circle is None and not named.issuperset(tiles):
        return False
    return all(unit.unit_id in tiles and unit.files == tile_files(tiles[unit.unit_id]) for unit in plan.units)


def make_plan(
    night: str | None,
    ensemble: EnsembleIdentity,
    config: ScanConfig,
    units: Iterable[Unit],
    survey: Survey = EUCLID_MER,
    bands_read: tuple[str, ...] = (),
    sources: SourceSelection | None = None,
    columns: tuple[CarriedColumn, ...] = (),
) -> Plan:
    """Make a plan with its id; units are sorted by id.

    Raises:
        PlanError: there are no units, two units have one name, or the night is not a date.
    """
    ordered = tuple(sorted(units, key=lambda unit: unit.unit_id))
    names = [unit.unit_id for unit in ordered]
    if not names:
        raise PlanError("a plan needs at least one unit")
    if repeated := sorted({a for a, b in itertools.pairwise(names) if a == b}):
        raise PlanError(f"units must have different names, repeated: {', '.join(repeated[:MAX_EXAMPLES])}")
    is_default = survey == EUCLID_MER
    try:
        plan = Plan(
            night=night,
            ensemble_name=ensemble.name,
            ensemble_sha256=ensemble.sha256,
            code_version=code_version(),
            config=config,
            units=ordered,
            survey=None if is_default else survey,
            bands_read=() if is_default else bands_read,
            sources=sources,
            columns=columns,
        )
    except ValidationError as error:
        raise PlanError(error.errors()[0]["msg"]) from error
    return plan.model_copy(update={"plan_id": sha256_bytes(encode_plan(plan))})


def encode_plan(plan: Plan) -> bytes:
    """Return the content of a plan's file; equal plans give equal bytes."""
    # What a plan does not use is not in its file: plans of earlier versions had no such field, and keep their ids.
    return canonical_json(plan.model_dump(mode="json"))


def freeze(plan: Plan, root_uri: str) -> None:
    """Write the plan once; freezing an equal plan again changes nothing.

    Raises:
        PlanError: a file with other content has the plan's name.
    """
    uri = plan_uri(root_uri, plan.plan_id)
    if create_if_absent(uri, encode_plan(plan), plan.plan_id) is CreateOutcome.EXISTS:
        raise PlanError(f"{uri}: content differs from the plan with this id; was it edited?")
    if plan.input_digest is not None:
        remember_plan(root_uri, plan.input_digest, KnownPlan(plan_id=plan.plan_id, left_out=plan.left_out))


def load_plan(root_uri: str, plan_id: str) -> Plan:
    """Read a frozen plan and check that its content matches its id.

    Raises:
        PlanError: the plan does not exist, was edited or is damaged.
        PlanVersionError: the plan is as it was written, but its fields are not those of this version.
    """
    uri = plan_uri(root_uri, plan_id)
    try:
        data = read_bytes(uri)
        if sha256_bytes(data) != plan_id:
            raise PlanError(f"{uri}: content does not match the plan id; was it edited?")
        return Plan.model_validate_json(data).model_copy(update={"plan_id": plan_id})
    except FileNotFoundError as error:
        raise PlanError(f"{uri}: no such plan") from error
    except ValidationError as error:
        raise PlanVersionError(f"{uri}: no plan of this version of lensscan: {error.errors()[0]['msg']}") from error


def plan_ids(root_uri: str) -> list[str]:
    """Return the sorted ids of all plans at a root, damaged ones included."""
    return [plan_id_of(file.uri) for file in list_files(join(root_uri, PLANS), ".json")]


def find_plans(root_uri: str, prefix: str | None = None, night: str | None = None) -> list[str]:
    """Return the ids of the one plan whose id begins with `prefix`, of a night's plans, or of all plans.

    A plan that cannot be read may belong to any night, so it is returned for each night.

    Raises:
        PlanError: there is no such plan, several have the prefix, it is empty, or both a prefix and a night are given.
    """
    if prefix is not None and not prefix.strip():
        # It would select the only plan of a catalogue.
        raise PlanError(f"the id of a plan must have at least one character, got {prefix!r}")
    ids = plan_ids(root_uri)
    if prefix is not None and night is not None:
        raise PlanError("give either a plan or a night, not both")
    if not ids:
        raise PlanError(f"{root_uri}: holds no plans; is it the folder or prefix given to `lensscan scan --out`?")
    matching = [plan_id for plan_id in ids if plan_id.startswith(prefix or "") and _may_be_of(root_uri, plan_id, night)]
    if not matching:
        raise PlanError(f"{root_uri}: no plan {f'of {night}' if night else f'begins with {prefix!r}'}")
    if prefix is not None and len(matching) > 1:
        examples = ", ".join(plan_id[: len(prefix) + 12] for plan_id in matching[:MAX_EXAMPLES])
        raise PlanError(f"{root_uri}: {len(matching)} plans begin with {prefix!r}, such as {examples}; give more characters")
    return matching


def _may_be_of(root_uri: str, plan_id: str, night: str | None) -> bool:
    try:
        return night is None or load_plan(root_uri, plan_id).night == night
    except PlanError:
        return True
