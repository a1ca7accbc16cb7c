"""A catalogue as a caller in Python reads it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from numbers import Real

import numpy as np
import pyarrow as pa

from infra.settings import Settings
from scanner.catalogue.astropy_table import described
from scanner.catalogue.columns import EMBEDDING, network_names
from scanner.catalogue.injected import current_injected
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.catalogue.paths import UNDATED
from scanner.catalogue.query import QueryError, query
from scanner.catalogue.rows import Rows
from scanner.catalogue.selection import Circle
from scanner.catalogue.wanted import Wanted
from scanner.completeness import Completeness
from scanner.review.embeddings.drift import Drift, night_drifts
from scanner.review.embeddings.rows import most_like
from scanner.review.votes.graded import grade_views, graded_objects, with_grades
from scanner.review.yields.guarantee import guaranteed
from scanner.review.yields.night import NightYield, expected_lists, read_night
from scanner.vocabulary.kinds import KINDS


@dataclass(frozen=True)
class Catalogue:
    """The catalogue that `lensscan scan` writes, in a folder or under an `s3://` prefix."""

    path: str

    def candidates(
        self,
        *,
        min_p_lens: float | None = None,
        night: str | date | None = None,
        subclass: str | None = None,
        cone: tuple[float, float, float] | None = None,
        limit: int | None = None,
        maps: bool = True,
        plan: str | None = None,
        all_plans: bool = False,
        grades: bool = False,
        fdr: float | None = None,
    ) -> Rows:
        """Return candidates, best first, each object once in a night.

        Args:
            min_p_lens: Smallest `p_lens`; by default that of the candidates. Rows below it come from all rows of the scan.
            night: Night of the scan, YYYY-MM-DD; by default all nights.
            subclass: `single`, `compound_arc` or `double_ring`; by default all.
            cone: RA, Dec and radius of a circle, in degrees, in which the candidates lie; by default the whole sky.
            limit: Largest number of rows; by default all.
            maps: Return the pixels that `show` draws, 73 kB a row, and the embeddings.
            plan: First characters of a plan id: the candidates of this plan alone.
            all_plans: The candidates of every plan, so that an object comes once for each plan that lists it.
            grades: Add what graders say of each object: the columns of `grades()`.
            fdr: Largest expected share of objects that are no lenses: return the longest list of the night that holds it. Not
                with other conditions than `night`. Python warns if `p_lens` is not calibrated for the survey of the night.

        Raises:
            LensscanError: there is no such catalogue, a vote is damaged, an argument is out of range, or no list of the night
                can hold the rate; the message says what it needs.
        """
        _check_share("min_p_lens", min_p_lens)
        if subclass is not None and subclass not in KINDS[1:]:
            raise QueryError(f"subclass must be one of {', '.join(KINDS[1:])}, got {subclass!r}")
        if fdr is not None:
            if any(given is not None for given in (min_p_lens, subclass, cone, plan)) or all_plans:
                raise QueryError("fdr holds for the whole list of a night: no other condition than night goes with it")
            found = guaranteed(self.path, _night(night), fdr, Settings.read().ensembles_dir)
            if found.warning:
                warnings.warn(found.warning, stacklevel=2)
            min_p_lens = found.least_p_lens
        wanted = Wanted(
            min_p_lens=min_p_lens,
            night=_night(night),
            subclass=subclass,
            circle=None if cone is None else Circle.of("cone", *cone),
            limit=limit,
            plan=plan,
            all_plans=all_plans,
        )
        rows = query(self.path, wanted, maps=maps)
        return _described(with_grades(rows, graded_objects(self.path)) if grades else rows)

    def scores(self, *, min_p_lens: float | None = None, night: str | date | None = None, limit: int | None = None) -> Rows:
        """Return all rows that were scanned, without maps and in no order; arguments as for `candidates`.

        Rejected objects have no `p_lens`, so `min_p_lens` leaves them out.
        """
        _check_share("min_p_lens", min_p_lens)
        pixels = {EMBEDDING.name, *(column.name for column in MAP_COLUMNS)}
        names = ", ".join(f'"{name}"' for name in self.sql("SELECT * FROM scores LIMIT 0").columns if name not in pixels)
        conditions = [] if min_p_lens is None else [f"p_lens >= {float(min_p_lens)!r}"]
        if night is not None:
            label = _night(night)
            conditions.append("night IS NULL" if label == UNDATED else f"night = '{label}'")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        most = "" if limit is None else f"LIMIT {int(limit)}"
        return _described(self.sql(f"SELECT {names} FROM scores {where} {most}").to_arrow())  # noqa: S608 - checked numbers

    def like(self, name: str | int, *, top: int = 20, night: str | date | None = None, min_p_lens: float | None = None) -> Rows:
        """Return the objects that the networks see most like one, nearest first, candidates or not.

        Args:
            name: `object_id` or `candidate_id` of an object.
            top: Largest number of rows.
            night: Night of the scan, YYYY-MM-DD; by default all nights.
            min_p_lens: Smallest `p_lens`; by default any.

        Returns:
            Rows with the column `distance`: 1 minus the cosine of the embeddings.

        Raises:
            LensscanError: the ensemble of the scans has no reference, the object has no embedding, or there is no catalogue.
        """
        _check_share("min_p_lens", min_p_lens)
        if top < 0:
            raise QueryError(f"top must be 0 or more, got {top}")
        return _described(most_like(self.path, str(name), top, Wanted(night=_night(night), min_p_lens=min_p_lens)))

    def drift(self, *, night: str | date | None = None) -> list[Drift]:
        """Return how far each night, and each of its tiles, has moved from the reference of its ensemble.

        Raises:
            LensscanError: the scans have no reference, or this machine lacks it.
        """
        return night_drifts(self.path, _night(night), Settings.read().ensembles_dir)

    def expected(self, *, cut: float | Sequence[float] = (), night: str | date | None = None) -> NightYield:
        """Return how many lenses and contaminants the lists of a night should hold, and the prevalence that its scores tell.

        Args:
            cut: Smallest `p_lens` of a list, or several; by default that of the candidates and the higher evaluated ones.
            night: Night of the scan, YYYY-MM-DD; needed if the catalogue has several.

        Raises:
            LensscanError: the ensemble was not evaluated, a cut is lower than its evaluation reaches, or the night has no one
                ensemble.
        """
        return expected_lists(read_night(self.path, _night(night)), _cuts(cut))

    def grades(self) -> Rows:
        """Return what graders say of each object that they graded, by object_id; `p_lens` is not changed by it.

        Raises:
            LensscanError: a vote is damaged, or votes contradict each other.
        """
        return Rows(graded_objects(self.path))

    def injections(self, *, night: str | date | None = None) -> Rows:
        """Return the lenses that `lensscan completeness` injected into a night, the only one with such by default.

        They are none of the night's objects.

        Raises:
            LensscanError: there are none, several nights have some, the night was scanned anew since, or the file is damaged.
        """
        return Rows(described(current_injected(self.path, _night(night)).table))

    def completeness(
        self,
        subclass: str,
        *,
        einstein_radius_arcsec: float | None = None,
        arc_snr: float | None = None,
        source_vis_minus_h: float | None = None,
        lens_mag_vis: float | None = None,
        sky_sigma_vis_ujy: float | None = None,
        min_p_lens: float | None = None,
        night: str | date | None = None,
    ) -> Completeness:
        """Return the share of lenses like these that a night finds, with its 95 % interval, from lenses injected into it.

        The properties are those of `injections`; in those that are not given, the share is that of the simulated population.
        Lenses near the given properties count with weights that fall with their distance; see `scanner.completeness`.

        Args:
            subclass: True kind: `single`, `compound_arc` or `double_ring`.
            einstein_radius_arcsec: Einstein radius for the nearer source.
            arc_snr: Signal-to-noise ratio of the arcs in VIS at the nominal depth.
            source_vis_minus_h: Colour of the nearer source.
            lens_mag_vis: Magnitude of the lens galaxy.
            sky_sigma_vis_ujy: Depth.
            min_p_lens: Smallest `p_lens` of lenses that count as found; by default the threshold of the night's candidates.
            night: Night, YYYY-MM-DD, or `undated`; by default the only one with injected lenses.

        Returns:
            `value`, `low`, `high`, and the number `n` of injected lenses that they are worth.

        Raises:
            LensscanError: as for `injections`; a property is outside the range that was injected; too few lenses are near.
        """
        _check_share("min_p_lens", min_p_lens)
        injected = current_injected(self.path, _night(night))
        return injected.sample(min_p_lens).at(
            subclass,
            einstein_radius_arcsec=einstein_radius_arcsec,
            arc_snr=arc_snr,
            source_vis_minus_h=source_vis_minus_h,
            lens_mag_vis=lens_mag_vis,
            sky_sigma_vis_ujy=sky_sigma_vis_ujy,
        )

    def sql(self, statement: str) -> Rows:
        """Return the result of SQL over the views `candidates`, `scores` and `grades`, such as `SELECT count(*) FROM scores`.

        Raises:
            LensscanError: the SQL is wrong, or there is no such catalogue.
        """
        return Rows(described(query(self.path, sql=statement, views=grade_views(self.path))))


def _described(table: pa.Table) -> Rows:
    return Rows(described(table, network_names(table.schema)))


def _check_share(name: str, value: float | None) -> None:
    """Raise QueryError unless a value is a number between 0 and 1."""
    if value is not None and not (isinstance(value, Real) and 0 <= value <= 1):
        raise QueryError(f"{name} must be a number between 0 and 1, got {value!r}")


def _cuts(cut: float | Sequence[float]) -> list[float]:
    """Return one cut or several as a list; which values are allowed depends on the evaluation of the ensemble."""
    try:
        return np.ravel(cut).astype(float).tolist()
    except (TypeError, ValueError) as error:
        raise QueryError(f"cut must be a number or a list of numbers, got {cut!r}") from error


def _night(night: str | date | None) -> str | None:
    """Return the label of a night: YYYY-MM-DD or `undated`."""
    try:
        return None if night is None else UNDATED if night == UNDATED else date.fromisoformat(str(night)).isoformat()
    except ValueError as error:
        raise QueryError(f"night must be a date, YYYY-MM-DD, or {UNDATED}, got {night}") from error
