"""Options that say what a command reads: a release by name, a part of a survey, and sources of its tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from infra.errors import LensscanError
from infra.store.s3_access import bucket_of, read_anonymously
from scanner.catalogue.releases import RELEASES, ReleaseName
from scanner.vocabulary.choices import MATCH_RADIUS_ARCSEC, MOST_MATCH_RADIUS_ARCSEC

if TYPE_CHECKING:
    # Not imported: numpy takes as long as the start of the first worker.
    from scanner.catalogue.selection import Circle, Selection


class TilesArgumentsError(LensscanError):
    """The arguments name no input, or two."""


@Parameter(name="*")
@dataclass(frozen=True)
class TileOptions:
    """Options of commands that read tiles."""

    release: Annotated[
        ReleaseName | None,
        Parameter(help="Public release, instead of a folder: `q1` is Euclid's Quick Release 1, read from its bucket."),
    ] = None
    tile: Annotated[
        str | None,
        Parameter(
            help="Numbers (or names) of some tiles, separated by commas; by default all. In a name write `-` for a comma, "
            "and for any other sign but `.`, `_` and `+`: HSC's 9813-4,4 is 9813-4-4."
        ),
    ] = None
    tiles_from: Annotated[
        Path | None, Parameter(help="Text file with the number of a tile at the beginning of each line, such as a CSV.")
    ] = None
    region: Annotated[
        tuple[float, float, float] | None,
        Parameter(
            negative=(), help="RA, Dec and radius of a circle, in degrees; a tile with a source in the circle is scanned whole."
        ),
    ] = None
    catalogues: Annotated[
        str | None, Parameter(help="Folder or `s3://` prefix of the tiles' catalogues, if they lie apart from the mosaics.")
    ] = None
    survey: Annotated[
        str | None,
        Parameter(help="Survey that the tiles are of: a name of `lensscan surveys`, or a TOML file that describes it."),
    ] = None
    anonymous: Annotated[
        bool,
        Parameter(
            help="Read the tiles without credentials, as a public bucket allows; the catalogue is written with yours. The "
            "bucket of `q1` is always read so."
        ),
    ] = False
    where: Annotated[
        str | None,
        Parameter(
            help="Condition on the columns of the tiles' catalogues, such as `mag(flux_vis_psf) < 23 and spurious_flag = 0`, "
            "or `lens-hosts`, the galaxies that can be lenses. Other sources are `skipped`."
        ),
    ] = None
    moc: Annotated[
        str | None,
        Parameter(
            help="Area of the sky as a MOC (Multi-Order Coverage map): FITS, JSON or ASCII. Only sources inside it are scored, "
            "and only in tiles that have one."
        ),
    ] = None
    targets: Annotated[
        str | None,
        Parameter(
            help="Table of positions, such as known lenses: CSV, Parquet, FITS or VOTable with RA and Dec in degrees. Only the "
            "nearest source of each is scored, and only in tiles that have one."
        ),
    ] = None
    match_radius_arcsec: Annotated[
        float,
        Parameter(
            help="Largest distance of a source from its target.",
            validator=validators.Number(gt=0, lte=MOST_MATCH_RADIUS_ARCSEC),
        ),
    ] = MATCH_RADIUS_ARCSEC
    columns: Annotated[
        str | None,
        Parameter(
            help="Columns of the tiles' catalogues that the scan's catalogue carries as `cat_...`, separated by commas, or "
            "`none`; by default fluxes, flags and sizes of Euclid MER."
        ),
    ] = None


ALL_TILES = TileOptions()


def input_uri(tiles: str | None, options: TileOptions, *written: str | None) -> str:
    """Return the folder or prefix of the tiles, and read it without credentials if that is asked for.

    `written` are the places that the command writes to.

    Raises:
        TilesArgumentsError: neither a folder nor a release is given, or both; or `--anonymous` would keep credentials from a
            bucket that is written to.
    """
    if (tiles is None) == (options.release is None):
        raise TilesArgumentsError("give either a folder or prefix of tiles, or --release")
    if options.release is not None and options.survey is not None:
        raise TilesArgumentsError(f"--survey describes the tiles of a folder; those of release {options.release} are known")
    uri = tiles if options.release is None else RELEASES[options.release].mosaics_uri
    if options.anonymous:
        reads = [read for read in (uri, options.catalogues) if read]
        _check_apart(reads, [place for place in written if place])
        for read in reads:
            read_anonymously(read)
    return str(uri)


def _check_apart(reads: Sequence[str], written: Sequence[str]) -> None:
    """Check that no place that is written to is in a bucket that is read: credentials are left out for a bucket as a whole."""
    buckets = {bucket for read in reads if (bucket := bucket_of(read))}
    for place in written:
        if bucket_of(place) in buckets:
            raise TilesArgumentsError(
                f"--anonymous reads the bucket {bucket_of(place)} without credentials, and {place} in it must be written with "
                "yours: leave the option out, or write to another bucket"
            )


def selection(options: TileOptions) -> "Selection":
    """Return the tiles and sources that the options select.

    Raises:
        TilesArgumentsError: `--tile` names no tile, or what should be the number of a tile is none.
        PlanError: the circle is not on the sky, the file of `--tiles-from` cannot be used, or `--columns` is no list of names.
    """
    from scanner.catalogue.selection import Selection, column_names, tiles_in_file

    names = [name.strip() for name in (options.tile or "").split(",") if name.strip()]
    # An empty list would mean all tiles: a script whose variable is unset must not scan a whole release.
    if options.tile is not None and not names:
        raise TilesArgumentsError(f"--tile: must be numbers (or names) of tiles separated by commas, got {options.tile!r}")
    # Other surveys name their tiles as they like; the plan says which tiles there are.
    if options.survey is None and (odd := [name for name in names if not name.isdigit()]):
        raise TilesArgumentsError(f"--tile: must be numbers of tiles such as 102018211, got {odd[0]}")
    if options.tiles_from is not None:
        names += tiles_in_file(options.tiles_from, are_numbers=options.survey is None)
    circle = circle_of("--region", options.region)
    catalogues = options.catalogues or (RELEASES[options.release].catalogues_uri if options.release else None)
    return Selection(
        tiles=tuple(dict.fromkeys(names)),
        circle=circle,
        catalogues_uri=catalogues,
        where=options.where,
        moc_uri=options.moc,
        targets_uri=options.targets,
        match_radius_arcsec=options.match_radius_arcsec,
        columns=column_names(options.columns),
    )


def flow_options(options: TileOptions) -> dict[str, Any]:
    """Return the parameters of the flow that select the same tiles, which are plain values; raises as `selection`."""
    chosen = selection(options)
    return {
        "tiles": chosen.tiles,
        "region": options.region,
        "catalogues_uri": chosen.catalogues_uri,
        "survey": options.survey,
        "where": options.where,
        "moc_uri": options.moc,
        "targets_uri": options.targets,
        "match_radius_arcsec": options.match_radius_arcsec,
        "columns": options.columns,
    }


def circle_of(option: str, numbers: tuple[float, float, float] | None) -> "Circle | None":
    """Return the circle that an option gives as RA, Dec and radius in degrees.

    Raises:
        PlanError: it is not on the sky.
    """
    if numbers is None:
        return None
    from scanner.catalogue.selection import Circle

    return Circle.of(option, *numbers)
