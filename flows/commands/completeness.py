"""`lensscan completeness`: inject lenses into a night's own galaxies, and say which share of them the night finds."""

from pathlib import Path

from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.progress import Progress, no_progress
from infra.settings import Settings
from infra.store.storage import absolute
from scanner.catalogue.injected import Injected
from scanner.catalogue.shown import show_records
from scanner.catalogue.table_files import check_path, write_table
from scanner.networks.locate import find_scanning_package
from scanner.sources.survey import EUCLID_MER, Survey
from scanner.vocabulary.geometry import GEOMETRIES, MER_PIXEL_ARCSEC


class CompletenessCommandError(LensscanError):
    """The completeness of a night cannot be measured or written."""


def measure_completeness(
    root_uri: str,
    label: str | None,
    *,
    n: int | None = None,
    seed: int | None = None,
    units: int | None = None,
    psf: str | None = None,
    workers: int | None = None,
    engine: EngineName | None = None,
    plan_id: str | None = None,
    package: Path | None = None,
    progress: Progress = no_progress,
) -> tuple[Injected, bool]:
    """Inject lenses into a night, the only one by default, unless it has them already; see `inject_into_night`.

    `plan_id` names a plan of it that waits for its promotion, `package` the folder of the ensemble that scanned it; by default
    the folder is looked for by the ensemble's name.

    Raises:
        LensscanError: the catalogue has no such night, or nothing can be injected into it.
    """
    # Imported here: to read a table of injected lenses takes neither numba nor lenstronomy.
    from simulation.injection.night import MOST_UNITS, SEED, N, NightInjection, inject_into_night

    settings = Settings.read()
    root_uri = absolute(root_uri)
    wanted = NightInjection(
        root_uri,
        label or _only_night(root_uri),
        n=N if n is None else n,
        seed=SEED if seed is None else seed,
        most_units=MOST_UNITS if units is None else units,
        psf_uri=psf and absolute(psf),
        engine=engine or settings.engine,
        plan_id=plan_id,
    )

    def package_of(name: str) -> Path:
        return package or find_scanning_package(name, settings.ensembles_dir)

    return inject_into_night(wanted, package_of, workers or settings.workers, progress)


def check_measurable(survey: Survey, geometry: str) -> None:
    """Check, before a scan, that lenses can be injected into tiles of this survey for an ensemble of this geometry.

    Raises:
        CompletenessCommandError: they cannot.
    """
    if survey != EUCLID_MER:
        raise CompletenessCommandError(f"--completeness: arcs are simulated for images of Euclid, not of {survey.name}")
    if any(grid.pixel_scale_arcsec != MER_PIXEL_ARCSEC for grid in GEOMETRIES[geometry].grids.values()):
        raise CompletenessCommandError(
            f"--completeness: arcs are painted into pixels of {MER_PIXEL_ARCSEC} arcsec, not into those of {geometry}; "
            "choose another ensemble"
        )


def check_table_path(out: str, *, overwrite: bool) -> Path:
    """Return the path of a copy of the table, after a check that it can be written.

    Raises:
        CompletenessCommandError: it cannot, or it exists.
    """
    path = Path(out)
    try:
        check_path(path, out)
    except ValueError as error:
        raise CompletenessCommandError(str(error)) from error
    if path.exists() and not overwrite:
        raise CompletenessCommandError(f"--out {out} exists; it is not replaced without --overwrite")
    return path


def write_copy(injected: Injected, path: Path) -> None:
    """Write the injected lenses to a file for other programs, with what determined them in its metadata.

    Raises:
        OSError: the file cannot be written.
    """
    about = injected.arguments
    facts = {
        "night": about.night or "none",
        "ensemble": about.ensemble_name,
        "ensemble_sha256": about.ensemble_sha256,
        "plan_id": about.shown[0][0],
        "threshold": f"{about.threshold:g}",
        "n": f"{about.n}",
        "seed": f"{about.seed}",
        "psf": injected.facts.psf,
        "code_version": about.code_version,
        "realism_auroc": f"{injected.facts.realism.auroc:.3f}" if injected.facts.realism else "not measured",
    }
    write_table(injected.table, path, facts)


def _only_night(root_uri: str) -> str:
    labels = sorted(show_records(root_uri))
    if len(labels) != 1:
        raise CompletenessCommandError(
            f"{root_uri}: name one of its nights with --night: {', '.join(labels)}"
            if labels
            else f"{root_uri}: no complete scan"
        )
    return labels[0]
