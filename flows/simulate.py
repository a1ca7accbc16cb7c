"""The Prefect flow of `lensscan simulate --flow`."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.artifacts import flow_progress
from flows.commands.simulate import SimulateResult, simulate_shards
from flows.retries import retried
from scanner.vocabulary.choices import GeometryName, PopulationPreset
from simulation.products.dataset import LARGEST_MIN_RADIUS_ARCSEC


@flow(name="simulate", persist_result=True, result_serializer="json")
def simulate(
    out_uri: str,
    n: Annotated[int, Field(ge=1)] = 1000,
    seed: Annotated[int, Field(ge=0)] = 1,
    preset: PopulationPreset = "euclid",
    kinds: str | None = None,
    geometry: GeometryName = "challenge",
    components: bool = False,
    pairs: bool = False,
    min_einstein_radius_arcsec: Annotated[float, Field(ge=0, le=LARGEST_MIN_RADIUS_ARCSEC)] = 0.0,
    psf: str | None = None,
    textures: str | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
) -> SimulateResult:
    """Write `n` simulated objects as shards under `out_uri`; existing shards are kept.

    The simulation is tried again after an error of the store, of the cluster or of a worker, and after no other.

    Args:
        out_uri: Folder or `s3://` prefix.
        n: Number of objects.
        seed: The data set's seed; object i depends on the seed and i alone.
        preset: Population.
        kinds: Kinds and look-alikes with their weights, such as `single,spiral` or `nonlens=3,double_ring=1`.
        geometry: `challenge`, `mer` or `mer10`.
        components: Keep the noise-free lens light and each lensed source as columns.
        pairs: Follow each lens by the same lens without its arcs, in the same noise.
        min_einstein_radius_arcsec: Least Einstein radius of a lens for its nearer source, and of lenses that lost their arcs.
        psf: FITS file with a PSF for each band, instead of the model PSF.
        textures: File of `lensscan textures`, with real galaxies whose pictures take the place of some sources and late types.
        workers: Simulation processes; the configured number by default.
    """
    with flow_progress("simulate", f"Objects simulated into {out_uri}") as progress:
        return retried(
            "simulate",
            lambda: simulate_shards(
                out_uri,
                n,
                seed,
                preset,
                kinds,
                geometry,
                psf,
                textures,
                workers,
                progress,
                components=components,
                pairs=pairs,
                min_einstein_radius_arcsec=min_einstein_radius_arcsec,
            ),
        )
