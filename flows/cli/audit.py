"""The commands that check and repair a catalogue: status, seal, reconcile, verify, repair."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from cyclopts import Parameter

from flows.cli.app import app
from infra.errors import LensscanError

if TYPE_CHECKING:
    from scanner.catalogue.audit.reconcile import Reconciliation

Result = TypeVar("Result")


@Parameter(name="*")
@dataclass(frozen=True)
class Selection:
    """Plans of a catalogue; the commands take these fields as their own arguments."""

    catalogue: str
    """Folder or `s3://` prefix given to `scan --out`."""
    plan: str | None = field(default=None, kw_only=True)
    """First characters of a plan id; by default all plans."""
    night: date | None = field(default=None, kw_only=True)
    """Only the plans of this night."""

    @property
    def is_whole(self) -> bool:
        return self.plan is None and self.night is None

    def plans(self) -> tuple[str, list[str]]:
        """Return the root of the catalogue and the ids of the selected plans.

        Raises:
            PlanError: no plan is selected, several begin with `plan`, or both `plan` and `night` are given.
        """
        from infra.store.storage import absolute
        from scanner.catalogue.plan import find_plans

        root = absolute(self.catalogue)
        return root, find_plans(root, self.plan, self.night.isoformat() if self.night else None)


@app.command
def status(selection: Selection, *, json: bool = False) -> None:
    """Show the progress of each plan of a catalogue: committed units, rows, sealed or not. Lists unit files without reading.

    For example: `lensscan status catalogue/ --night 2026-11-24`

    Args:
        selection: The plans of a catalogue.
        json: Print JSON instead of a table.
    """
    from flows.terminal import print_json, print_table
    from infra.store.storage import StorageError
    from scanner.catalogue.audit.status import plan_status

    root, ids = selection.plans()
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
    rows = [_status_row(plan) for plan in plans]
    print_table(f"{len(rows)} plans", list(rows[0]), rows)
    _print(plan["problem"] for plan in plans if "problem" in plan)


def _status_row(plan: dict[str, Any]) -> dict[str, Any]:
    if "problem" in plan:
        empty = dict.fromkeys(("night", "units", "rows", "candidates"), "")
        return {"plan": plan["plan_id"][:12], **empty, "state": plan["state"]}
    is_done = plan["n_units_committed"] == plan["n_units"]
    return {
        "plan": plan["plan_id"][:12],
        "night": plan["night"],
        "units": f"{plan['n_units_committed']}/{plan['n_units']}",
        "rows": f"{plan['n_rows_committed']}/{plan['n_rows']}",
        "candidates": plan["n_candidates"],
        "state": "sealed" if plan["is_sealed"] else "to be sealed" if is_done else "unfinished",
    }


@app.command
def seal(selection: Selection, *, json: bool = False) -> None:
    """Write the candidates and the seal of plans whose units are all committed; `scan` does so at its end.

    A sealed plan is not changed. If some plans cannot be sealed, the others are sealed all the same and an error names those.

    For example: `lensscan seal catalogue/ --plan 89c4d7ae`

    Args:
        selection: The plans of a catalogue.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.seal import SealError
    from scanner.catalogue.seal import seal as run

    root, ids = selection.plans()
    sealed, problems = _each(ids, lambda plan_id: run(load_plan(root, plan_id), root), LensscanError)
    if json:
        print_json([report.model_dump(exclude={"units"}) for report in sealed])
    else:
        _print(
            f"plan {report.plan_id[:12]}, night {report.night}: {report.n_candidates} candidates of {report.n_rows} rows "
            f"in {report.candidates_uri}"
            for report in sealed
        )
    if problems:
        raise SealError("; ".join(problems))


@app.command
def reconcile(selection: Selection, *, json: bool = False) -> None:
    """Check that every planned row is in the catalogue once: read and compare ids, files, candidates and seals.

    Exits with code 0 if all are equal, and 1 if a row is missing, superfluous or duplicated, or a file is wrong. The input
    must still exist; where it does not, the command compares counts and digests of ids instead, and reports that.

    For example: `lensscan reconcile catalogue/ --night 2026-11-24`

    Args:
        selection: The plans of a catalogue.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.reconcile import reconcile as run
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.units import PlanError

    root, ids = selection.plans()
    with terminal_progress("reconciling", quiet=json) as report:
        plans, damaged = _each(ids, lambda plan_id: run(load_plan(root, plan_id), root, report), PlanError)
    is_equal = not damaged and all(plan.is_equal for plan in plans)
    if json:
        print_json({"is_equal": is_equal, "plans": [plan.model_dump() for plan in plans], "damaged_plans": damaged})
    else:
        _print([*map(_reconciled, plans), *_differences(plans), *damaged])
    _end(is_good=is_equal)


def _reconciled(plan: "Reconciliation") -> str:
    counts = f"{plan.n_rows} rows planned, {plan.n_scored} scored + {plan.n_rejected} rejected"
    sealed = "sealed" if plan.is_sealed else "not sealed"
    others = f"{plan.n_candidates} candidates, {sealed}, {plan.n_owned_elsewhere} in overlaps counted once"
    result = "equal" if plan.is_equal else "NOT EQUAL"
    return f"plan {plan.plan_id[:12]}, night {plan.night}: {result}: {counts}; {others}"


def _differences(plans: "Iterable[Reconciliation]") -> Iterable[str]:
    for plan in plans:
        shown = {name: difference for name, difference in plan.differences.items() if difference.n}
        for name, difference in (shown | {"inputs_unavailable": plan.inputs_unavailable}).items():
            if difference.n:
                examples = ", ".join(difference.examples)
                yield f"plan {plan.plan_id[:12]}: {difference.n} {name.replace('_', ' ')}, such as {examples}"


@app.command
def verify(selection: Selection, *, deep: bool = False, json: bool = False) -> None:
    """Find damaged files: compare plans with their names and files with the digests in the seals. Exit code 1 if there are any.

    Without `--plan` and `--night`, the command also names files that belong to no plan.

    For example: `lensscan verify catalogue/ --deep`

    Args:
        selection: The plans of a catalogue.
        deep: Also read every row, verify the checksums of pages, and compute footers, candidates and seals again; without this
            option, the units of an unsealed plan are only counted.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.verify import files_of_no_plan, verify_plan

    root, ids = selection.plans()
    with terminal_progress("verifying", quiet=json) as report:
        plans = [verify_plan(plan_id, root, deep=deep, progress=report) for plan_id in ids]
    strays = files_of_no_plan(root) if selection.is_whole else []
    faults = [fault for plan in plans for fault in plan.faults]
    is_intact = not faults and not strays
    if json:
        print_json({"is_intact": is_intact, "plans": [asdict(plan) for plan in plans], "files_of_no_plan": strays})
    else:
        _print(f"{fault.part} {fault.uri}: {fault.why}" for fault in faults)
        _print(f"file {uri}: belongs to no plan of the catalogue" for uri in strays)
        n_files, n_bytes = sum(plan.n_files for plan in plans), sum(plan.n_bytes for plan in plans)
        n_bad = len(faults) + len(strays)
        _print([f"{len(ids)} plans, {n_files} files, {n_bytes} bytes read: {n_bad or 'none'} damaged or out of place"])
    _end(is_good=is_intact)


@app.command
def repair(selection: Selection, *, dry_run: bool = False, json: bool = False) -> None:
    """Move damaged files that `verify --deep` finds to `quarantine/`, with the seals and candidates that refer to them.

    Intact files stay. Moved units are pending: scan the night again with the same program version to write them again. If
    interrupted, run the command again; do not run it during a scan of the same night.

    For example: `lensscan repair catalogue/ --dry-run`

    Args:
        selection: The plans of a catalogue.
        dry_run: List the files that would be moved, and move no file.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.repair import repair_plan

    root, ids = selection.plans()
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


def _each(ids: Iterable[str], act: Callable[[str], Result], error: type[LensscanError]) -> tuple[list[Result], list[str]]:
    """Return the results of `act` for the ids, and the texts of the errors of the others."""
    results: list[Result] = []
    problems: list[str] = []
    for plan_id in ids:
        try:
            results.append(act(plan_id))
        except error as problem:
            problems.append(str(problem))
    return results, problems


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _end(*, is_good: bool) -> None:
    if not is_good:
        raise SystemExit(1)
