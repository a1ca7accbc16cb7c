"""The modules whose mutants are sampled, and the tests nearest to each, those that detect most first."""

from dataclasses import dataclass

_PER_MODULE, _PER_LATER_MODULE = 12, 6
HELD_OUT_PER_MODULE = 4


@dataclass(frozen=True)
class Module:
    """A file that is mutated."""

    path: str
    tests: tuple[str, ...]
    """Test files, or tests in files, of the default selection."""
    n: int = _PER_MODULE
    """Largest number of mutants."""


MODULES = (
    Module("simulation/lensing.py", ("tests/simulation/test_lensing.py", "tests/simulation/products/test_image_forms.py")),
    Module(
        "simulation/optics/observation.py",
        ("tests/simulation/optics/test_observation.py", "tests/simulation/optics/test_noise_parts.py"),
    ),
    Module(
        "simulation/injection/arcs.py", ("tests/simulation/injection/test_arcs.py", "tests/simulation/injection/test_flux.py")
    ),
    Module(
        "scanner/preprocess/resample.py",
        ("tests/scanner/preprocess/test_resample.py", "tests/scanner/preprocess/test_regridding.py"),
    ),
    Module("scanner/sources/stamps.py", ("tests/scanner/sources/test_stamps.py",)),
    Module(
        "scanner/preprocess/channels.py",
        ("tests/scanner/preprocess/test_channels.py", "tests/scanner/preprocess/test_network_inputs.py"),
    ),
    Module(
        "scanner/networks/combiner.py",
        (
            "tests/scanner/networks/test_combiner.py",
            "tests/training/test_cascade.py::test_a_pooling_without_veto_finds_lenses_that_one_network_dislikes",
        ),
    ),
    Module("scanner/networks/prevalence.py", ("tests/scanner/networks/test_prevalence.py",)),
    Module("scanner/catalogue/ledger.py", ("tests/scanner/catalogue/test_ledger.py", "tests/scanner/catalogue/test_maps.py")),
    Module(
        "scanner/catalogue/plan.py",
        (
            "tests/scanner/catalogue/test_plan.py",
            "tests/scanner/catalogue/test_find_plans.py",
            "tests/scanner/catalogue/test_known_plan.py",
            "tests/scanner/catalogue/test_ledger.py",
            "tests/scanner/catalogue/test_maps.py",
            "tests/flows/cli/test_audit.py",
        ),
    ),
    Module("scanner/catalogue/seal.py", ("tests/scanner/catalogue/test_seal.py", "tests/scanner/catalogue/test_maps.py")),
    Module(
        "scanner/catalogue/audit/reconcile.py",
        (
            "tests/scanner/catalogue/audit/test_reconcile.py",
            "tests/scanner/catalogue/test_maps.py",
            "tests/scanner/workers/test_selected_scan.py::test_audits_account_for_every_row",
        ),
    ),
    Module(
        "scanner/catalogue/audit/verify.py",
        ("tests/scanner/catalogue/audit/test_verify.py", "tests/scanner/catalogue/test_maps.py"),
    ),
    Module(
        "infra/store/storage.py",
        (
            "tests/infra/store/test_local_files.py",
            "tests/infra/store/test_storage.py",
            "tests/infra/store/test_s3.py",
            "tests/infra/store/test_posix.py",
        ),
    ),
    Module(
        "scanner/workers/dispatch.py", ("tests/scanner/workers/test_dispatch.py", "tests/scanner/workers/test_scan_plan.py")
    ),
    Module("scanner/workers/retry_state.py", ("tests/scanner/workers/test_retry_state.py",)),
    Module(
        "scanner/scan/sweep.py",
        (
            "tests/scanner/scan/test_sweep.py",
            "tests/scanner/scan/test_best_candidates.py",
            "tests/scanner/scan/test_early_exit_scan.py",
        ),
    ),
    Module(
        "scanner/scan/committee_sweep.py",
        ("tests/scanner/scan/test_committee_sweep.py", "tests/scanner/scan/test_candidate_scan.py"),
        _PER_LATER_MODULE,
    ),
    Module("scanner/explain/occlusion.py", ("tests/scanner/explain/test_occlusion.py",)),
    Module(
        "scanner/explain/gradcam.py", ("tests/scanner/explain/test_gradcam.py", "tests/scanner/explain/test_candidate_maps.py")
    ),
    Module("training/fit.py", ("tests/training/test_fit.py", "tests/training/test_resume.py")),
    Module("training/fit_state.py", ("tests/training/test_fit.py", "tests/training/test_resume.py")),
    Module("training/evaluation/metrics.py", ("tests/training/evaluation/test_metrics.py",)),
    Module("training/tsne.py", ("tests/training/test_tsne.py",)),
    Module(
        "scanner/scan/unit.py",
        (
            "tests/scanner/scan/test_unit.py",
            "tests/scanner/scan/test_open_unit.py",
            "tests/scanner/workers/test_unit_scanner.py",
            "tests/scanner/scan/test_sweep.py",
        ),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/scan/open_unit.py",
        ("tests/scanner/scan/test_open_unit.py", "tests/scanner/scan/test_unit.py", "tests/scanner/scan/test_skipped_rows.py"),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/scan/row_selection.py",
        ("tests/scanner/scan/test_row_selection.py", "tests/scanner/scan/test_open_unit.py"),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/scan/scoring.py",
        (
            "tests/scanner/scan/test_scoring.py",
            "tests/scanner/scan/test_unit.py",
            "tests/scanner/scan/test_sweep.py",
            "tests/scanner/scan/test_best_candidates.py",
            "tests/scanner/scan/test_cascade_scan.py",
            "tests/scanner/scan/test_early_exit_scan.py",
            "tests/scanner/workers/test_unit_scanner.py",
        ),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/workers/unit_scanner.py",
        ("tests/scanner/workers/test_unit_scanner.py",),
        _PER_LATER_MODULE,
    ),
    Module(
        "infra/store/s3.py",
        (
            "tests/infra/store/test_s3.py",
            "tests/infra/store/test_storage.py",
            "tests/infra/store/test_copies.py",
            "tests/faults/test_store_sums.py",
            "tests/faults/test_store_replies.py",
        ),
        _PER_LATER_MODULE,
    ),
    Module(
        "simulation/products/render.py",
        ("tests/simulation/products/test_render.py", "tests/simulation/products/test_simulated_objects.py"),
        _PER_LATER_MODULE,
    ),
    Module(
        "training/publish.py",
        ("tests/training/test_publish.py", "tests/training/test_build.py"),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/networks/cascade.py",
        (
            "tests/scanner/networks/test_cascade.py",
            "tests/scanner/networks/test_early_exit.py",
            "tests/scanner/networks/test_candidate_network.py",
        ),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/networks/feature_reference.py",
        ("tests/scanner/networks/test_feature_reference.py", "tests/training/test_feature_reference.py"),
        _PER_LATER_MODULE,
    ),
    Module(
        "scanner/catalogue/gate.py",
        ("tests/scanner/catalogue/test_gate.py", "tests/scanner/quality/test_assess.py"),
        _PER_LATER_MODULE,
    ),
    Module("scanner/catalogue/verdicts.py", ("tests/scanner/catalogue/test_verdicts.py",), _PER_LATER_MODULE),
    Module("scanner/quality/pixel_checks.py", ("tests/scanner/quality/test_pixel_checks.py",), _PER_LATER_MODULE),
    Module("scanner/quality/score_checks.py", ("tests/scanner/quality/test_score_checks.py",), _PER_LATER_MODULE),
    Module("scanner/quality/tile_checks.py", ("tests/scanner/quality/test_tile_checks.py",), _PER_LATER_MODULE),
    Module("scanner/completeness.py", ("tests/scanner/test_completeness.py",), _PER_LATER_MODULE),
    Module("scanner/stability.py", ("tests/scanner/test_stability.py",), _PER_LATER_MODULE),
    Module("scanner/review/yields/conformal.py", ("tests/scanner/review/yields/test_conformal.py",), _PER_LATER_MODULE),
    Module("scanner/review/yields/prevalence.py", ("tests/scanner/review/yields/test_prevalence.py",), _PER_LATER_MODULE),
)
