"""The commands that publish a catalogue as a HATS collection, list its versions, and show an older one again."""

import sys
from typing import Annotated

from cyclopts import Parameter

from flows.cli.app import Positive, app


@app.command
def publish(
    catalogue: str,
    collection: str,
    *,
    known: str | None = None,
    no_known: Annotated[bool, Parameter(negative=())] = False,
    compact: bool = False,
    keep: Positive = 7,
    ray_address: str | None = None,
    json: bool = False,
) -> None:
    """Publish the candidates of a catalogue as a HATS collection, for lsdb, TOPCAT, DuckDB, astropy and others.

    Readers see the new version whole, at once, or the old one. If the collection shows these candidates already, nothing is
    written. Safe to repeat at any time, also after a crash.

    Candidates near a known lens have its name, distance, grade and reference; another table of known lenses makes another
    version.

    For example: `lensscan publish catalogue/ collection/`

    or: `lensscan publish catalogue/ collection/ --known lenses.csv`

    Args:
        catalogue: Folder or `s3://` prefix given to `scan --out`.
        collection: Folder or `s3://` prefix of the collection, outside the catalogue.
        known: Table of known lenses: CSV, Parquet, FITS or VOTable with RA and Dec in degrees, `name`, and perhaps `grade`
            and `reference`. By default the setting `known_lenses`, else the table of the package lenscat, if it is installed.
        no_known: Match no known lenses.
        compact: Merge the files of the nights in each partition of the sky into one.
        keep: Number of versions to keep: the new one, the one that readers saw until now, and the newest others. The rest is
            removed once readers see the new one.
        ray_address: Ray cluster that writes several nights at a time, `auto` inside a Ray job, `local` for a private one; by
            default they are written one after the other, without Ray. Its nodes must reach catalogue and collection.
        json: Print JSON instead of text.
    """
    from flows.commands.publication_text import publication_lines
    from flows.commands.publish import publication
    from flows.terminal import print_json, print_lines
    from infra.private_apis import arrow_without_pandas

    arrow_without_pandas()
    asked = publication(
        catalogue, collection, ray_address=ray_address, known=known, no_known=no_known, keep=keep, compact=compact
    )
    done = asked()
    print_json(done.model_dump(mode="json")) if json else print_lines(publication_lines(done))


@app.command
def versions(collection: str, *, json: bool = False) -> None:
    """List the versions of a published collection, oldest first: when each was made, and from which nights and plans.

    For example: `lensscan versions collection/`

    Args:
        collection: Folder or `s3://` prefix given to `publish`.
        json: Print JSON instead of a table.
    """
    from flows.commands.publication_text import VERSION_COLUMNS, version_row
    from flows.commands.words import counted
    from flows.terminal import print_json, print_table
    from scanner.hats.versions import versions_of

    found = versions_of(collection)
    if json:
        print_json([version.model_dump(mode="json") for version in found])
    else:
        print_table(counted(len(found), "version"), VERSION_COLUMNS, [version_row(version) for version in found])


@app.command
def rollback(collection: str, version: str | None = None, *, json: bool = False) -> None:
    """Make the readers of a published collection see an older version again; no version is removed.

    The next `publish` shows the candidates of the catalogue again. To keep them away, first remove the plan that they come from
    with `lensscan forget --shown`.

    For example: `lensscan rollback collection/`

    Args:
        collection: Folder or `s3://` prefix given to `publish`.
        version: Name of the version, or its first characters after `lens_candidates_`; by default the one before the present.
        json: Print JSON instead of text.
    """
    from flows.commands.words import counted
    from flows.terminal import print_json
    from scanner.hats.versions import roll_back

    shown = roll_back(collection, version)
    if json:
        print_json(shown.model_dump(mode="json"))
    else:
        sys.stdout.write(f"readers see {shown.version}: {shown.n_rows} candidates of {counted(len(shown.nights), 'night')}\n")
