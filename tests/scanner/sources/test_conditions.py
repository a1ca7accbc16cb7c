"""A condition selects the rows that numpy selects, and reads no more than its columns."""

import numpy as np
import pyarrow as pa
import pytest

from scanner.sources.condition_words import ConditionError
from scanner.sources.conditions import MAX_DEPTH, Condition
from scanner.vocabulary.source_presets import SOURCE_PRESETS
from tests.scanner.source_tables import mer_columns

N = 500
ARRAYS = {name.lower(): array for name, array in mer_columns(N).items()}
F, S, P, Q, T = (ARRAYS[name] for name in ("flux_vis_psf", "spurious_flag", "point_like_prob", "det_quality_flag", "name"))
OK = np.isfinite(F)
POSITIVE = OK & (F > 0)
TABLE = pa.table({name: pa.array(a, mask=~np.isfinite(a)) if a.dtype.kind == "f" else a for name, a in ARRAYS.items()})
with np.errstate(all="ignore"):
    MAG = 23.9 - 2.5 * np.log10(F)
    SELECTED = {
        "flux_vis_psf > 1.5 and spurious_flag = 0 and point_like_prob < 0.5": OK & (F > 1.5) & (S == 0) & (P < 0.5),
        "FLUX_VIS_PSF>1.5 AND Spurious_Flag == 0": OK & (F > 1.5) & (S == 0),
        "not flux_vis_psf > 1.5": OK & ~(F > 1.5),
        "flux_vis_psf > 1.5 or spurious_flag = 1": (OK & (F > 1.5)) | (S == 1),
        "not (flux_vis_psf > 1.5 and spurious_flag = 1)": ~((~OK | (F > 1.5)) & (S == 1)) & (OK | (S != 1)),
        "mag(flux_vis_psf) < 23": POSITIVE & (MAG < 23),
        "flux_vis_psf <= 0 or log10(flux_vis_psf) < 0.3": OK & ((F <= 0) | (np.log10(F) < 0.3)),
        "sqrt(flux_vis_psf) * 2 - 1 > point_like_prob / 2 + 1": OK & (F >= 0) & (np.sqrt(F) * 2 - 1 > P / 2 + 1),
        "point_like_prob between 0.25 and 0.75": (P >= 0.25) & (P <= 0.75),
        "point_like_prob not between 0.25 and 0.75": (P < 0.25) | (P > 0.75),
        "det_quality_flag & 4 = 0": (Q & 4) == 0,
        "det_quality_flag in (1, 2, 3) and name <> 's1'": np.isin(Q, (1, 2, 3)) & (T != "s1"),
        "name in ('s1', 's2') or name > 's5'": np.isin(T, ("s1", "s2")) | (T > "s5"),
        "flux_vis_psf is null": ~OK,
        "flux_vis_psf is not null and -flux_vis_psf > -1": OK & (-F > -1),
        "abs(flux_vis_psf - 1) < 1e-1": OK & (np.abs(F - 1) < 1e-1),
        "1 / spurious_flag = 1": S == 1,
        '"point_like_prob" > 2': np.zeros(N, bool),
        "true": np.ones(N, bool),
        "2 > 3": np.zeros(N, bool),
    }


@pytest.mark.parametrize("text", SELECTED)
def test_the_selected_rows_are_those_of_numpy(text):
    expected = SELECTED[text]
    np.testing.assert_array_equal(Condition(text).mask(TABLE), expected)


def test_a_literal_has_the_precision_of_its_column():
    table = pa.table({"f": pa.array([0.2, 1.1], pa.float32()), "d": [0.2, 1.1]})
    assert Condition("f <= 0.2").mask(table).tolist() == [True, False]
    assert Condition("f in (1.1)").mask(table).tolist() == [False, True]
    assert Condition("d = 1.1").mask(table).tolist() == [False, True]


def test_large_ids_are_compared_exactly():
    table = pa.table({"object_id": [-(2**62) - 1, -(2**62)], "u": pa.array([2**16 - 1, 0], pa.uint16())})
    assert Condition(f"object_id = {-(2**62) - 1}").mask(table).tolist() == [True, False]
    assert Condition("u * 65537 > 4294967294").mask(table).tolist() == [True, False]


def test_spellings_of_a_condition_have_one_text():
    one, other = Condition("Mag( FLUX )<23  AND(a!=1 or\n b in(1,2))"), Condition("mag(flux) < 23 and (a <> 1 or b in (1, 2))")
    assert one.text == other.text == "mag(flux) < 23 and (a <> 1 or b in (1, 2))"
    assert one.columns == other.columns == ("flux", "a", "b")
    assert Condition("name = 'It''s A'").text == "name = 'It''s A'"


def test_an_empty_table_has_no_selected_row():
    assert Condition("flux_vis_psf > 1 and name = 'a' or mag(flux_vis_psf) < 3").mask(TABLE.slice(0, 0)).tolist() == []


def test_a_truth_column_is_a_condition_itself():
    table = pa.table({"star": [True, False, None], "n": [1, 2, 3]})
    assert Condition("star").mask(table).tolist() == [True, False, False]
    assert Condition("not star and n > 1").mask(table).tolist() == [False, True, False]


WRONG = {
    "": "is empty",
    "flux_vis_psf >": "does not expect its end after flux_vis_psf >",
    "flux_vis_psf > 1)": r"does not expect \)",
    "(flux_vis_psf > 1": "does not expect its end",
    "flux_vis_psf > 1 > 2": "does not expect >",
    "flux_vis_psf > 1; drop table x": "cannot be read at '; drop table x'",
    "flux_vis_psf > (select 1)": "does not expect 1 after .*select",
    "read_csv('a') > 1": r"there is no function read_csv\(\), only abs, sqrt, ln, log10, mag",
    "flux_vis_psf = null": "write `is null`",
    "name in ()": r"does not expect \) after",
    "a.b > 1": "cannot be read",
    "a > 99999999999999999999": "99999999999999999999 is too large an integer",
    "a" * 4001: "at most 4000 characters, got 4001",
    "(" * (MAX_DEPTH + 1) + "a > 1" + ")" * (MAX_DEPTH + 1): "nested more than 40 levels deep",
    "flux_vis_psf": "must be true or false for each source, such as flux > 1.5, got a number: flux_vis_psf",
    "name": "got a text",
    "1": "got a number",
    "null": "got null",
    "name > 3": "> compares two numbers or two texts, got a text and a number",
    "flux_vis_psf and true": "and needs a condition, got a number",
    "not name": "not needs a condition, got a text",
    "name + 1 > 2": r"\+ needs a number, got a text",
    "mag(name) > 2": r"mag\(\) needs a number, got a text",
    "flux_vis_psf & 1 = 0": "& needs two integers",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_condition_is_explained_in_one_line(text):
    with pytest.raises(ConditionError, match=WRONG[text]) as found:
        Condition(text).mask(TABLE)
    assert str(found.value).startswith("where: ")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["b or " * 799 + "b", "1 > " + "+".join("1" * 1990), "b in (" + "b," * 900 + "b)"])
def test_a_long_condition_needs_no_deep_stack(text):
    table = pa.table({"b": [True]})
    if "in" in text:
        table = pa.table({"b": [1]})
    assert Condition(text).mask(table).tolist() == ["1 >" not in text]


def test_every_preset_is_a_condition():
    for preset in SOURCE_PRESETS.values():
        columns = {name: [1.0, 300.0] for name in Condition(preset.condition).columns}
        assert Condition(preset.condition).mask(pa.table(columns)).tolist() == [False, False]
    galaxy = {
        "vis_det": 1,
        "spurious_prob": 0.0,
        "segmentation_area": 201,
        "flux_detection_total": 4.0,
        "mumax_minus_mag": -2.0,
        "mu_max": 18.0,
    }
    changes = [{}, {"vis_det": 0}, {"spurious_prob": 0.2}, {"segmentation_area": 200}, {"flux_detection_total": 3.6}]
    changes += [{"mumax_minus_mag": -2.7}, {"mu_max": 14.9}, {"mu_max": None}]
    mask = Condition(SOURCE_PRESETS["lens-hosts"].condition).mask(pa.Table.from_pylist([galaxy | one for one in changes]))
    assert mask.tolist() == [True] + [False] * 7
