import json
import math
import subprocess
import sys

import pytest

from scanner.networks.engines import fast_precision, resolve_engine
from tests.benchmarks.figures import PARTS
from tests.benchmarks.limit import LAYOUTS
from tests.benchmarks.sizes import SHORT

MEASURED = ("scan", "simulation", "night_cost", "training")


def only_where_the_sweep_is_fast():
    limits = [f"limit_float32_{layout}_per_s_{short}" for layout in LAYOUTS for short in SHORT.values()]
    return {"over_paper_loop_bfloat16", "paper_loop_largest_difference_bfloat16", *limits}


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1200)
def test_a_quick_run_measures_every_figure_of_its_parts(tmp_path):
    out = tmp_path / "results.json"
    expected = {name for name, part in PARTS.items() if part in MEASURED}
    if fast_precision(resolve_engine("auto")) is None:
        expected -= only_where_the_sweep_is_fast()

    command = [sys.executable, "-m", "tests.benchmarks.run", "--quick", "--parts", *MEASURED, "--out", str(out)]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    # A rate may exceed its limit in a measurement as short as this.
    above_its_limit = done.returncode == 1 and "\nrates must not exceed the limit, got " in done.stderr
    assert done.returncode == 0 or above_its_limit, done.stderr
    results = json.loads(out.read_text())

    assert expected <= set(results)
    assert all(math.isfinite(results[name]) for name in expected)
    assert all(results[name] > 0 for name in expected if name.endswith(("_per_s", "_flagship", "_seven")))
    assert set(results.pop("machine")["measured"]) == set(MEASURED)
    assert "| actors_over_one_alone |" in out.with_suffix(".md").read_text()
