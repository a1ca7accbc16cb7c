"""Simulate a data set: shards with truth, and a contact sheet to look at."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.artifacts import flow_progress
from infra.frozen import Frozen
from infra.ray.cluster import ray_session
from infra.settings import Settings
from infra.store.storage import absolute, check_folder, join
from scanner.vocabulary.choices import GeometryName, PopulationPreset
from simulation.actors import simulate_dataset
from simulation.products.dataset import dataset_spec, write_contact_sheet


class SimulateResult(Frozen):
    """Size and files of the simulated data set."""

    n_objects: int
    shards: list[str]
    contact_sheet: str


@flow(name="simulate", persist_result=True, result_serializer="json")
def simulate(
    out_uri: str,
    n: Annotated[int, Field(ge=1)] = 1000,
    seed: Annotated[int, Field(ge=0)] = 1,
    preset: PopulationPreset = "euclid",
    kinds: str | None = None,
    geometry: GeometryName = "challenge",
    components: bool = False,
    psf: str | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
) -> SimulateResult:
    """Write `n` simulated objects as shards under `out_uri`; existing shards are kept.

    Args:
        out_uri: Folder or `s3://` prefix.
        n: Number of objects.
        seed: The data set's seed; object i depends on the seed and i alone.
        preset: Population.
        kinds: Kinds and look-alikes with their weights, such as `single,spiral` or `nonlens=3,double_ring=1`.
        geometry: `challenge`, `mer` or `mer10`.
        components: Keep the noise-free lens light and each lensed source as columns.
        psf: FITS file with a PSF for each band, instead of the model PSF.
        workers: Simulation actors; the configured number by default.
    """
    out_uri = absolute(out_uri)
    check_folder(out_uri)
    settings = Settings.read()
    spec = dataset_spec(n, seed, preset, kinds, geometry, components=components, psf_uri=psf and absolute(psf))
    with ray_session(settings.ray_address), flow_progress("simulate", f"Objects simulated into {out_uri}") as progress:
        shards = simulate_dataset(spec, out_uri, workers or settings.workers, progress)
    sheet = join(out_uri, "contact_sheet.png")
    write_contact_sheet(shards[0], sheet)
    return SimulateResult(n_objects=n, shards=shards, contact_sheet=sheet)
