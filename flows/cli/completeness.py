"""The command that measures the completeness of a night."""

from flows.cli.app import Night, NotNegative, Positive, app
from infra.engine_name import EngineName


@app.command
def completeness(
    catalogue: str,
    *,
    night: Night | None = None,
    n: Positive | None = None,
    seed: NotNegative | None = None,
    units: Positive | None = None,
    psf: str | None = None,
    engine: EngineName | None = None,
    workers: Positive | None = None,
    out: str | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Inject simulated lenses into a night's own galaxies, and say which share of them the night would find.

    The program reads galaxies that look like lens galaxies again from the tiles that were scanned, paints arcs about them, and
    scores them as the scan did. The result lies beside the night: no candidate, no score and no plan changes. A second run
    with the same options does nothing; other options replace the result. `lensscan report` shows it.

    For example: `lensscan completeness catalogue/ --night 2026-11-24 --n 2000`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        night: Night, YYYY-MM-DD, or `undated` for scans without a night; by default the only one.
        n: Number of lenses to inject; by default 1000, which take some minutes.
        seed: Seed of lenses and galaxies; by default 1.
        units: Largest number of tiles or shards whose galaxies are read, picked at random; by default 5.
        psf: FITS file with a PSF for each band, as for `inject`; by default the model of Euclid's.
        engine: Inference engine, in float32; the configured one by default.
        workers: Number of processes, each of which takes a tile at a time; results do not depend on it.
        out: Also write the injected lenses to this file, which ends in .parquet, .csv, .fits or .vot.
        overwrite: Replace the file of `--out` if it exists.
        json: Print JSON instead of text.
    """
    from flows.commands.completeness import check_table_path, measure_completeness, write_copy
    from flows.commands.completeness_text import completeness_json, completeness_lines, completeness_tables
    from flows.terminal import print_json, print_lines, print_table, terminal_progress
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    path = None if out is None else check_table_path(out, overwrite=overwrite)
    label = None if night is None else str(night)
    with terminal_progress("injecting", quiet=json) as report:
        injected, is_new = measure_completeness(
            catalogue, label, n=n, seed=seed, units=units, psf=psf, workers=workers, engine=engine, progress=report
        )
    if path is not None:
        write_copy(injected, path)
    written = {} if out is None else {"table": out}
    if json:
        print_json({**completeness_json(injected, is_new=is_new), **written})
        return
    for title, columns, rows in completeness_tables(injected):
        print_table(title, columns, rows)
    print_lines({**completeness_lines(injected, is_new=is_new), **written})
