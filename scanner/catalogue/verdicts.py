"""The stored verdicts on the quality of a plan, and the record of its promotion."""

from pydantic import Field, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json
from infra.store.storage import CreateOutcome, create_if_absent, list_files, read_bytes
from scanner.catalogue.paths import promoted_uri, quality_uri, verdict_number, verdict_uri


class VerdictError(LensscanError):
    """A verdict or the record of a promotion is damaged."""


class Check(Frozen):
    """One quantity of a night, its limit, and whether it keeps it."""

    name: str
    band: str | None = None
    value: float | None
    """Measured value; None if it could not be measured, which is no failure unless `is_good` says so."""
    limit: float | None
    """Largest value that passes, or smallest one for a recovered fraction; None without one."""
    is_good: bool
    text: str
    """The measurement and its limit in a plain sentence."""


class Verdict(Frozen):
    """The checks of a plan."""

    number: int = Field(default=0, ge=0, exclude=True)
    """Number in the name of the file, which is not in its content; 0 for a verdict that is not stored."""
    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    night: str | None
    reference_plan_id: str | None
    """Plan that drifts are measured against; None without one."""
    reference_night: str | None
    code_version: str
    limits: dict[str, float]
    checks: tuple[Check, ...]

    @property
    def is_passed(self) -> bool:
        return all(check.is_good for check in self.checks)

    @property
    def failures(self) -> tuple[str, ...]:
        """Sentences of the checks that failed."""
        return tuple(check.text for check in self.checks if not check.is_good)

    @property
    def why(self) -> str:
        """The failures in one line; empty if there are none."""
        return "; ".join(self.failures)


class Promotion(Frozen):
    """The record that a plan was promoted, because its gate passed or because a person overruled it."""

    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    verdict: int | None
    """Number of the newest verdict then; None if there was none."""
    overruled_because: str | None = None
    """A person's reason to promote the plan although its gate had not passed; None if it had."""
    by: str
    """Name of the person or the account that promoted the plan."""


def newest_verdict(root_uri: str, plan_id: str) -> Verdict | None:
    """Return the newest verdict on a plan, or None if it was not judged.

    Raises:
        VerdictError: the file is damaged.
        StorageError: the store failed.
    """
    files = {verdict_number(file.uri): file.uri for file in list_files(quality_uri(root_uri, plan_id), ".json")}
    number = max((number for number in files if number is not None), default=None)
    if number is None:
        return None
    try:
        return Verdict.model_validate_json(read_bytes(files[number])).model_copy(update={"number": number})
    except ValidationError as error:
        raise VerdictError(f"{files[number]}: not a verdict; remove it and run `lensscan qa` again") from error


def record_verdict(verdict: Verdict, root_uri: str) -> Verdict:
    """Store a verdict as the newest one of its plan, unless the newest one is equal, and return it with its number.

    Raises:
        VerdictError: the newest verdict is damaged.
        StorageError: the store failed; judge the plan again.
    """
    while True:
        newest = newest_verdict(root_uri, verdict.plan_id)
        if newest and newest == verdict.model_copy(update={"number": newest.number}):
            return newest
        number = newest.number + 1 if newest else 1
        uri = verdict_uri(root_uri, verdict.plan_id, number)
        data = canonical_json(verdict.model_dump())
        if create_if_absent(uri, data, verdict.plan_id) is not CreateOutcome.EXISTS:
            return verdict.model_copy(update={"number": number})


def promotion_of(root_uri: str, plan_id: str) -> Promotion | None:
    """Return the record of a plan's promotion, or None if it was not promoted.

    Raises:
        VerdictError: the record is damaged.
        StorageError: the store failed.
    """
    uri = promoted_uri(root_uri, plan_id)
    try:
        return Promotion.model_validate_json(read_bytes(uri))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise VerdictError(f"{uri}: not the record of a promotion; remove it and run `lensscan promote` again") from error


def record_promotion(promotion: Promotion, root_uri: str) -> Promotion:
    """Store the promotion of a plan once and return the stored one: of two people who promote it, the first one is kept.

    Raises:
        VerdictError: the record is damaged.
        StorageError: the store failed; promote the plan again.
    """
    uri = promoted_uri(root_uri, promotion.plan_id)
    create_if_absent(uri, canonical_json(promotion.model_dump()), promotion.plan_id)
    return promotion_of(root_uri, promotion.plan_id) or promotion
