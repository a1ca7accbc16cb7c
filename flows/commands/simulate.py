"""`lensscan simulate`: shards with truth, and a contact sheet to look at."""

from infra.frozen import Frozen
from infra.progress import Progress
from infra.settings import Settings
from infra.store.storage import absolute, check_folder, exists, join
from scanner.vocabulary.choices import GeometryName, PopulationPreset
from simulation.products.dataset import dataset_spec, shard_n_rows, shard_uris, write_contact_sheet
from simulation.products.render import SimulationError
from simulation.products.survey_tile import TileSpec
from simulation.run import simulate_dataset, simulate_night


class SimulateResult(Frozen):
    """Size and files of the simulated data set."""

    n_objects: int
    n_rows: int
    """Number of rows in the shards: larger than that of objects by the lenses without arcs of a data set with pairs."""
    shards: list[str]
    contact_sheet: str


def tile_specs(n: int, seed: int, preset: PopulationPreset = "euclid") -> list[TileSpec]:
    """Return tiles that are crowded with lenses, so that a scan of a few finds some; each has its own seed, from `seed` on."""
    return [
        TileSpec(tile_id=str(100000001 + i), n_galaxies=240, n_single=12, n_compound=8, seed=seed + i, preset=preset)
        for i in range(n)
    ]


def simulate_tiles(
    out_uri: str, n: int, seed: int, preset: PopulationPreset, workers: int | None, progress: Progress
) -> list[str]:
    """Write `n` tiles of `tile_specs` under `out_uri`, and return the URIs of all files.

    Raises:
        LensscanError: the folder holds other tiles of these names, or a tile could not be made.
    """
    check_folder(absolute(out_uri))
    settings = Settings.read()
    return simulate_night(tile_specs(n, seed, preset), out_uri, workers or settings.workers, progress, settings.ray_address)


def simulate_shards(
    out_uri: str,
    n: int,
    seed: int,
    preset: PopulationPreset,
    kinds: str | None,
    geometry: GeometryName,
    psf: str | None,
    textures: str | None,
    workers: int | None,
    progress: Progress,
    *,
    components: bool,
    pairs: bool,
    min_einstein_radius_arcsec: float,
) -> SimulateResult:
    """Write `n` simulated objects as shards under `out_uri`, with the meaning of the flow's parameters.

    Raises:
        LensscanError: a parameter is invalid, the folder holds other files, or an object could not be simulated.
    """
    out_uri = absolute(out_uri)
    check_folder(out_uri)
    settings = Settings.read()
    spec = dataset_spec(
        n,
        seed,
        preset,
        kinds,
        geometry,
        components=components,
        pairs=pairs,
        min_einstein_radius_arcsec=min_einstein_radius_arcsec,
        psf_uri=psf and absolute(psf),
        textures_uri=textures and absolute(textures),
    )
    sheet = join(out_uri, "contact_sheet.png")
    if exists(sheet) and not exists(shard_uris(spec, out_uri)[0]):
        raise SimulationError(f"{sheet} shows shards that are gone; remove it, or choose another folder")
    shards = simulate_dataset(spec, out_uri, workers or settings.workers, progress, settings.ray_address)
    write_contact_sheet(shards[0], sheet)
    n_rows = sum(shard_n_rows(spec, number) for number in range(spec.n_shards))
    return SimulateResult(n_objects=n, n_rows=n_rows, shards=shards, contact_sheet=sheet)
