"""The table of what grades have gained: both ensembles on the same objects."""

from typing import Any

from scanner.purity import ValueWithInterval
from training.grade_gain import Compared, GradeGain, Separation


def gain_rows(gain: GradeGain) -> list[dict[str, Any]]:
    """Return two rows, before and after, for the graded objects held out and for the simulated ones."""
    return [
        {"objects": objects, "ensemble": name, "lenses": compared.n_lenses, "others": compared.n_others, **_cells(measured)}
        for objects, compared in (("graded, held out", gain.graded), ("simulated, test split", gain.simulated))
        for name, measured in _both(compared)
    ]


def _both(compared: Compared) -> tuple[tuple[str, Separation | None], ...]:
    return ("before", compared.before), ("after", compared.after)


def _cells(measured: Separation | None) -> dict[str, str]:
    if measured is None:
        return dict.fromkeys(("AUROC", "recall at 1 %", "inspected at 50 %", "inspected at 75 %"), "")
    inspected = {
        f"inspected at {float(share):.0%}".replace("%", " %"): _with_limits(value)
        for share, value in measured.inspected_per_lens.items()
    }
    return {"AUROC": f"{measured.auroc:.3f}", "recall at 1 %": f"{measured.recall_at_1_percent:.2f}", **inspected}


def _with_limits(value: ValueWithInterval) -> str:
    return f"{value.value:.2f} ({value.low:.2f}-{value.high:.2f})"
