"""The command that says whether a scan would start."""

from flows.cli.app import app


@app.command
def doctor(*, catalogue: str | None = None, tiles: str | None = None, json: bool = False) -> None:
    """Check this machine, its stores and its servers, and say how to mend what would stop a scan.

    Each line is `ok`, `warning` or `failed`. The exit code is 0 if a scan would start, and 1 if a check failed. The checks
    create small files below the catalogue and remove them; they print no credentials.

    For example: `lensscan doctor --catalogue s3://survey/catalogue --tiles s3://survey/tiles`

    Args:
        catalogue: Folder or `s3://` prefix of the catalogue: what its store must be able to do, and its clock.
        tiles: Folder or `s3://` prefix of the tiles, which must be readable.
        json: Print JSON instead of lines.
    """
    from flows.commands.doctor import examine, would_start
    from flows.terminal import print_json, print_text

    findings = examine(catalogue, tiles)
    starts = would_start(findings)
    if json:
        print_json({"would_start": starts, "findings": [finding.model_dump() for finding in findings]})
    else:
        for finding in findings:
            print_text(f"{finding.state:<8} {finding.what}: {finding.found}")
            if finding.mend:
                print_text(f"         to mend it: {finding.mend}")
        print_text(f"a scan would {'' if starts else 'not '}start")
    if not starts:
        raise SystemExit(1)
