"""Every option gives the same rows on every path that answers it, before and after promotion and forgetting, by brute force."""

import json
import shutil

import numpy as np
import pytest

from scanner.catalogue.audit.forget import forget_plan
from scanner.catalogue.export import export
from scanner.catalogue.night_file import show
from scanner.catalogue.query import find, query
from scanner.catalogue.selection import Circle
from scanner.catalogue.wanted import Wanted
from scanner.review.report.listed import Listed
from scanner.review.vetting.candidates import gradable_rows
from scanner.review.vetting.errors import VettingError
from tests.scanner.catalogue_parts import finished

FIRST, SECOND = "2026-11-24", "2026-11-25"
CIRCLE = Circle(ra_deg=10.0, dec_deg=-45.0, radius_deg=0.5)
LEAST = {"old": 0.5, "held": 0.5, "late": 0.75, "gone": 0.5}
"""Smallest `p_lens` that each plan shows."""
OLDEST_LAST = {FIRST: ("gone", "held", "old"), SECOND: ("late",)}
CUTS = (None, 0.125, 0.625, 0.875)
"""Below the thresholds of all nights, between them, and above."""
CONDITIONS = (
    {},
    {"night": FIRST},
    {"night": SECOND, "limit": 3},
    {"subclass": "double_ring"},
    {"circle": CIRCLE},
    {"night": FIRST, "subclass": "single", "circle": CIRCLE, "limit": 2},
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a catalogue in which one plan waits, all of its unit rows, and its plans by name."""
    root, rng = str(tmp_path_factory.mktemp("options") / "catalogue"), np.random.default_rng(3)
    rows, plans = [], {}

    def scanned(name, night, units, **options):
        unit_rows = []
        for unit, ids in units.items():
            # Each value lies on a cut or between two, and is exact in float32.
            p_lens = rng.choice([0.25, 0.5, 0.5625, 0.625, 0.6875, 0.75, 0.8125, 0.9375], len(ids)).tolist()
            unit_rows += [{"object_id": i, "p_lens": p, "tile": unit} for i, p in zip(ids, p_lens, strict=True)]
        of_unit = len(next(iter(units.values())))
        places = {"ra": rng.uniform(9, 11, of_unit).tolist(), "dec": rng.uniform(-46, -44, of_unit).tolist()}
        changes = places | {"subclass": rng.choice(["single", "double_ring"], of_unit).tolist()}
        scored = {unit: {row["object_id"]: row["p_lens"] for row in unit_rows if row["tile"] == unit} for unit in units}
        plans[name] = finished(root, scored, night=night, changes=changes, maps_per_unit=99, candidate_threshold=0.5, **options)
        for place, row in enumerate(unit_rows):
            at = {column: values[place % of_unit] for column, values in changes.items()}
            rows.append({"plan": name, "night": night, "plan_id": plans[name].plan_id, **row, **at})

    with pytest.MonkeyPatch.context() as patch:
        for version, (name, night, units, options) in enumerate(
            (
                ("old", FIRST, {"a": range(12), "b": range(12, 24)}, {}),
                ("late", SECOND, {"a": range(6, 18), "c": range(40, 52)}, {"shown": 0.75}),
                ("held", FIRST, {"a": range(12), "d": range(14, 26)}, {"gate": True}),
                ("gone", FIRST, {"b": range(12, 24)}, {"gate": True}),
            )
        ):
            patch.setattr("scanner.catalogue.plan.code_version", lambda version=version: f"0.{version}")
            scanned(name, night, units, **options)
    return root, rows, plans


@pytest.fixture(scope="module", params=["held", "promoted", "forgotten"])
def stage(request, made, tmp_path_factory):
    """Return a copy of the catalogue in a state, its unit rows, and the names of the plans that its nights show."""
    source, rows, plans = made
    root = str(tmp_path_factory.mktemp("stage") / "catalogue")
    shutil.copytree(source, root)
    shown = {"old", "late"}
    if request.param != "held":
        show(plans["held"], root)
        shown.add("held")
    if request.param == "forgotten":
        show(plans["gone"], root)
        forget_plan(plans["gone"].plan_id, root, shown=True)
        rows = [row for row in rows if row["plan"] != "gone"]
    return root, rows, shown, plans


def visible(rows, shown):
    """Return the rows that nights show: those of the newest plan that looked at an object."""
    newest = {}
    for night, names in OLDEST_LAST.items():
        for name in reversed([name for name in names if name in shown]):
            newest |= {(night, row["object_id"]): name for row in rows if row["plan"] == name}
    return [row for row in rows if newest.get((row["night"], row["object_id"])) == row["plan"]]


def brute_force(rows, shown, plans, wanted):
    if wanted.plan is not None:
        rows = [row for row in rows if row["plan_id"].startswith(wanted.plan)]
    elif not wanted.all_plans:
        rows = visible(rows, shown)
    chosen = [row for row in rows if row["p_lens"] >= (LEAST[row["plan"]] if wanted.min_p_lens is None else wanted.min_p_lens)]
    chosen = [row for row in chosen if wanted.night in (None, row["night"]) and wanted.subclass in (None, row["subclass"])]
    if wanted.circle is not None:
        ra, dec, ra0, dec0 = (
            np.radians(values)
            for values in ([r["ra"] for r in chosen], [r["dec"] for r in chosen], CIRCLE.ra_deg, CIRCLE.dec_deg)
        )
        cosine = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
        chosen = [row for row, is_near in zip(chosen, cosine >= np.cos(np.radians(CIRCLE.radius_deg)), strict=True) if is_near]
    return sorted((-row["p_lens"], row["object_id"], row["plan_id"]) for row in chosen)


def keys(rows):
    return [(-row["p_lens"], row["object_id"], row["plan_id"]) for row in rows]


def asked(plans):
    """Yield conditions on all paths: what nights show, every plan, and one plan."""
    for path in ({}, {"all_plans": True}, {"plan": plans["old"].plan_id[:16]}):
        for conditions in CONDITIONS:
            yield from (Wanted(**path, **conditions, min_p_lens=cut) for cut in CUTS)


def test_queries_are_those_of_brute_force(stage):
    root, rows, shown, plans = stage
    for wanted in asked(plans):
        expected, found = brute_force(rows, shown, plans, wanted), find(root, wanted)
        # Rows of equal p_lens and object come in the order of nights or plans.
        best = keys(found.rows.to_pylist())
        assert [key[:2] for key in best] == [key[:2] for key in expected][: wanted.limit], wanted
        assert set(best) <= set(expected), wanted
        assert found.n_all == len(expected), wanted


def test_files_lists_and_grading_follow_the_same_options(stage, tmp_path):
    root, rows, shown, plans = stage
    for n, wanted in enumerate(wanted for wanted in asked(plans) if wanted.min_p_lens == 0.625):
        expected = brute_force(rows, shown, plans, wanted)
        path = tmp_path / f"{n}.json"
        export(query(root, wanted), path, root)
        assert [key[:2] for key in sorted(keys(json.loads(path.read_text())))] == [key[:2] for key in expected][: wanted.limit]
        objects = list(dict.fromkeys(key[1] for key in expected))
        if wanted.limit is None:
            listed = Listed.of(root, wanted, 7)
            assert (listed.rows["object_id"].to_pylist(), listed.n_objects) == (objects[:7], len(objects)), wanted
        try:
            graded = [row["object_id"] for row in gradable_rows(root, wanted)]
        except VettingError:
            graded = []
        assert graded == objects[: wanted.limit], wanted


@pytest.mark.parametrize("view", ["scores", "candidates"])
def test_sql_sees_the_rows_of_brute_force(stage, view):
    root, rows, shown, plans = stage
    for wanted in (
        Wanted(),
        Wanted(all_plans=True),
        *(Wanted(plan=plans[name].plan_id[:16]) for name in ("old", "held", "late")),
    ):
        lowest = Wanted(plan=wanted.plan, all_plans=wanted.all_plans, min_p_lens=0.0 if view == "scores" else None)
        found = query(root, wanted, sql=f"SELECT p_lens, object_id, plan_id FROM {view}").to_pylist()  # noqa: S608
        assert sorted(keys(found)) == brute_force(rows, shown, plans, lowest), wanted
