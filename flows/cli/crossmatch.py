"""The command that matches the candidates of a catalogue with a table of positions."""

from flows.cli.app import AboveZero, Fraction, app
from flows.cli.candidates import written_in_words

COLUMNS = ("candidate_id", "match_id", "separation_arcsec", "p_lens", "night", "ra", "dec", "subclass")
"""The most important first; the night is shown only if there are several."""


@app.command
def crossmatch(
    catalogue: str,
    table: str,
    *,
    radius_arcsec: AboveZero = 1.0,
    min_p_lens: Fraction | None = None,
    out: str | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Print the candidates that lie near positions of a table, such as known lenses, best first.

    Each candidate comes with its nearest position within the radius, and with the table's other columns as `match_...`.

    For example: `lensscan crossmatch catalogue/ known_lenses.csv --radius-arcsec 3`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        table: Table with RA and Dec in degrees, and perhaps `object_id`: CSV, Parquet, FITS or VOTable.
        radius_arcsec: Largest separation.
        min_p_lens: Lowest `p_lens` of the candidates; by default the threshold of the scan.
        out: Write all columns but the maps to this file, as `lensscan export` does.
        overwrite: Replace the file of `--out` if it exists.
        json: Print JSON instead of a table.
    """
    from flows.terminal import print_json, print_table, print_text
    from scanner.catalogue.crossmatch import crossmatch as match
    from scanner.catalogue.export import export, export_path
    from scanner.catalogue.query import query
    from scanner.catalogue.wanted import Wanted
    from scanner.sources.positions import read_positions

    target = export_path(out, "--out", overwrite=overwrite) if out is not None else None
    positions = read_positions(table)
    found = match(query(catalogue, Wanted(min_p_lens=min_p_lens)), positions, radius_arcsec)
    if target is not None:
        n = export(found.rows, target, catalogue)
        if json:
            print_json({"rows": n, "file": str(target)})
        else:
            print_text(written_in_words(n, found.rows.num_rows, str(out)))
    elif json:
        print_json(found.rows.to_pylist())
    else:
        has_nights = len(found.rows["night"].unique()) > 1
        columns = [name for name in COLUMNS if name != "night" or has_nights]
        what = "candidate in a night" if has_nights else "candidate"
        print_table(f"{found.rows.num_rows} matches of a {what} with a position", columns, found.rows.to_pylist())
        print_text(
            f"{found.n_positions_matched} of {len(positions)} positions have a candidate within {radius_arcsec:g} arcsec."
        )
