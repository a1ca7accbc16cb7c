"""The commands of the quality gate: judge a night, and promote it."""

from flows.cli.app import Night, app


@app.command
def qa(
    catalogue: str,
    *,
    night: Night | None = None,
    plan: str | None = None,
    reference_night: Night | None = None,
    limits: str | None = None,
    json: bool = False,
) -> None:
    """Judge a night before readers see it: bands, blank tiles, rejected rows, scores, sky, PSF, zero points, injected lenses.

    The command measures a sample of the night's own stamps and compares it with a reference night. The verdict and the
    measurements lie beside the night, which does not change. The same question again gives the same verdict.

    Exits with code 0 if the night passes and 1 if it fails.

    For example: `lensscan qa catalogue/ --night 2026-11-24`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        night: Night, YYYY-MM-DD, or `undated`; its newest scan that waits is judged, else the one that readers see. By default
            the only night that waits.
        plan: First characters of the id of a plan to judge, instead of a night.
        reference_night: Night to compare with; by default the nearest one that readers see, that has passed, and that the same
            ensemble scored. Without one, drifts are not measured.
        limits: TOML file of limits, for instance `psf_width_ratio = 1.3`; the verdict lists all of them.
        json: Print JSON instead of a table.
    """
    from flows.commands.quality import judge_night, next_step
    from flows.commands.quality_text import CHECK_COLUMNS, check_rows, verdict_json, verdict_title
    from flows.terminal import print_json, print_table, print_text, terminal_progress
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    with terminal_progress("measuring", quiet=json) as report:
        label, reference = (None if one is None else str(one) for one in (night, reference_night))
        verdict = judge_night(catalogue, label, plan=plan, reference_label=reference, limits=limits, progress=report)
    if json:
        print_json(verdict_json(verdict))
    else:
        print_table(verdict_title(verdict), CHECK_COLUMNS, check_rows(verdict))
        if (step := next_step(catalogue, verdict)) is not None:
            print_text(step)
    if not verdict.is_passed:
        raise SystemExit(1)


@app.command
def promote(
    catalogue: str,
    *,
    night: Night | None = None,
    plan: str | None = None,
    overrule: str | None = None,
    by: str | None = None,
    publish_to: str | None = None,
    json: bool = False,
) -> None:
    """Show readers a night that was scanned with `--gate` and has passed `lensscan qa`; safe to repeat.

    A night that failed, or was not judged, is refused unless a person overrules the gate with a reason. The reason and the
    person's name are stored, and `lensscan status` shows them.

    For example: `lensscan promote catalogue/ --night 2026-11-24`

    or: `lensscan promote catalogue/ --night 2026-11-24 --overrule "moonlight; the lenses are fine" --by "A. Lensfinder"`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        night: Night, YYYY-MM-DD, or `undated`; its newest scan that waits is promoted. By default the only night that waits.
        plan: First characters of the id of a plan to promote, instead of a night.
        overrule: Reason to promote the night although its gate has not passed.
        by: Name that is stored; by default that of the account.
        publish_to: Folder or `s3://` prefix of a HATS collection in which the catalogue is published afterwards.
        json: Print JSON instead of text.
    """
    from flows.commands.quality import promote_night
    from flows.commands.quality_text import promoted_lines
    from flows.terminal import print_json, print_lines
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    label = None if night is None else str(night)
    done, version = promote_night(catalogue, label, plan=plan, overrule=overrule, by=by, publish_to=publish_to)
    if json:
        print_json({**done.model_dump(), "published": version})
    else:
        print_lines(promoted_lines(done, version))
