"""The results as tables for people."""

import math
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.figures import GROUPS, Figure, Group

INTRODUCTION = """# Benchmarks

Written by `make bench` and `python -m tests.benchmarks.run --parts ...`. A figure is the median of its rounds, with the least
and the most of them beside it; a figure without these was measured once. The ratios are the results; rates hold only for the
machine below.
"""


def markdown(results: Mapping[str, float], about: Mapping[str, Any]) -> str:
    """Return a table for each group with measured figures."""
    machine = "; ".join(f"{name} {value}" for name, value in about.items() if name != "measured")
    measured = [f"- {part}: {said}" for part, said in about["measured"].items()]
    tables = [_table(group, results) for group in GROUPS if any(figure.name in results for figure in group.figures)]
    return "\n".join([INTRODUCTION, f"{machine}\n", *measured, "", "\n\n".join(tables)]) + "\n"


def beyond_the_limit(results: Mapping[str, float]) -> list[str]:
    """Return the names of ratios to a limit that exceed 1, which shows that it is not a limit."""
    return [
        figure.name
        for group in GROUPS
        for figure in group.figures
        if "_over_limit_" in figure.name and results.get(figure.name, 0) > 1
    ]


def rounded(value: float, least: float | None = None, most: float | None = None) -> str:
    """Format a number with one digit more than its rounds agree on, or three digits without rounds or if they agree."""
    if not value or (least is None and value == int(value)):
        return f"{value:.0f}"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    first = math.floor(math.log10(abs(value)))
    width = 0.0 if least is None or most is None else most - least
    last = first - 2 if width < abs(value) / 1000 else min(math.floor(math.log10(width)), first) - 1
    return f"{round(value, -last):.{max(-last, 0)}f}"


def _table(group: Group, results: Mapping[str, float]) -> str:
    rows = [_row(figure, results) for figure in group.figures if figure.name in results]
    head = ["| figure | | least to most | unit | meaning |", "| --- | ---: | ---: | --- | --- |"]
    return "\n".join([f"## {group.title}\n", f"{group.about}\n", *head, *rows])


def _row(figure: Figure, results: Mapping[str, float]) -> str:
    value = results[figure.name]
    least, most = (results.get(f"{figure.name}_{which}") for which in ("least", "most"))
    between = "" if least is None or most is None else f"{rounded(least, least, most)} to {rounded(most, least, most)}"
    return f"| {figure.name} | {rounded(value, least, most)} | {between} | {figure.unit} | {figure.meaning} |"
