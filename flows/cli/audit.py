"""The commands that check and repair a catalogue: status, seal, reconcile, verify, repair."""

import sys
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from flows.cli.app import app

if TYPE_CHECKING:
    from scanner.catalogue.audit.reconcile import Reconciliation


@app.command
def status(catalogue: str, *, plan: str | None = None, night: date | None = None, json: bool = False) -> None:
    """Show the progress of each plan of a catalogue: committed units, rows, sealed or not. Lists unit files without reading.

    For example: `lensscan status catalogue/ --night 2026-11-24`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        plan: First characters of a plan id; by default all plans.
        night: Only the plans of this night.
        json: Print JSON instead of a table.
    """
    from flows.terminal import print_json, print_table
    from infra.errors import LensscanError
    from infra.store.storage import StorageError
    from scanner.catalogue.audit.status import plan_status

    root, ids = _chosen(catalogue, plan, night)
    plans: list[dict[str, Any]] = []
    for plan_id in ids:
        try:
            plans.append(plan_status(plan_id, root).model_dump())
        except LensscanError as error:
            state = "out of reach" if isinstance(error, StorageError) else "damaged"
            plans.append({"plan_id": plan_id, "state": state, "problem": str(error)})
    if json:
        print_json(plans)
        return
    rows = [_status_row(found) for found in plans]
    print_table(f"{len(rows)} plans", list(rows[0]), rows)
    _print(found["problem"] for found in plans if "problem" in found)


def _status_row(found: dict[str, Any]) -> dict[str, Any]:
    if "problem" in found:
        nothing = dict.fromkeys(("night", "units", "rows", "candidates"), "")
        return {"plan": found["plan_id"][:12], **nothing, "state": found["state"]}
    is_done = found["n_units_committed"] == found["n_units"]
    return {
        "plan": found["plan_id"][:12],
        "night": found["night"],
        "units": f"{found['n_units_committed']}/{found['n_units']}",
        "rows": f"{found['n_rows_committed']}/{found['n_rows']}",
        "candidates": found["n_candidates"],
        "state": "sealed" if found["is_sealed"] else "to be sealed" if is_done else "unfinished",
    }


@app.command
def seal(catalogue: str, *, plan: str | None = None, night: date | None = None, json: bool = False) -> None:
    """Write the candidates and the seal of plans whose units are all committed; `scan` does so at its end.

    A sealed plan is not changed. If some plans cannot be sealed, the others are sealed all the same and an error names those.

    For example: `lensscan seal catalogue/ --plan 89c4d7ae`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        plan: First characters of a plan id; by default all plans.
        night: Only the plans of this night.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json
    from infra.errors import LensscanError
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.seal import SealError
    from scanner.catalogue.seal import seal as run

    root, ids = _chosen(catalogue, plan, night)
    sealed, failed = [], []
    for plan_id in ids:
        try:
            sealed.append(run(load_plan(root, plan_id), root))
        except LensscanError as error:
            failed.append(str(error))
    if json:
        print_json([report.model_dump(exclude={"units"}) for report in sealed])
    else:
        _print(
            f"plan {report.plan_id[:12]}, night {report.night}: {report.n_candidates} candidates of {report.n_rows} rows "
            f"in {report.candidates_uri}"
            for report in sealed
        )
    if failed:
        raise SealError("; ".join(failed))


@app.command
def reconcile(catalogue: str, *, plan: str | None = None, night: date | None = None, json: bool = False) -> None:
    """Check that every planned row is in the catalogue once: read and compare ids, files, candidates and seals.

    Exits with code 0 if all are equal, and 1 if a row is missing, superfluous or duplicated, or a file is wrong. The input
    must still exist; where it does not, the command compares counts and digests of ids instead, and reports that.

    For example: `lensscan reconcile catalogue/ --night 2026-11-24`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        plan: First characters of a plan id; by default all plans.
        night: Only the plans of this night.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.reconcile import reconcile as run
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.units import PlanError

    root, ids = _chosen(catalogue, plan, night)
    found: list[Reconciliation] = []
    damaged: list[str] = []
    with terminal_progress("reconciling", quiet=json) as report:
        for plan_id in ids:
            try:
                found.append(run(load_plan(root, plan_id), root, report))
            except PlanError as error:
                damaged.append(str(error))
    is_equal = not damaged and all(plan_found.is_equal for plan_found in found)
    if json:
        print_json({"is_equal": is_equal, "plans": [entry.model_dump() for entry in found], "damaged_plans": damaged})
    else:
        _print([*map(_reconciled, found), *_differences(found), *damaged])
    _end(is_good=is_equal)


def _reconciled(found: "Reconciliation") -> str:
    counts = f"{found.n_rows} rows planned, {found.n_scored} scored + {found.n_rejected} rejected"
    sealed = "sealed" if found.is_sealed else "not sealed"
    others = f"{found.n_candidates} candidates, {sealed}, {found.n_owned_elsewhere} rows in overlaps"
    verdict = "equal" if found.is_equal else "NOT EQUAL"
    return f"plan {found.plan_id[:12]}, night {found.night}: {verdict}: {counts}; {others}"


def _differences(found: "Iterable[Reconciliation]") -> Iterable[str]:
    for entry in found:
        shown = {name: difference for name, difference in entry.differences.items() if difference.n}
        for name, difference in (shown | {"inputs_unavailable": entry.inputs_unavailable}).items():
            if difference.n:
                examples = ", ".join(difference.examples)
                yield f"plan {entry.plan_id[:12]}: {difference.n} {name.replace('_', ' ')}, such as {examples}"


@app.command
def verify(
    catalogue: str, *, deep: bool = False, plan: str | None = None, night: date | None = None, json: bool = False
) -> None:
    """Find damaged files: compare plans with their names and files with the digests in the seals. Exit code 1 if there are any.

    For example: `lensscan verify catalogue/ --deep`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        deep: Also read every row, verify the checksums of pages, and compute footers, candidates and seals again; without this
            option, the units of an unsealed plan are only counted.
        plan: First characters of a plan id; by default all plans, and the files that belong to no plan.
        night: Only the plans of this night.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.verify import files_of_no_plan, verify_plan

    root, ids = _chosen(catalogue, plan, night)
    with terminal_progress("verifying", quiet=json) as report:
        found = [verify_plan(plan_id, root, deep=deep, progress=report) for plan_id in ids]
    strays = files_of_no_plan(root) if plan is None and night is None else []
    faults = [fault for entry in found for fault in entry.faults]
    is_intact = not faults and not strays
    if json:
        print_json({"is_intact": is_intact, "plans": [asdict(entry) for entry in found], "files_of_no_plan": strays})
    else:
        _print(f"{fault.part} {fault.uri}: {fault.why}" for fault in faults)
        _print(f"file {uri}: belongs to no plan of the catalogue" for uri in strays)
        n_files, n_bytes = sum(entry.n_files for entry in found), sum(entry.n_bytes for entry in found)
        n_bad = len(faults) + len(strays)
        _print([f"{len(ids)} plans, {n_files} files, {n_bytes} bytes read: {n_bad or 'none'} damaged or out of place"])
    _end(is_good=is_intact)


@app.command
def repair(
    catalogue: str, *, plan: str | None = None, night: date | None = None, dry_run: bool = False, json: bool = False
) -> None:
    """Move damaged files that `verify --deep` finds to `quarantine/`, with the seals and candidates that refer to them.

    Intact files stay. Moved units are pending: scan the night again with the same program version to write them again. If
    interrupted, run the command again; do not run it during a scan of the same night.

    For example: `lensscan repair catalogue/ --dry-run`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        plan: First characters of a plan id; by default all plans.
        night: Only the plans of this night.
        dry_run: List the files that would be moved, and move no file.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.repair import repair_plan

    root, ids = _chosen(catalogue, plan, night)
    with terminal_progress("verifying", quiet=json) as report:
        moved = {plan_id: repair_plan(plan_id, root, dry_run=dry_run, progress=report) for plan_id in ids}
    if json:
        print_json([{"plan_id": p, "dry_run": dry_run, "moved": [asdict(entry) for entry in moved[p]]} for p in ids])
        return
    verb = "would go" if dry_run else "went"
    _print(f"{entry.uri} {verb} to {entry.quarantine_uri}: {entry.why}" for files in moved.values() for entry in files)
    _print(_next_step(plan_id, root) for plan_id, files in moved.items() if files and not dry_run)
    if not any(moved.values()):
        _print(["nothing to repair"])


def _next_step(plan_id: str, root: str) -> str:
    from infra.provenance import code_version
    from scanner.catalogue.ledger import pending
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.units import PlanError

    try:
        plan = load_plan(root, plan_id)
    except PlanError:
        return f"plan {plan_id[:12]}: scan its night again, which writes the plan anew"
    if not (left := pending(plan, root)):
        return f"plan {plan_id[:12]}: lensscan seal {root} --plan {plan_id[:12]}"
    again = f"plan {plan_id[:12]}: {len(left)} of {len(plan.units)} units pending; scan {plan.night} again"
    if plan.code_version == code_version():
        return again
    return f"{again} with lensscan {plan.code_version} (this is {code_version()}, which would plan the whole night anew)"


def _chosen(catalogue: str, plan: str | None, night: date | None) -> tuple[str, list[str]]:
    """Return the root of the catalogue and the ids of the selected plans."""
    from infra.store.storage import absolute
    from scanner.catalogue.plan import find_plans

    root = absolute(catalogue)
    return root, find_plans(root, plan, night.isoformat() if night else None)


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _end(*, is_good: bool) -> None:
    if not is_good:
        raise SystemExit(1)
