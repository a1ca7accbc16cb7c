"""The commands that make images with simulated lenses: `simulate` and `inject`."""

from inspect import signature
from typing import Any

from flows.cli.app import AsFlow, NotNegative, Positive, app
from scanner.vocabulary.choices import GeometryName, PopulationPreset

OF_TILES = {"out", "tiles", "seed", "preset", "workers", "flow", "json"}
"""Options of `simulate` that `--tiles` obeys."""


@app.command
def simulate(
    *,
    out: str,
    n: Positive = 1000,
    tiles: Positive | None = None,
    seed: NotNegative = 1,
    preset: PopulationPreset = "euclid",
    kinds: str | None = None,
    geometry: GeometryName = "challenge",
    components: bool = False,
    pairs: bool = False,
    min_einstein_radius_arcsec: float = 0.0,
    psf: str | None = None,
    textures: str | None = None,
    workers: Positive | None = None,
    flow: AsFlow = False,
    json: bool = False,
) -> None:
    """Write simulated lenses and galaxies with their truth: shards and a contact sheet, or tiles to scan.

    After a kill, the same command continues with the missing shards or tiles.

    For example: `lensscan simulate --n 1000 --seed 1 --out data/train`
    or: `lensscan simulate --geometry mer --kinds double_ring=1,twin=1,ring_galaxy=2 --n 500 --out data/rings`
    or: `lensscan simulate --tiles 3 --seed 5 --out tiles`

    Args:
        out: Folder or `s3://` prefix; existing shards and tiles are kept.
        n: Number of objects in shards.
        tiles: Write this many tiles with the names of Euclid's, instead of shards. A tile of 3 arcmin has 260 objects:
            12 lenses of one source, 8 of two, and galaxies.
        seed: The data set's seed; object i depends on the seed and i alone.
        preset: `euclid`: the population of Collett (2015) among look-alikes, as Euclid sees them; `broad`: lenses and
            look-alikes that this population makes rare, and `any_host`: lenses with the light of any galaxy, both for
            training beside it; `wilde2022`: the paper's.
        kinds: Kinds, with their weights: `single`, `compound_arc`, `double_ring`, `nonlens` (all look-alikes in their shares),
            or a look-alike: `twin` (a lens galaxy without arcs), `elliptical`, `disc`, `spiral`, `ring_galaxy`, `edge_on`,
            `merger`, `companions`, `blue_companions`, `group`, `faint`, `star`, `artefact`. By default half are non-lenses.
        geometry: Pixel grids of the cutouts: 20 arcsec in native pixels (`challenge`), or all bands at 0.1 arcsec with the
            noise of MER (`mer`), or the middle 10 arcsec of those (`mer10`).
        components: Keep the noise-free lens light and each lensed source as columns.
        pairs: Follow each lens by the same lens without its arcs, in the same noise.
        min_einstein_radius_arcsec: Least Einstein radius of a lens for its nearer source. The option takes 0 to 3; lenses may
            be wider than 3. A `twin` was such a lens before it lost its arcs.
        psf: FITS file with a PSF for each band (as Euclid's MER cutouts have), instead of the model PSF.
        textures: File of `lensscan textures`: pictures of its real galaxies take the place of some sources and late types.
        workers: Simulation processes; a process makes whole shards of 500 objects.
        flow: Simulate as a Prefect flow.
        json: Print JSON instead of text.
    """
    from flows.terminal import missing, print_json, print_lines, terminal_progress

    made = missing(out)
    options: dict[str, Any] = {
        "out_uri": out,
        "n": n,
        "seed": seed,
        "preset": preset,
        "kinds": kinds,
        "geometry": geometry,
        "components": components,
        "pairs": pairs,
        "min_einstein_radius_arcsec": min_einstein_radius_arcsec,
        "psf": psf,
        "textures": textures,
        "workers": workers,
    }
    if tiles is not None:
        _print_tiles(tiles, options, made, as_flow=flow, as_json=json)
        return
    if flow:
        from flows.simulate import simulate as simulate_flow

        result = simulate_flow(**options)
    else:
        from flows.commands.simulate import simulate_shards

        with terminal_progress("simulating", quiet=json) as report:
            result = simulate_shards(progress=report, **options)
    if json:
        print_json(result.model_dump(mode="json"))
        return
    rows = {"with pairs": result.n_rows} if pairs else {}
    files = {"shards": len(result.shards), "folder": out, "contact sheet": result.contact_sheet}
    print_lines({"objects": n, **rows, **files, **made})


def _print_tiles(n: int, options: dict[str, Any], made: dict[str, Any], *, as_flow: bool, as_json: bool) -> None:
    """Simulate tiles, unless an option is given that tiles do not have."""
    from flows.commands.simulate import simulate_tiles
    from flows.terminal import print_json, print_lines, terminal_progress
    from simulation.products.render import SimulationError

    defaults = {name: option.default for name, option in signature(simulate).parameters.items() if name not in OF_TILES}
    given = [f"--{name.replace('_', '-')}" for name, default in defaults.items() if options[name] != default]
    if given or as_flow:
        raise SimulationError(f"{', '.join([*given, *['--flow'] * as_flow])}: only for shards, not with --tiles")
    with terminal_progress("simulating", quiet=as_json) as report:
        files = simulate_tiles(options["out_uri"], n, options["seed"], options["preset"], options["workers"], report)
    if as_json:
        print_json({"tiles": n, "files": files})
    else:
        out = options["out_uri"]
        print_lines({"tiles": n, "folder": out, "scan them": f"lensscan scan {out} --out catalogue", **made})


@app.command
def inject(
    images: str,
    *,
    out: str,
    n: Positive = 10,
    seed: NotNegative = 1,
    psf: str | None = None,
    survey: str | None = None,
    json: bool = False,
) -> None:
    """Add simulated arcs to galaxies in real images, for training or to measure which lenses a scan finds.

    A manifest yields shards that hold each cutout twice, unchanged and with arcs; tiles yield the same tiles with lenses in
    them. Fluxes follow the zero point of each file (MAGZERO, or as the survey says); pixels must be 0.1 arcsec, as in Euclid's.

    For example: `lensscan inject manifest.csv --out data/injected`
    or: `lensscan inject tiles --n 20 --out tiles-with-lenses`

    Args:
        images: Manifest, FITS file or folder of cutouts, as for `lensscan score`; or folder or `s3://` prefix of tiles.
        out: Folder or `s3://` prefix; files that the same command wrote there are kept, others are refused.
        n: Number of lenses in each tile, 12 arcsec apart; fewer if not enough galaxies can host arcs.
        seed: Seed of the arcs that an object gets, and of the choice of galaxies in a tile.
        psf: FITS file with a PSF for each band, as for `lensscan simulate`.
        survey: Survey that tiles are of: a name of `lensscan surveys`, or a TOML file that describes it.
        json: Print JSON instead of text.
    """
    from flows.commands.inject import inject as inject_into
    from flows.terminal import missing, print_json, print_lines, terminal_progress

    made = missing(out)
    with terminal_progress("injecting", quiet=json) as report:
        result = inject_into(images, out, n, seed, psf, report, survey)
    print_json(result) if json else print_lines({**{name.replace("_", " "): found for name, found in result.items()}, **made})
