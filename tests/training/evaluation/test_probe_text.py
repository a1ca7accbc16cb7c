"""PROBES.md and the line on the card say what the report holds."""

import numpy as np
import pytest

from training.evaluation.probe_gate import DropOut, judge_probes
from training.evaluation.probe_scores import ProbedScores
from training.evaluation.probe_text import probes_line, probes_markdown


def scores(shift, n_noticed=None, centre=3.0):
    odds = centre + np.linspace(-1, 1, 20) + shift
    noticed = None if n_noticed is None else np.arange(20) < n_noticed
    return ProbedScores(1 / (1 + np.exp(-odds)), {"net": 1 / (1 + np.exp(-odds / 2))}, noticed)


@pytest.fixture(scope="module")
def report():
    shift = "one band shifted by 3 arcsec"
    found = {
        kind: {"unchanged": scores(0, 0), "red source": scores(change), "hot pixel": scores(0.1), shift: scores(-5, 19)}
        for kind, change in {"single": -2.0, "compound_arc": -2.0, "double_ring": -0.5}.items()
    }
    five_above = scores(0, 0, -12)
    five_above.p_lens[:5], five_above.is_noticed[:3] = 0.5, True
    found["nonlens"] = {"unchanged": scores(0, 0, -12), "hot pixel": scores(6.45, None, -12), shift: five_above}
    drop_outs = (DropOut(band="Y", how="blank", n=4, n_scored=0, n_stated=4),)
    return judge_probes(found, drop_outs, 0.01, 0)


@pytest.fixture(scope="module")
def lines(report):
    return probes_markdown(report, "ours `abc`", "lensscan evaluate --probes 20").splitlines()


def row(lines, probe):
    """Return the cells of a probe in the first table."""
    found = next(line for line in lines if line.startswith(f"| {probe} |"))
    return [cell.strip() for cell in found[1:-1].split("|")]


def test_a_row_holds_change_shares_kinds_and_limit(lines):
    cells = row(lines, "red source")
    assert cells[1].startswith("-2.00 (")
    assert cells[2].startswith("0.000 → 0.000 (0.000 to ")
    assert cells[3] == "double_ring -0.50 (-0.50 to -0.50)"
    assert cells[4] == "-"
    assert cells[5] == "fall 1.5, lost 0.15"
    assert cells[6] == "no"
    hot = row(lines, "hot pixel")
    assert (hot[3], hot[4], hot[6]) == ("", "0.000 → 0.050", "yes")


def test_shifted_and_missing_bands_have_their_tables(lines):
    shifted = next(line for line in lines if line.startswith("| one band shifted by 3 arcsec | 0.950 ("))
    assert "| 0.150 (" in shifted
    assert shifted.endswith("| 2 of 5 |")
    assert "| Y | blank | 4 | 0 | 4 |" in lines
    assert "| red source | -1.00 |" in lines  # half of the change of log-odds: -2.00 for two kinds of three


def test_the_verdict_names_every_failure(report, lines):
    verdict = lines[lines.index("## Verdict") + 2 : lines.index("## Why these limits") - 1]
    assert [line.removeprefix("- ") for line in verdict] == list(report.failures)
    assert report.exceeded == ("red source",)


def test_the_line_counts_limits_and_names_the_exceeded(report):
    assert probes_line(report) == (
        "4 of 5 limits kept on 20 single, 20 compound_arc, 20 double_ring, 20 nonlens; exceeded: red source."
    )


def test_every_limit_has_its_reason(report, lines):
    reasons = lines[lines.index("## Why these limits") + 2 :]
    assert [line.split(" (")[0] for line in reasons] == [f"- {effect.probe}" for effect in report.effects]
    assert reasons[1] == (
        "- red source (fall 1.5, lost 0.15): the colours of one whole class of sources; half as much again as a tilt by 1 mag "
        "may cost."
    )
