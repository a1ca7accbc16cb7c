"""27 of the audit's 81 defects: 25 that survived, 2 that a test detected by accident; each must make a test fail now.

Most are wiring defects: a tested part that is unused or gets the wrong argument, which mutation operators seldom produce.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """One replacement in one file."""

    id: str
    path: str
    wrong: str
    """The wrong behaviour that the defect causes."""
    old: str
    new: str
    tests: tuple[str, ...]

    def applied_to(self, source: str) -> str:
        """Return the source with the defect.

        Raises:
            ValueError: the source changed, so that `old` does not occur in it exactly once.
        """
        n = source.count(self.old)
        if n != 1:
            raise ValueError(f"{self.id}: text to replace must occur once in {self.path}, occurs {n} times: {self.old!r}")
        return source.replace(self.old, self.new)


DEFECTS = (
    Defect(
        "M07",
        "simulation/injection/arcs.py",
        "Painted arcs are not converted to the file's flux scale.",
        "image + _placed(noisy * scale, self.corner, shape)",
        "image + _placed(noisy, self.corner, shape)",
        ("tests/simulation/injection/test_flux.py",),
    ),
    Defect(
        "M08",
        "simulation/injection/tiles.py",
        "Zero points of mosaics are not passed on.",
        "        zero_points_ab_mag={band: mosaic.zero_point_ab_mag for band, mosaic in mosaics.items()},\n",
        "",
        ("tests/simulation/injection/test_flux.py",),
    ),
    Defect(
        "M09",
        "simulation/injection/cutouts.py",
        "Zero points of cutouts are not passed on.",
        "*draw_arcs_kind(seed, i), zero_points_ab_mag=zero_points, psfs=psfs)",
        "*draw_arcs_kind(seed, i), psfs=psfs)",
        ("tests/simulation/injection/test_flux.py",),
    ),
    Defect(
        "M22",
        "scanner/networks/prevalence.py",
        "The package's compound share is ignored.",
        "compound_share or card.combiner.compound_share",
        "compound_share",
        ("tests/scanner/networks/test_prevalence.py",),
    ),
    Defect(
        "M25",
        "scanner/scan/scoring.py",
        "The first stage's sweep sends rows to the committee at the candidates' threshold.",
        "make_sweep(first, fast, exact.first_stage, exact.exclude_below, CASCADE_MARGIN)",
        "make_sweep(first, fast, exact.first_stage, config.candidate_threshold, CASCADE_MARGIN)",
        ("tests/scanner/scan/test_cascade_scan.py",),
    ),
    Defect(
        "M36",
        "scanner/catalogue/audit/verify.py",
        "The units in the seal are not compared with those in the plan.",
        '        if set(seal.units) != {unit.unit_id for unit in self._plan.units}:\n            wrong.add("units")\n',
        "",
        ("tests/scanner/catalogue/audit/test_verify.py",),
    ),
    Defect(
        "M37",
        "scanner/catalogue/audit/verify.py",
        "Counts of outcomes in a seal need not add up.",
        '        if sum(seal.rows_by_status.values()) != seal.n_rows:\n            wrong.add("rows_by_status")\n',
        "",
        ("tests/scanner/catalogue/audit/test_verify.py",),
    ),
    Defect(
        "M39",
        "scanner/catalogue/plan.py",
        "The id of a plan does not depend on engine and sweep.",
        '    return canonical_json(plan.model_dump(mode="json"))',
        '    content = plan.model_dump(mode="json")\n'
        '    del content["config"]["engine"], content["config"]["sweep"]\n'
        "    return canonical_json(content)",
        ("tests/scanner/catalogue/test_plan.py",),
    ),
    Defect(
        "M46",
        "infra/store/s3.py",
        "A listing that stops early is taken as complete.",
        '        if token in {"", before}:\n'
        '            raise StorageError(f"{root_uri}: the store does not go on with its listing")',
        '        if token in {"", before}:\n            return',
        ("tests/infra/store/test_s3.py",),
    ),
    Defect(
        "M49",
        "scanner/workers/retry_state.py",
        "A unit may leave out a hundred times as many rows.",
        "MAX_CRASHING_ROWS = 16\n",
        "MAX_CRASHING_ROWS = 1600\n",
        ("tests/scanner/workers/test_retry_state.py",),
    ),
    Defect(
        "M50",
        "scanner/workers/dispatch.py",
        "A failure of the store counts as an error of the unit.",
        "return Failure.STORE if isinstance(error, OSError | TransientError) else Failure.RAISED",
        "return Failure.RAISED",
        ("tests/scanner/workers/test_dispatch.py",),
    ),
    Defect(
        "M51",
        "scanner/workers/dispatch.py",
        "A crash while only this unit was in flight counts as a crash with other units in flight.",
        "    if result.failure is CallFailure.DIED and result.call.is_alone:\n        return Failure.CRASHED_ALONE\n",
        "",
        ("tests/scanner/workers/test_dispatch.py",),
    ),
    Defect(
        "M54",
        "training/fit.py",
        "The training loss ignores the class weights.",
        "network, optimiser, batches, self._train_weights,",
        "network, optimiser, batches, torch.ones_like(self._train_weights),",
        ("tests/training/test_fit.py",),
    ),
    Defect(
        "M55",
        "training/fit_state.py",
        "The last epoch is kept, not the best.",
        "is_best = all(record.deciding_loss < earlier.deciding_loss for earlier in self.history)",
        "is_best = True",
        ("tests/training/test_fit.py",),
    ),
    Defect(
        "M56",
        "training/fit.py",
        "The learning rate is one epoch ahead.",
        "config.learning_rate_at((epoch - 1 + step / n_steps) / n_epochs)",
        "config.learning_rate_at((epoch + step / n_steps) / n_epochs)",
        ("tests/training/test_fit.py",),
    ),
    Defect(
        "M57",
        "training/fit.py",
        "Training images are not augmented.",
        "self._train, rng, augment=config.augment,",
        "self._train, rng, augment=False,",
        ("tests/training/test_fit.py",),
    ),
    Defect(
        "M59",
        "training/publish.py",
        "The card's test metrics are computed on the validation split.",
        '_ensemble_metrics(combiner, margins["test"], test_kinds)',
        '_ensemble_metrics(combiner, margins["validation"], dataset.kinds[rows["validation"]])',
        ("tests/training/test_publish.py",),
    ),
    Defect(
        "M70",
        "scanner/scan/scoring.py",
        "The sweep of a cascade compares the committee's scores with those of the first stage.",
        "sweep.check(fast.p_lens[undecided], scores.p_of_sweep[undecided])",
        "sweep.check(fast.p_lens[undecided], scores.p_lens[undecided])",
        ("tests/scanner/scan/test_cascade_scan.py",),
    ),
    Defect(
        "M71",
        "scanner/scan/request.py",
        "The plan's candidates are those that are shown, not those of the ensemble's own threshold.",
        "threshold = min(shown_threshold(request), card.candidate_threshold)",
        "threshold = shown_threshold(request)",
        ("tests/scanner/scan/test_request.py",),
    ),
    Defect(
        "M74",
        "simulation/products/render.py",
        "The detector's angle is drawn from only one quarter turn.",
        "angle = float(rng.uniform(0, 360))",
        "angle = float(rng.uniform(0, 90))",
        ("tests/simulation/optics/test_psf_probe.py",),
    ),
    Defect(
        "M85",
        "simulation/products/render.py",
        "Objects have no artefacts.",
        'return add_artefacts(stamps, geometry, conditions, rng, certain=system.lookalike == "artefact")',
        "return stamps",
        ("tests/simulation/products/test_simulated_objects.py",),
    ),
    Defect(
        "M86",
        "simulation/products/render.py",
        "All objects are observed under nominal conditions.",
        'conditions = Conditions.nominal(angle) if preset == "wilde2022" else draw_conditions(rng, angle)',
        "conditions = Conditions.nominal(angle)",
        ("tests/simulation/products/test_simulated_objects.py",),
    ),
    Defect(
        "M87",
        "simulation/products/render.py",
        "Objects have no neighbours.",
        "    system = replace(system, neighbours=(*system.neighbours, *neighbours))\n",
        "",
        ("tests/simulation/products/test_simulated_objects.py",),
    ),
    Defect(
        "M88",
        "simulation/products/render.py",
        "Lenses without arcs are drawn from the default mix of kinds, not from that of the data set.",
        "visible_system(draw_of, optics, rng, preset, arcless_lens_shares, texturing, min_einstein_radius_arcsec)",
        "visible_system(draw_of, optics, rng, preset, texturing=texturing)",
        ("tests/simulation/products/test_simulated_objects.py",),
    ),
    Defect(
        "M90",
        "scanner/scan/scoring.py",
        "A cascade is opened without its first stage.",
        "return CutoutScanner(exact, config.batch_size, first, mapping, config.candidate_threshold, reference, committee)",
        "return CutoutScanner(exact.committee, config.batch_size, None, mapping, config.candidate_threshold, reference)",
        ("tests/scanner/scan/test_cascade_scan.py",),
    ),
    Defect(
        "M91",
        "scanner/scan/row_selection.py",
        "After a left-out row, rejections are assigned to the wrong rows.",
        "rejected = [(int(number[i]), rejection) for i, rejection in batch.rejected]",
        "rejected = list(batch.rejected)",
        ("tests/scanner/scan/test_open_unit.py",),
    ),
    Defect(
        "M92",
        "scanner/scan/row_selection.py",
        "After a left-out row, scores are not mapped back to their rows.",
        "replace(batch, rows=number[batch.rows], rejected=rejected)",
        "replace(batch, rejected=rejected)",
        ("tests/scanner/scan/test_open_unit.py",),
    ),
)
