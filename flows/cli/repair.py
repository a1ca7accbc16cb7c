"""The command that moves the damaged files of a catalogue away."""

from flows.cli.app import app
from flows.cli.audit import Selection


@app.command
def repair(selection: Selection, *, dry_run: bool = False, json: bool = False) -> None:
    """Move damaged files that `verify --deep` finds to `_scan/quarantine/`, with the seals and candidates that refer to them.

    Intact files stay. Moved units are pending: scan the night again with the same program version to write them again. Of a
    moved entry of a night's journal, the scan of the night records again what readers see, or with `--gate` that it is held.
    If interrupted, run the command again; do not run it during a scan of the same night.

    For example: `lensscan repair catalogue/ --dry-run`

    Args:
        selection: The plans of a catalogue.
        dry_run: List the files that would be moved, and move no file.
        json: Print JSON instead of text.
    """
    from dataclasses import asdict

    from flows.terminal import print_json, print_text, terminal_progress
    from scanner.catalogue.audit.repair import repair_journal, repair_plan

    root, ids = selection.plans()
    with terminal_progress("verifying", quiet=json) as report:
        moved = {plan_id: repair_plan(plan_id, root, dry_run=dry_run, progress=report) for plan_id in ids}
    entries = repair_journal(root, selection.label, dry_run=dry_run)
    if json:
        # Entries belong to a night, which may have several plans.
        found = [*moved.items(), *([(None, entries)] if entries else [])]
        print_json([{"plan_id": p, "dry_run": dry_run, "moved": [asdict(one) for one in files]} for p, files in found])
        return
    verb = "would go" if dry_run else "went"
    for files in (*moved.values(), entries):
        for one in files:
            print_text(f"{one.uri} {verb} to {one.quarantine_uri}: {one.why}")
    for plan_id, files in moved.items():
        if files and not dry_run:
            print_text(_next_step(plan_id, root))
    if entries and not dry_run:
        # The entry may have held a plan; it would be shown by `seal`, and by a scan without a gate.
        print_text("journal: scan the night again with the same options, such as --gate, before other commands")
    if not any(moved.values()) and not entries:
        print_text("nothing to repair")


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
    again = f"plan {plan_id[:12]}: {len(left)} of {len(plan.units)} units pending; scan {plan.night or 'its tiles'} again"
    if plan.code_version == code_version():
        return again
    return f"{again} with lensscan {plan.code_version} (this is {code_version()}, which would plan the whole night anew)"
