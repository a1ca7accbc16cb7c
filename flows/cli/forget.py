"""The command that removes a plan which newer scans have replaced."""

import sys

from flows.cli.app import app


@app.command
def forget(catalogue: str, plan: str, *, unfinished: bool = False, shown: bool = False, json: bool = False) -> None:
    """Remove a plan that newer scans have replaced, with all files that it wrote.

    Readers do not see such a plan, so they notice nothing. A plan that they see is removed with `--shown` only. If interrupted,
    run the command again with `--unfinished`.

    For example: `lensscan forget catalogue/ 89c4d7ae`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        plan: First characters of the plan's id, as `lensscan status` prints them.
        unfinished: Remove the plan even if it has no seal, because its scan or its removal has not ended; no scan of it may be
            running.
        shown: Remove the plan even if readers see it, because it was scanned by mistake: they no longer see its objects, or see
            those of an older plan again.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json
    from infra.store.storage import absolute
    from scanner.catalogue.audit.forget import forget_plan
    from scanner.catalogue.plan import find_plans

    root = absolute(catalogue)
    (plan_id,) = find_plans(root, plan)
    done = forget_plan(plan_id, root, unfinished=unfinished, shown=shown)
    if json:
        print_json(done.model_dump())
    else:
        sys.stdout.write(f"plan {plan_id[:12]}: removed {done.n_files} files, {done.n_bytes / 1e6:.1f} MB\n")
