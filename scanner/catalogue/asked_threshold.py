"""Keep the threshold that a scan asks for until its night shows it: another command may finish the scan."""

from pydantic import Field, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json
from infra.store.replacement import replace
from infra.store.storage import read_bytes
from scanner.catalogue.paths import asked_uri
from scanner.catalogue.plan import Plan


class AskedError(LensscanError):
    """The record of the threshold that a scan asks for is damaged."""


class _Asked(Frozen):
    threshold: float = Field(ge=0, le=1)


def remember_threshold(plan: Plan, root_uri: str, threshold: float) -> None:
    """Store the smallest `p_lens` that readers are to be shown; the newest scan of the plan decides.

    The plan's own threshold needs no file.

    Raises:
        AskedError: the record of an earlier scan is damaged.
        StorageError: the store failed.
    """
    if asked_threshold(plan, root_uri) != threshold:
        replace(asked_uri(root_uri, plan.plan_id), canonical_json(_Asked(threshold=threshold).model_dump()))


def asked_threshold(plan: Plan, root_uri: str) -> float:
    """Return the smallest `p_lens` that the newest scan of a plan asked for; raises as `remember_threshold`."""
    uri = asked_uri(root_uri, plan.plan_id)
    try:
        return _Asked.model_validate_json(read_bytes(uri)).threshold
    except FileNotFoundError:
        return plan.config.candidate_threshold
    except ValidationError as error:
        raise AskedError(f"{uri}: not the record of a threshold; remove it and run the scan again") from error
