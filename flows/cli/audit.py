"""The commands that check a catalogue: status, seal, reconcile, verify."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from flows.cli.app import app
from infra.errors import LensscanError

if TYPE_CHECKING:
    from scanner.catalogue.audit.reconcile import Reconciliation

Result = TypeVar("Result")
_STATUS_COLUMNS = ["plan", "state", "night", "units", "candidates", "ensemble", "threshold", "planned", "version"]


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

    @property
    def label(self) -> str:
        """Label of the night in paths; empty for all nights."""
        return self.night.isoformat() if self.night else ""

    def plans(self) -> tuple[str, list[str]]:
        """Return the root of the catalogue and the ids of the selected plans.

        Raises:
            PlanError: no plan is selected, several begin with `plan`, or both `plan` and `night` are given.
        """
        from infra.store.storage import absolute
        from scanner.catalogue.plan import find_plans

        root = absolute(self.catalogue)
        return root, find_plans(root, self.plan, self.label or None)


@app.command
def status(selection: Selection, *, runs: Annotated[bool, Parameter(negative=())] = False, json: bool = False) -> None:
    """Show each plan of a catalogue, newest first: what it scanned, how far it has come, and whether readers see it.

    A plan is `shown`, or `superseded` by newer plans that hold its tiles, or `unfinished`. A plan that was scanned with
    `--gate` is `to be judged`, `refused` or `to be promoted` until readers see it. `threshold` is the smallest `p_lens` of its
    candidates. The command lists unit files without reading them.

    For example: `lensscan status catalogue/ --night 2026-11-24`

    Args:
        selection: The plans of a catalogue.
        runs: Show the runs of these plans instead, newest first, with their metrics.
        json: Print JSON instead of a table.
    """
    if runs:
        _show_runs(selection, as_json=json)
        return
    from flows.commands.words import counted, of_survey
    from flows.terminal import print_json, print_table
    from infra.store.storage import StorageError, exists
    from scanner.catalogue.audit.status import plan_status
    from scanner.catalogue.paths import plan_uri

    root, ids = selection.plans()
    plans: list[dict[str, Any]] = []
    for plan_id in ids:
        try:
            plans.append(plan_status(plan_id, root).model_dump())
        except (LensscanError, FileNotFoundError) as error:
            if not isinstance(error, StorageError) and not exists(plan_uri(root, plan_id)):
                continue  # It was forgotten meanwhile.
            state = "out of reach" if isinstance(error, StorageError) else "damaged"
            plans.append({"plan_id": plan_id, "state": state, "problem": str(error)})
    plans.sort(key=lambda plan: str(plan.get("planned_at", "")), reverse=True)
    if json:
        print_json(plans)
        return
    rows = [_status_row(plan) for plan in plans]
    print_table(counted(len(rows), "plan"), _STATUS_COLUMNS, rows)
    for plan in plans:
        if "survey" in plan:
            _print(
                f"plan {plan['plan_id'][:12]}: survey {words}" for words in of_survey(plan["survey"], plan["bands"]).values()
            )
    _print(_sources(plan) for plan in plans if plan.get("sources"))
    _print(f"plan {plan['plan_id'][:12]}, {plan['state']}: {plan['why']}" for plan in plans if plan.get("why"))
    _print(plan["problem"] for plan in plans if "problem" in plan)


def _show_runs(selection: Selection, *, as_json: bool) -> None:
    from flows.commands.run_text import RUN_COLUMNS, run_row
    from flows.commands.words import counted
    from flows.terminal import print_json, print_table
    from scanner.catalogue.runs import run_records

    root, ids = selection.plans()
    records = [record for record in run_records(root) if record.plan_id in ids]
    if as_json:
        print_json([record.model_dump() for record in records])
    else:
        print_table(counted(len(records), "run"), RUN_COLUMNS, [run_row(record) for record in records])


def _sources(plan: dict[str, Any]) -> str:
    n_selected = plan["n_rows"] - plan["n_rows_skipped"]
    return f"plan {plan['plan_id'][:12]}: {n_selected} of {plan['n_rows']} rows selected: {plan['sources']}"


def _status_row(plan: dict[str, Any]) -> dict[str, Any]:
    row = dict.fromkeys(_STATUS_COLUMNS, "")
    row |= {"plan": plan["plan_id"][:12], "state": plan["state"]}
    if "problem" in plan:
        return row
    return row | {
        "night": plan["night"] or "none",
        "ensemble": plan["ensemble"],
        "threshold": f"{plan['threshold']:g}",
        # The release, and enough of the digest of the code to tell versions apart.
        "version": re.sub(r"(?<=\+)(.{7}).*", r"\1", plan["code_version"]),
        "planned": f"{plan['planned_at']:%Y-%m-%d}" if plan["planned_at"] else "",
        "units": f"{plan['n_units_committed']}/{plan['n_units']}",
        "candidates": plan["n_candidates"],
    }


@app.command
def seal(selection: Selection, *, json: bool = False) -> None:
    """Write the candidates and the seal of plans whose units are all committed, and show them; `scan` does so at its end.

    A sealed plan is not changed, and a night's file in `candidates/` that is missing or old is written again. A plan that was
    never shown is shown if no other plan shows its tiles, or if `--plan` names it; one that was scanned with `--gate` is left
    to `lensscan promote`. If some plans cannot be sealed, the others
    are sealed all the same and an error names those.

    For example: `lensscan seal catalogue/ --plan 89c4d7ae`

    Args:
        selection: The plans of a catalogue.
        json: Print JSON instead of text.
    """
    from flows.ensembles import known_purity
    from flows.terminal import print_json
    from scanner.catalogue.gate import is_waiting
    from scanner.catalogue.night_file import show_once
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.seal import SealError
    from scanner.catalogue.seal import seal as run

    def finished(plan_id: str) -> dict[str, Any]:
        plan = load_plan(root, plan_id)
        purity = known_purity(plan.ensemble_name, plan.ensemble_sha256)
        report = run(plan, root)
        shown_in = show_once(plan, root, purity, replacing=selection.plan is not None)
        return {
            **report.model_dump(exclude={"units"}),
            "candidates_uri": shown_in or report.candidates_uri,
            "is_held_by_others": shown_in is None and not is_waiting(plan, root),
            "awaits_gate": is_waiting(plan, root),
        }

    root, ids = selection.plans()
    sealed, problems = _each(ids, finished, LensscanError)
    if json:
        print_json(sealed)
    else:
        _print(_sealed(plan, root) for plan in sealed)
    if problems:
        raise SealError("; ".join(problems))


def _sealed(plan: dict[str, Any], root: str) -> str:
    name = plan["plan_id"][:12]
    found = f"plan {name}, {_night(plan['night'])}: {plan['n_candidates']} candidates of {plan['n_rows']} rows"
    if plan["awaits_gate"]:
        return f"{found}, not shown before it passes its gate: lensscan qa {root} --plan {name}, then lensscan promote"
    if not plan["is_held_by_others"]:
        return f"{found} in {plan['candidates_uri']}"
    return f"{found}, not shown, because other plans show its units: lensscan seal {root} --plan {name} shows it instead"


@app.command
def reconcile(selection: Selection, *, json: bool = False) -> None:
    """Check that every row of the input is in the catalogue once: read and compare ids, files, candidates and seals.

    Exits with code 0 if all are equal, and 1 if a row is missing, superfluous or duplicated, a file is wrong, or a scan left
    out a tile of its input. The input must still exist; where it does not, the command compares counts and digests of ids
    instead, and reports that.

    For example: `lensscan reconcile catalogue/ --night 2026-11-24`

    Args:
        selection: The plans of a catalogue.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, terminal_progress
    from scanner.catalogue.audit.reconcile import reconcile as run
    from scanner.catalogue.audit.verify import verify_journal
    from scanner.catalogue.known_plan import left_out_by_plan
    from scanner.catalogue.plan import load_plan
    from scanner.catalogue.unitfile import UnitFileError
    from scanner.catalogue.units import PlanError

    root, ids = selection.plans()
    left_out = left_out_by_plan(root)
    with terminal_progress("reconciling", quiet=json) as report:
        bad = (PlanError, UnitFileError)
        plans, damaged = _each(ids, lambda plan_id: run(load_plan(root, plan_id), root, report, left_out), bad)
    entries = [f"{fault.uri}: {fault.why}; `lensscan repair` moves it away" for fault in verify_journal(root, selection.label)]
    is_equal = not damaged and not entries and all(plan.is_equal for plan in plans)
    if json:
        found = {"plans": [plan.model_dump() for plan in plans], "damaged_plans": damaged, "damaged_entries": entries}
        print_json({"is_equal": is_equal, **found})
    else:
        _print([*map(_reconciled, plans), *_differences(plans), *damaged, *entries])
    _end(is_good=is_equal)


def _night(night: str | None) -> str:
    return f"night {night}" if night else "no night"


def _reconciled(plan: "Reconciliation") -> str:
    skipped = f" + {plan.n_skipped} skipped" if plan.n_skipped else ""
    counts = f"{plan.n_rows} rows planned, {plan.n_scored} scored + {plan.n_rejected} rejected{skipped}"
    sealed = "sealed" if plan.is_sealed else "not sealed"
    others = f"{plan.n_candidates} candidates, {sealed}, {plan.n_owned_elsewhere} in overlaps counted once"
    result = "equal" if plan.is_equal else "NOT EQUAL"
    return f"plan {plan.plan_id[:12]}, {_night(plan.night)}: {result}: {counts}; {others}"


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

    Without `--plan` and `--night`, and once all files of plans are good, the command also names files that belong to no plan,
    and checks the files in `candidates/`.
    Given a published collection, the command checks that each of its versions has all of its files, with their sizes.

    For example: `lensscan verify catalogue/ --deep`

    or: `lensscan verify collection/`

    Args:
        selection: The plans of a catalogue, or a collection.
        deep: Also compare each file of a collection with its digest; of a catalogue, read every row, verify the checksums of
            pages, and compute footers, candidates and seals again. Without this option, the units of an unsealed plan are only
            counted.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.commands.words import counted
    from flows.terminal import print_json, terminal_progress
    from infra.store.storage import absolute, exists
    from scanner.catalogue.audit.verify import files_of_no_plan, verify_journal, verify_plan
    from scanner.catalogue.night_file import NightFault, wrong_night_files
    from scanner.hats.paths import pointer_uri

    if selection.is_whole and exists(pointer_uri(absolute(selection.catalogue))):
        _verify_collection(selection.catalogue, deep=deep, as_json=json)
        return
    root, ids = selection.plans()
    with terminal_progress("verifying", quiet=json) as report:
        plans = [verify_plan(plan_id, root, deep=deep, progress=report) for plan_id in ids]
    faults = [fault for plan in plans for fault in plan.faults]
    entries = verify_journal(root, selection.label)
    faults += entries
    # A link that leads nowhere stops the listing of all unit files, and the journals say which nights have a file.
    strays = files_of_no_plan(root) if selection.is_whole and not faults else []
    # A night's file follows from the files of the plans, so it is compared with them once they are good.
    wrong = wrong_night_files(root, deep=deep) if selection.is_whole and not faults else {}
    is_intact = not faults and not strays and not wrong
    if json:
        found = {"plans": [asdict(plan) for plan in plans], "damaged_entries": [asdict(fault) for fault in entries]}
        others = {"files_of_no_plan": strays, "wrong_night_files": list(wrong)}
        print_json({"is_intact": is_intact, **found, **others})
    else:
        _print(f"{fault.part} {fault.uri}: {fault.why}" for fault in faults)
        _print(f"file {uri}: belongs to no plan of the catalogue" for uri in strays)
        advice = {
            NightFault.OLD: f"lensscan seal {root} writes it again",
            NightFault.DAMAGED: f"delete it, and lensscan seal {root} writes it again",
            NightFault.WITHOUT_PLAN: "scan the night again, or delete the file",
        }
        _print(f"file {uri}: {why}; {advice[why]}" for uri, why in wrong.items())
        n_files, n_bytes = sum(plan.n_files for plan in plans), sum(plan.n_bytes for plan in plans)
        n_bad = len(faults) + len(strays) + len(wrong)
        read = f"{counted(len(ids), 'plan')}, {counted(n_files, 'file')}, {counted(n_bytes, 'byte')} read"
        _print([f"{read}: {n_bad or 'none'} damaged or out of place"])
    _end(is_good=is_intact)


def _verify_collection(collection: str, *, deep: bool, as_json: bool) -> None:
    from flows.commands.words import counted
    from flows.terminal import print_json
    from scanner.hats.versions import faults_by_version

    found = faults_by_version(collection, deep=deep)
    faults = [f"file {collection}/{name}/{path}: {why}" for name, wrong in found.items() for path, why in wrong.items()]
    if as_json:
        print_json({"is_intact": not faults, "versions": found})
    else:
        _print(faults)
        if faults:
            # A publication does not read files of the right size.
            step = f"delete those that are damaged; then `lensscan publish CATALOGUE {collection}` shows a whole version"
            _print([f"{step}, and with `--keep 1` removes all others"])
        _print([f"{counted(len(found), 'version')}: {counted(len(faults), 'file')} damaged or missing"])
    _end(is_good=not faults)


def _each(
    ids: Iterable[str], act: Callable[[str], Result], error: type[LensscanError] | tuple[type[LensscanError], ...]
) -> tuple[list[Result], list[str]]:
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
    from flows.terminal import print_text

    for line in lines:
        print_text(line)


def _end(*, is_good: bool) -> None:
    if not is_good:
        raise SystemExit(1)
