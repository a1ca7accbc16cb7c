"""Names of the files of a catalogue below its root, and the ids that these names hold.

plans/{plan_id}.json
units/plan={plan_id}/{unit_id}.parquet
candidates/night={night}/{first 16 digits of plan_id}.parquet
seals/{plan_id}.json
quarantine/{path of the file}.{first 16 digits of its SHA-256}.{damaged or superseded}
"""

from infra.store.storage import join

PLANS, UNITS, CANDIDATES, SEALS, QUARANTINE = "plans", "units", "candidates", "seals", "quarantine"
"""Folders below the root of a catalogue."""

_JSON, _PARQUET = ".json", ".parquet"


def plan_uri(root_uri: str, plan_id: str) -> str:
    """Return the URI of a frozen plan."""
    return join(root_uri, PLANS, plan_id + _JSON)


def seal_uri(root_uri: str, plan_id: str) -> str:
    """Return the URI of a plan's seal."""
    return join(root_uri, SEALS, plan_id + _JSON)


def plan_id_of(uri: str) -> str:
    """Return the plan id in the name of a plan or a seal."""
    return _name(uri).removesuffix(_JSON)


def units_uri(root_uri: str, plan_id: str) -> str:
    """Return the folder of a plan's unit files."""
    return join(root_uri, UNITS, f"plan={plan_id}")


def unit_uri(root_uri: str, plan_id: str, unit_id: str) -> str:
    """Return the URI of a unit's file."""
    return join(units_uri(root_uri, plan_id), unit_id + _PARQUET)


def unit_id_of(uri: str, plan_id: str) -> str | None:
    """Return the unit id in the name of a unit file; None if the file does not lie right in the folder of the plan's units."""
    below = path_below(uri, units_uri("", plan_id))
    return None if "/" in below or not below.endswith(_PARQUET) else below.removesuffix(_PARQUET)


def plan_id_of_unit(uri: str) -> str:
    """Return the plan id in the folder's name of a unit file; empty if the file lies in no such folder."""
    return uri.rpartition(f"/{UNITS}/plan=")[2].partition("/")[0]


def candidates_path(night: str, plan_id: str) -> str:
    """Return the path of a plan's candidate file below the root."""
    return f"{CANDIDATES}/night={night}/{candidates_name(plan_id)}"


def candidates_name(plan_id: str) -> str:
    """Return the name of a plan's candidate file in the folder of its night."""
    return plan_id[:16] + _PARQUET


def quarantine_uri(root_uri: str, uri: str, sha256: str, suffix: str) -> str:
    """Return the URI in quarantine for a file, from its old path and its content: equal content gives the same URI."""
    return join(root_uri, QUARANTINE, quarantine_name(root_uri, uri, sha256) + suffix)


def quarantine_name(root_uri: str, uri: str, sha256: str) -> str:
    """Return the path below the quarantine, without its suffix."""
    return f"{uri.removeprefix(root_uri.rstrip('/') + '/')}.{sha256[:16]}"


def path_below(uri: str, folder: str) -> str:
    """Return the path of a file below a folder such as `quarantine`, which ends the folder's URI."""
    return uri.rpartition(f"/{folder.strip('/')}/")[2]


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]
