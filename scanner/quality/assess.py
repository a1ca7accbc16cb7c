"""Judge a night: measure it, compare it with a reference night, and store the verdict."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import date

from infra.progress import Progress, no_progress
from infra.provenance import code_version
from scanner.catalogue.injected import InjectedError, read_injected
from scanner.catalogue.paths import night_label
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.seal import load_seal
from scanner.catalogue.shown import show_records, shown_plans
from scanner.catalogue.verdicts import Check, Verdict, newest_verdict, record_verdict
from scanner.quality.errors import QualityError
from scanner.quality.limits import QualityLimits
from scanner.quality.measures import GEOMETRY, NightMeasures, measured, stored_measures
from scanner.quality.pixel_checks import pixel_checks
from scanner.quality.score_checks import Recovery, recovery_checks, score_checks
from scanner.quality.tile_checks import tile_checks

_LOG = logging.getLogger(__name__)


def assess(
    plan: Plan,
    root_uri: str,
    limits: QualityLimits,
    reference_label: str | None = None,
    progress: Progress = no_progress,
) -> Verdict:
    """Judge a sealed plan and store the verdict; the same question again gives the same verdict, and stores nothing.

    A plan is measured anew, and the verdict may be another, as long as a tile that is measured could not be read.

    Args:
        plan: A sealed plan.
        root_uri: The catalogue's root.
        limits: The limits.
        reference_label: Label of the night to compare with; by default the nearest one that passed its gate and that the same
            ensemble scored. Without one, drifts are not measured.
        progress: Called with the numbers of tiles read and to read.

    Raises:
        QualityError: the plan is not sealed or lacks unit files, or the reference night has no scan that readers see.
        LensscanError: a file of the catalogue is damaged.
    """
    if load_seal(root_uri, plan.plan_id) is None:
        raise QualityError(f"plan {plan.plan_id[:12]} is not sealed: scan its night to the end first")
    night = measured(plan, root_uri, progress)
    reference = _named_reference(plan, root_uri, reference_label) if reference_label else _nearest(plan, root_uri)
    return record_verdict(judged(night, reference, tuple(GEOMETRY.grids), limits, root_uri), root_uri)


def judged(
    night: NightMeasures, reference: NightMeasures | None, bands: tuple[str, ...], limits: QualityLimits, root_uri: str
) -> Verdict:
    """Return the verdict on measured nights."""
    return Verdict(
        plan_id=night.plan_id,
        night=night.night,
        reference_plan_id=reference.plan_id if reference else None,
        reference_night=reference.night if reference else None,
        code_version=code_version(),
        limits=limits.model_dump(),
        checks=tuple(_checks(night, reference, bands, limits, root_uri)),
    )


def _checks(
    night: NightMeasures, reference: NightMeasures | None, bands: tuple[str, ...], limits: QualityLimits, root_uri: str
) -> Iterator[Check]:
    yield from tile_checks(night, reference, limits)
    yield from score_checks(night, reference, limits)
    yield from pixel_checks(night, reference, bands, limits)
    before = _recovery(reference, root_uri) if reference else None
    yield from recovery_checks(_recovery(night, root_uri), before, limits)


def _recovery(night: NightMeasures, root_uri: str) -> Recovery | None:
    """Return the injected lenses of the night; without numbers if they were injected into another plan of it."""
    with suppress(InjectedError):
        injected = read_injected(root_uri, night_label(night.night))
        if injected is None:
            return None
        if injected.arguments.shown[0][0] == night.plan_id:
            sample = injected.sample()
            return Recovery(len(sample.kind), int(sample.is_recovered.sum()))
    return Recovery(0, 0, is_of_another=True)


def _named_reference(plan: Plan, root_uri: str, label: str) -> NightMeasures:
    shown = [one for one in shown_plans(root_uri, label).get(label, []) if one.plan_id != plan.plan_id]
    if not shown:
        raise QualityError(f"{root_uri}: no other scan of night {label} that readers see, so it cannot be the reference")
    return measured(load_plan(root_uri, shown[0].plan_id), root_uri)


def _nearest(plan: Plan, root_uri: str) -> NightMeasures | None:
    """Return the measures of the nearest other night that readers see and that passed, with the same ensemble.

    Nights without stored measures of this version are passed over; a warning names one of them if no other night is left.
    """
    if plan.night is None:
        return None
    day = date.fromisoformat(plan.night)
    records = {label: found[0] for label, found in show_records(root_uri).items() if label != plan.night and _is_date(label)}
    unusable: list[str] = []
    for label in sorted(records, key=lambda label: (abs((date.fromisoformat(label) - day).days), label)):
        plan_id = records[label].plan_id
        verdict = newest_verdict(root_uri, plan_id)
        if verdict is not None and verdict.is_passed:
            found = stored_measures(root_uri, plan_id)
            if found is None:
                unusable.append(label)
            elif found.ensemble_sha256 == plan.ensemble_sha256:
                return found
    if unusable:
        _LOG.warning(
            "night %s is compared with no other, so drifts are not measured: night %s has no measures of this version of "
            "lensscan; `lensscan qa %s --night %s` makes them",
            plan.night,
            unusable[0],
            root_uri,
            unusable[0],
        )
    return None


def _is_date(label: str) -> bool:
    with suppress(ValueError):
        date.fromisoformat(label)
        return True
    return False
