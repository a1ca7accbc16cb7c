"""Tests mirror the rooms, share nothing with one another, and have short names."""

import ast

from tests.sources import PACKAGES, ROOT, imported_modules

MAX_LINES = 80
"""Largest number of lines of a source file that needs no test file of its own."""
MAX_WORDS = 10
WITHOUT = {
    "flows/cli/audit.py": "tests/flows/test_auditing.py runs its commands",
    "flows/cli/explain.py": "tests/flows/test_explaining.py and test_portraying.py run its commands",
    "flows/cli/main.py": "tests/flows/test_cli.py runs its commands",
    "flows/cli/models.py": "tests/flows/test_cli.py runs its commands",
    "flows/commands/check_maps.py": "tests/flows/test_checking_maps.py",
    "flows/commands/evaluate.py": "tests/flows/test_cli.py runs the command",
    "flows/commands/explain.py": "tests/flows/test_explaining.py",
    "flows/commands/portray.py": "tests/flows/test_portraying.py",
    "flows/terminal.py": "every test that runs a command",
    "infra/store/posix.py": "tests/infra/store/test_local_files.py",
    "infra/store/s3.py": "tests/infra/store/test_storage.py and test_listing.py",
    "infra/store/s3_client.py": "tests/infra/store/test_storage.py",
    "scanner/explain/portrait_figures.py": "tests/scanner/explain/test_portraits.py",
    "scanner/files/fits_compression.py": "tests/faults/test_unfolding_fits.py",
    "scanner/files/fits_hdus.py": "tests/scanner/files/test_fits_image.py",
    "scanner/files/fits_source_table.py": "tests/scanner/sources/test_tiles.py",
    "scanner/files/fits_stream.py": "tests/scanner/sources/test_tile_damage.py",
    "scanner/files/parquet_checked.py": "tests/faults/test_hostile_parquet.py",
    "scanner/files/parquet_pages.py": "tests/faults/test_hostile_parquet.py",
    "scanner/files/parquet_thrift.py": "tests/faults/test_hostile_parquet.py",
    "scanner/files/wcs_client.py": "tests/faults/test_coordinates.py",
    "scanner/files/wcs_worker.py": "tests/faults/test_coordinates.py",
    "scanner/networks/card.py": "tests/scanner/networks/test_package.py",
    "scanner/networks/openvino_graph.py": "tests/scanner/networks/test_openvino_engine.py",
    "scanner/sources/mosaics.py": "tests/scanner/sources/test_tile_batches.py",
    "simulation/injection/tiles.py": "tests/simulation/injection/test_cutouts.py",
    "simulation/optics/light_kernels.py": "tests/simulation/optics/test_light.py",
    "simulation/population/crowds.py": "tests/simulation/population/test_galaxies.py",
    "simulation/population/forecast_fit.py": "tests/simulation/population/test_forecast.py",
    "simulation/population/forecast_rows.py": "tests/simulation/population/test_forecast.py",
    "simulation/population/rings.py": "tests/simulation/population/test_galaxies.py",
    "simulation/population/shapes.py": "tests/simulation/population/test_galaxies.py",
    "simulation/products/mer_files.py": "tests/simulation/products/test_survey_tile.py",
    "simulation/products/mosaic.py": "tests/simulation/products/test_survey_tile.py",
    "simulation/systems.py": "tests/simulation/population/test_galaxies.py and test_draw.py",
    "training/checkpoint.py": "tests/training/test_resume.py",
    "training/config.py": "tests/training/test_train_command.py",
    "training/evaluation/card_text.py": "tests/training/evaluation/test_map_checks.py",
    "training/evaluation/evaluation_plots.py": "tests/training/evaluation/test_evaluate.py",
    "training/evaluation/evaluation_text.py": "tests/training/evaluation/test_evaluate.py",
    "training/evaluation/map_curves.py": "tests/training/evaluation/test_map_checks.py",
    "training/evaluation/map_measures.py": "tests/training/evaluation/test_map_checks.py",
    "training/evaluation/map_text.py": "tests/training/evaluation/test_map_checks.py",
    "training/evaluation/relevance.py": "tests/training/evaluation/test_map_checks.py",
    "training/publish.py": "tests/training/test_build.py",
}
"""Maps each longer source file without a test file of its name to what tests it instead; the list may only become shorter."""


SHARED = {
    "tests.scanner.explain.test_occlusion": "five test files of the room take their small networks from it",
    "tests.training.evaluation.test_calibrate": "the tests of combiners draw from the same known distributions",
}
"""Maps each test file from which other test files import to the reason; what they share belongs in a file beside them."""


def names_of_tests(source):
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [function.name for function in functions if function.name.startswith("test_")]


def without_test(root):
    """Return the paths of the long source files under `root` that have no test file of their name."""
    sources = (path.relative_to(root) for package in PACKAGES for path in (root / package).rglob("*.py"))
    long = [path for path in sources if len((root / path).read_text().splitlines()) > MAX_LINES]
    return {str(path) for path in long if not (root / "tests" / path.with_name(f"test_{path.name}")).is_file()}


def test_every_long_source_file_has_its_test_file():
    assert sorted(without_test(ROOT) - set(WITHOUT)) == []


def test_only_files_without_a_test_file_are_listed():
    assert sorted(set(WITHOUT) - without_test(ROOT)) == []


def test_test_names_have_at_most_ten_words():
    names = [name for path in (ROOT / "tests").rglob("test_*.py") for name in names_of_tests(path.read_text())]
    assert [name for name in names if len(name.split("_")) - 1 > MAX_WORDS] == []


def test_no_test_file_imports_another():
    modules = {m for path in (ROOT / "tests").rglob("*.py") for m in imported_modules(path.read_text())}
    assert {m for m in modules if m.startswith("tests.") and ".test_" in m} == set(SHARED)


def test_a_long_file_without_its_test_file_is_found(tmp_path):
    for name, n_lines in {"long": 81, "short": 80, "tested": 81}.items():
        source = tmp_path / "scanner" / "files" / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("pass\n" * n_lines)
    tests = tmp_path / "tests" / "scanner" / "files"
    tests.mkdir(parents=True)
    (tests / "test_tested.py").touch()
    (tests.parent / "test_long.py").touch()
    assert without_test(tmp_path) == {"scanner/files/long.py"}
