"""Names of the files of a catalogue below its root, and the ids that these names hold.

candidates/{night, or `undated`}.parquet
_scan/plans/{plan_id}.json
_scan/inputs/{digest of an input and a request}.json
_scan/units/plan={plan_id}/{unit_id}.unit
_scan/sealed/{plan_id}.candidates
_scan/seals/{plan_id}.json
_scan/journal/{night, or `undated`}/{number, eight digits}.json
_scan/injected/{night, or `undated`}.injected
_scan/runs/{time of the start, UTC}-{run_id}.run
_scan/quality/{plan_id}/{measured or promoted}.json
_scan/quality/{plan_id}/verdict-{number, eight digits}.json
_scan/quarantine/{path of the file below _scan}.{first 16 digits of its SHA-256}.{damaged or superseded}
_votes/grader={grader}/{act_id}.json
_votes/gold/{number of subjects}.gold

Only `candidates` has files that end in `.parquet`, and pyarrow skips folders whose names begin with an underscore. So a reader
of the whole catalogue sees each candidate once.
"""

from datetime import UTC, datetime

from infra.store.storage import join

CANDIDATES = "candidates"
"""Folder of the files that people read."""
_SCAN = "_scan"
PLANS, UNITS, SEALED = f"{_SCAN}/plans", f"{_SCAN}/units", f"{_SCAN}/sealed"
SEALS, JOURNAL, QUARANTINE = f"{_SCAN}/seals", f"{_SCAN}/journal", f"{_SCAN}/quarantine"
INJECTED, RUNS, INPUTS, QUALITY = f"{_SCAN}/injected", f"{_SCAN}/runs", f"{_SCAN}/inputs", f"{_SCAN}/quality"
"""Folders of the files that scans write, below the root of a catalogue."""
VOTES = "_votes"
"""Folder of the acts of graders, below the root of a catalogue."""
UNDATED = "undated"
"""Label of the scans without a night."""
UNIT_SUFFIX, RUN_SUFFIX = ".unit", ".run"

_VERDICT = "verdict-"
_JSON, _PARQUET, _SEALED_SUFFIX, _INJECTED_SUFFIX = ".json", ".parquet", ".candidates", ".injected"


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
    return join(units_uri(root_uri, plan_id), unit_id + UNIT_SUFFIX)


def unit_id_of(uri: str, plan_id: str) -> str | None:
    """Return the unit id in the name of a unit file; None if the file does not lie right in the folder of the plan's units."""
    below = path_below(uri, units_uri("", plan_id))
    return None if "/" in below or not below.endswith(UNIT_SUFFIX) else below.removesuffix(UNIT_SUFFIX)


def plan_id_of_unit(uri: str) -> str:
    """Return the plan id in the folder's name of a unit file; empty if the file lies in no such folder."""
    return uri.rpartition(f"/{UNITS}/plan=")[2].partition("/")[0]


def sealed_path(plan_id: str) -> str:
    """Return the path of a plan's own candidate file below the root."""
    return f"{SEALED}/{plan_id}{_SEALED_SUFFIX}"


def plan_id_of_sealed(uri: str) -> str:
    """Return the plan id in the name of a plan's own candidate file."""
    return _name(uri).removesuffix(_SEALED_SUFFIX)


def night_label(night: str | None) -> str:
    """Return the name of a night in paths; the scans without a night share one name."""
    return night or UNDATED


def night_uri(root_uri: str, label: str) -> str:
    """Return the URI of the file that holds the shown candidates of a night."""
    return join(root_uri, CANDIDATES, label + _PARQUET)


def label_of_night_file(uri: str) -> str:
    """Return the label in the name of a night's file of shown candidates."""
    return path_below(uri, CANDIDATES).removesuffix(_PARQUET)


def entry_uri(root_uri: str, label: str, number: int) -> str:
    """Return the URI of an entry of a night's journal; the entry with the highest number is the newest."""
    return join(root_uri, JOURNAL, label, f"{number:08}{_JSON}")


def label_and_number(uri: str) -> tuple[str, int]:
    """Return the label of the night and the number in the name of an entry of its journal.

    Raises:
        ValueError: the name is not that of such an entry.
    """
    label, _, name = path_below(uri, JOURNAL).rpartition("/")
    return label, int(name.removesuffix(_JSON))


def injected_uri(root_uri: str, label: str) -> str:
    """Return the URI of the file of the lenses that were injected into a night to measure its completeness."""
    return join(root_uri, INJECTED, label + _INJECTED_SUFFIX)


def label_of_injected(uri: str) -> str:
    """Return the label of the night in the name of its file of injected lenses."""
    return path_below(uri, INJECTED).removesuffix(_INJECTED_SUFFIX)


def planned_input_uri(root_uri: str, key: str) -> str:
    """Return the URI of the record that names the plan of an input."""
    return join(root_uri, INPUTS, key + _JSON)


def run_uri(root_uri: str, started_at: datetime, run_id: str) -> str:
    """Return the URI of the record of a run, which a listing sorts by the time of the start."""
    return join(root_uri, RUNS, f"{started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{run_id}{RUN_SUFFIX}")


def quality_uri(root_uri: str, plan_id: str) -> str:
    """Return the folder of the files about the quality of a plan: what was measured, and whether it may be shown."""
    return join(root_uri, QUALITY, plan_id)


def measured_uri(root_uri: str, plan_id: str) -> str:
    """Return the URI of what was measured of a plan."""
    return join(quality_uri(root_uri, plan_id), "measured" + _JSON)


def promoted_uri(root_uri: str, plan_id: str) -> str:
    """Return the URI of the record that a plan was promoted."""
    return join(quality_uri(root_uri, plan_id), "promoted" + _JSON)


def verdict_uri(root_uri: str, plan_id: str, number: int) -> str:
    """Return the URI of a verdict on a plan; the one with the highest number is the newest."""
    return join(quality_uri(root_uri, plan_id), f"{_VERDICT}{number:08}{_JSON}")


def verdict_number(uri: str) -> int | None:
    """Return the number in the name of a verdict; None for another file."""
    number = _name(uri).removeprefix(_VERDICT).removesuffix(_JSON)
    return int(number) if _name(uri).startswith(_VERDICT) and number.isdecimal() else None


def quarantine_uri(root_uri: str, uri: str, sha256: str, suffix: str) -> str:
    """Return the URI in quarantine for a file, from its old path and its content: equal content gives the same URI."""
    return join(root_uri, QUARANTINE, quarantine_name(root_uri, uri, sha256) + suffix)


def quarantine_name(root_uri: str, uri: str, sha256: str) -> str:
    """Return the path below the quarantine, without its suffix."""
    return f"{uri.removeprefix(join(root_uri, _SCAN) + '/')}.{sha256[:16]}"


def votes_uri(root_uri: str, grader: str | None = None) -> str:
    """Return the folder of the acts of a grader, or of all graders."""
    return join(root_uri, VOTES, *([] if grader is None else [f"grader={grader}"]))


def vote_uri(root_uri: str, grader: str, act_id: str) -> str:
    """Return the URI of one act of a grader."""
    return join(votes_uri(root_uri, grader), act_id + _JSON)


def gold_uri(root_uri: str, n: int) -> str:
    """Return the URI of the file of `n` subjects whose answer is known, which all graders share."""
    return join(root_uri, VOTES, "gold", f"{n}.gold")


def path_below(uri: str, folder: str) -> str:
    """Return the path of a file below a folder such as `quarantine`, which ends the folder's URI."""
    return uri.rpartition(f"/{folder.strip('/')}/")[2]


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]
