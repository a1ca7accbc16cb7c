"""Inject lenses into the galaxies of a unit and score them as a scan does: nothing of it enters the catalogue.

Each lens is drawn from the population first, by its own seed, and placed about one of the night's galaxies that looks like its
lens galaxy. So properties do not follow the galaxies that the night has more of. A lens whose galaxy no host looks like is
drawn again: those with galaxies fainter than any host are missing, and `UnitResult` counts what was left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from infra.engine_name import EngineName
from infra.private_apis import arrow_without_pandas
from infra.progress import Progress, no_progress
from infra.provenance import digest
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import Plan
from scanner.explain.photometry import arc_photometry, photometry
from scanner.networks.engines import resolve_engine
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.package import load_scorer
from scanner.vocabulary.geometry import MER, Stamps
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import kind_column_name, network_column_name
from scanner.vocabulary.rejections import Rejection
from simulation.injection.arcs import Injected
from simulation.injection.cutouts import draw_arcs_kind
from simulation.injection.hosts import Hosts, MeasuredHost, find_hosts
from simulation.injection.looks import TOLERANCES, alike, lens_look
from simulation.optics.observation import Conditions, Optics
from simulation.optics.psf import Psf, read_psfs
from simulation.population import forecast

LIKELY_P_LENS = 0.5
"""Smallest `p_lens` of objects that are more likely lenses than not: only these are compared with real candidates."""
_HOSTS_PER_LENS, _FEWEST_HOSTS, _MOST_HOSTS = 2, 60, 1500
"""Number of hosts that are kept for each lens, and its range: a stamp takes 0.2 MB."""
_MAX_DRAWS = 200
_BATCH = 64


@dataclass(frozen=True)
class UnitTask:
    """Lenses to inject into one unit."""

    plan_id: str
    unit_id: str
    n: int


@dataclass(frozen=True)
class UnitResult:
    """Injected lenses of a unit."""

    task: UnitTask
    rows: list[dict[str, Any]]
    """Values of `INJECTED_COLUMNS` but `is_recovered`, of each lens."""
    measured: list[dict[str, float]]
    """Numbers that candidates have too, of each likely single lens: scores of the networks, and photometry."""
    n_hosts: int
    hosts: str
    """How hosts were chosen."""
    failure: str = ""
    """Why the unit could not be read."""
    n_drawn: int = 0
    """Number of lenses drawn from the population."""
    n_unlike: int = 0
    """Number of these whose galaxy no host looks like."""


@dataclass(frozen=True)
class _Lens:
    host: MeasuredHost
    injected: Injected


@dataclass(frozen=True)
class _Draws:
    """Lenses drawn until one could be injected."""

    lens: _Lens | None
    n: int
    n_unlike: int


class Census:
    """Injects lenses with an ensemble that stays loaded; a pool runs it in each of its processes."""

    def __init__(
        self,
        root_uri: str,
        plans: Mapping[str, Plan],
        package: Path,
        engine: EngineName,
        threshold: float,
        seed: int,
        psf_uri: str | None = None,
        threads: int | None = None,
    ) -> None:
        """Load the ensemble, in float32, and the PSFs.

        Args:
            root_uri: The catalogue's root.
            plans: Plans by id, all of this ensemble.
            package: Folder of the ensemble.
            engine: Engine that runs the networks.
            threshold: Smallest `p_lens` of candidates, which are no hosts.
            seed: >= 0.
            psf_uri: FITS file with a PSF for each band, instead of the model's.
            threads: Threads of the networks.

        Raises:
            PackageError: the package cannot be used.
            EngineError: this machine has no such engine.
            PsfError: the PSF file cannot be used.
        """
        arrow_without_pandas()
        least = min(plan.config.candidate_threshold for plan in plans.values())
        self._scorer = load_scorer(package, resolve_engine(engine), threads, checks_pixels=False, candidate_threshold=least)
        self._root_uri, self._plans, self._threshold, self._seed = root_uri, plans, threshold, seed
        self._psfs: Mapping[str, Psf] | None = read_psfs(psf_uri) if psf_uri else None

    def unit(self, task: UnitTask, progress: Progress = no_progress) -> UnitResult:
        """Inject the lenses of a task; `progress` counts them.

        Raises:
            InputChangedError: a file of the unit is gone or has changed since the scan.
            LensscanError: the unit cannot be read.
        """
        plan = self._plans[task.plan_id]
        unit = plan.unit(task.unit_id)
        if unit is None:
            raise ValueError(f"plan {task.plan_id[:12]} has no unit {task.unit_id}")
        uri = unit_uri(self._root_uri, task.plan_id, task.unit_id)
        rng = default_rng(_seed(self._seed, task.unit_id, "hosts"))
        most = min(max(_HOSTS_PER_LENS * task.n, _FEWEST_HOSTS), _MOST_HOSTS)
        try:
            hosts = find_hosts(unit, uri, plan, self._scorer.geometry, self._threshold, most, rng)
        except Rejection as rejection:
            return UnitResult(task, [], [], 0, "", str(rejection))
        rows: list[dict[str, Any]] = []
        measured: list[dict[str, float]] = []
        n_drawn = n_unlike = 0
        # Without hosts, no draw can succeed.
        for start in range(0, task.n if hosts.found else 0, _BATCH):
            draws = list(self._draws(task, range(start, min(start + _BATCH, task.n)), hosts, progress))
            n_drawn, n_unlike = n_drawn + sum(of.n for of in draws), n_unlike + sum(of.n_unlike for of in draws)
            lenses = [of.lens for of in draws if of.lens is not None]
            if lenses:
                stamps = {
                    band: np.stack([lens.injected.stamps[band] for lens in lenses]) for band in self._scorer.geometry.grids
                }
                scores = self._scorer.score(stamps)
                rows += [_row(task, lens, scores, i) for i, lens in enumerate(lenses)]
                measured += self._measured(lenses, stamps, scores)
        return UnitResult(task, rows, measured, len(hosts.found), hosts.how, n_drawn=n_drawn, n_unlike=n_unlike)

    def _draws(self, task: UnitTask, numbers: range, hosts: Hosts, progress: Progress) -> Iterator[_Draws]:
        looks = np.array([found.look for found in hosts.found]).reshape(-1, len(TOLERANCES))
        for number in numbers:
            progress(number, task.n)
            yield self._drawn(_seed(self._seed, task.unit_id, number), hosts.found, looks)

    def _drawn(self, seed: int, hosts: Sequence[MeasuredHost], looks: NDArray[np.float64]) -> _Draws:
        """Draw lenses until one finds a galaxy like its own, in which its arcs are visible; no lens after `_MAX_DRAWS`."""
        kind, rng = draw_arcs_kind(seed)
        optics = Optics(MER, Conditions.nominal(float(rng.uniform(0, 360))), self._psfs)
        n_unlike = 0
        for n in range(1, _MAX_DRAWS + 1):
            system = forecast.draw_lens(kind, rng, optics.conditions.detector_angle_deg)
            among = alike(looks, lens_look(system, optics))
            if not len(among):
                n_unlike += 1
                continue
            host = hosts[int(rng.choice(among))]
            moved, lensed = host.host.lensed(system, optics)
            if lensed is not None:
                return _Draws(_Lens(host, host.host.with_arcs(moved, lensed, optics, rng)), n, n_unlike)
        return _Draws(None, _MAX_DRAWS, n_unlike)

    def _measured(self, batch: Sequence[_Lens], stamps: Stamps, scores: EnsembleScores) -> list[dict[str, float]]:
        """Return what candidates have too, of the likely single lenses of a batch: hardly any real lens is compound."""
        measured = []
        for i, lens in enumerate(batch):
            if scores.p_lens[i] < LIKELY_P_LENS or lens.injected.truth["kind"] != "single":
                continue
            one, zero_points = {band: images[i : i + 1] for band, images in stamps.items()}, lens.host.zero_points_ab_mag
            geometry = self._scorer.geometry
            numbers = photometry(one, geometry, zero_points) | arc_photometry(one, geometry, zero_points)
            found = {name: float(values[0]) for name, values in numbers.items()}
            found |= {network_column_name(name): float(p[i]) for name, p in scores.p_networks.items()}
            if scores.kinds_given_lens is not None:
                found |= {kind_column_name(kind): float(scores.kinds_given_lens[i, k]) for k, kind in enumerate(KINDS[1:])}
            measured.append(found)
        return measured


def _row(task: UnitTask, lens: _Lens, scores: EnsembleScores, i: int) -> dict[str, Any]:
    truth = lens.injected.truth
    return {
        "object_id": lens.host.object_id,
        "tile": task.unit_id,
        "kind": truth["kind"],
        "einstein_radius_arcsec": truth["einstein_radius1_arcsec"],
        "einstein_radius2_arcsec": truth["einstein_radius2_arcsec"],
        "arc_snr": truth["arc_snr"],
        "source_vis_minus_h": truth["source1_vis_minus_h"],
        "source_mag_vis": truth["source1_mag_vis"],
        "lens_mag_vis": truth["lens_mag_vis"],
        "lens_vis_minus_h": lens.host.vis_minus_h,
        "sky_sigma_vis_ujy": lens.host.sky_sigma_vis_ujy,
        "p_lens": float(scores.p_lens[i]),
        "p_compound": None if scores.p_compound is None else float(scores.p_compound[i]),
        "subclass": "" if scores.subclass is None else scores.subclass[i],
    }


def _seed(*parts: object) -> int:
    return int(digest(list(parts))[:15], 16)
