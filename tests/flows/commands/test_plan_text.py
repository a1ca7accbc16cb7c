"""The words and units of `lensscan plan`."""

import pytest

from flows.commands.plan import PlanReport, Prediction
from flows.commands.plan_text import _bytes, _duration, _number, plan_text
from flows.commands.words import named
from scanner.catalogue.units import LeftOut
from scanner.scan.estimate import Measured, estimate
from scanner.scan.expected_candidates import Expectation
from scanner.scan.planned_input import PlannedInput, UnitSize

INPUT = PlannedInput(
    unit_kind="tile",
    survey="euclid-mer",
    bands={band: band for band in ("VIS", "Y", "J", "H")},
    units=3,
    rows=1234,
    rows_selected=1234,
    rows_in_overlaps=0,
    input_bytes=7_120_000_000,
    tiles_left_out=(),
    tiles_without_bands={},
    rows_without_bands=0,
)
MEASURED = Measured(
    unit_id="102018211",
    threads=2,
    n_scored=256,
    n_candidates=9,
    n_shown=31,
    start_s=3.25,
    cut_per_s=2345.6,
    score_per_s=310.2,
    s_per_map=0.0234,
    s_per_photometry=0.0025,
    fetch_bytes_per_s=1.2e8,
    written_bytes_per_row=50,
    written_bytes_per_map=18_000,
    memory_bytes=862_000_000,
)


def lines_of(report):
    return [" ".join(line.split()) for line in plan_text(report).splitlines()]


def test_the_input_is_told_in_words_and_units():
    assert lines_of(PlanReport(ensemble="mer3-sim", input=INPUT)) == [
        "ensemble mer3-sim",
        "input 3 tiles, 1,234 objects, 7.12 GB",
    ]


def test_the_bands_of_another_survey_are_told():
    atlas = INPUT.model_copy(update={"survey": "atlas", "bands": {"VIS": "r", "J": "J"}})
    assert lines_of(PlanReport(ensemble="mer3-sim", input=atlas))[2] == (
        "survey atlas: VIS from r, J; p_lens is calibrated for images like Euclid's only"
    )
    none = INPUT.model_copy(update={"survey": "atlas", "bands": {}})
    assert "atlas: no band that the networks read" in lines_of(PlanReport(ensemble="mer3-sim", input=none))[2]


def test_overlaps_and_incomplete_tiles_are_told():
    changes = {
        "rows_in_overlaps": 260,
        "tiles_left_out": (
            LeftOut(tile="102018211", reason="no_mosaic"),
            LeftOut(tile="102018212", reason="no_catalogue", detail="no catalogue named x"),
            LeftOut(tile="102018213", reason="no_mosaic"),
            LeftOut(tile="102018215", reason="unreadable_catalogue", detail="broken"),
        ),
        "tiles_without_bands": {"102018214": ("H",)},
        "rows_without_bands": 40,
    }
    left_out = (
        "left out 2 tiles with a catalogue and no mosaic: 102018211, 102018213; 1 tile with mosaics and no catalogue: "
        "102018212; 1 tile with a catalogue that cannot be read: 102018215 (broken); a scan leaves them out"
    )
    assert lines_of(PlanReport(ensemble="mer3-sim", input=INPUT.model_copy(update=changes)))[2:] == [
        "overlaps tiles overlap: 260 further entries of the same objects; a scan scores each object once",
        left_out,
        "incomplete 1 tile lacks a mosaic: 102018214 (H); a scan rejects its 40 objects",
    ]


def test_the_cause_of_the_first_unreadable_catalogue_is_told():
    causes = {"1": "cut short\nat byte 7", "2": "no table"}
    found = tuple(LeftOut(tile=tile, reason="unreadable_catalogue", detail=cause) for tile, cause in causes.items())
    lines = lines_of(PlanReport(ensemble="mer3-sim", input=INPUT.model_copy(update={"tiles_left_out": found})))
    says = "2 tiles with a catalogue that cannot be read: 1, 2 (the first: cut short at byte 7); a scan leaves them out"
    assert lines[2] == f"left out {says}"


def test_one_tile_with_one_object_is_told_in_the_singular():
    changes = {
        "tiles_left_out": (LeftOut(tile="7", reason="no_mosaic"),),
        "tiles_without_bands": {"8": ("Y", "H")},
        "rows_without_bands": 1,
    }
    assert lines_of(PlanReport(ensemble="mer3-sim", input=INPUT.model_copy(update=changes)))[2:] == [
        "left out 1 tile with a catalogue and no mosaic: 7; a scan leaves it out",
        "incomplete 1 tile lacks a mosaic: 8 (Y, H); a scan rejects its 1 object",
    ]


def test_no_more_than_ten_tiles_are_named():
    assert named([str(i) for i in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert named(["a"]) == "a"


def report_of(**changes):
    told = {
        "measured": MEASURED,
        "estimate": estimate(MEASURED, [UnitSize(20_000, 6 * 10**9)] * 1000, 8, maps_per_unit=100),
        "is_of_input": False,
        "threshold": 0.001,
        "candidates_by_sample": Expectation(value=703_125, low=371_000, high=1_310_000),
        "candidates_by_evaluation": Expectation(value=701_464, low=633_641, high=776_339),
        "price_per_core_hour": 0.05,
        "cost": 12.345,
    }
    return PlanReport(ensemble="mer3-sim", input=INPUT, prediction=Prediction(**{**told, **changes}))


def test_the_prediction_names_machine_cost_and_candidates():
    found = lines_of(report_of())[2:]
    assert found[:9] == [
        "",
        "Measured on this machine with tile 102018211",
        "start 3.2 s until the networks are loaded",
        "read 120 MB per second (a file that was read before comes from memory)",
        "cut out 2,350 objects per second on one core",
        "score 310 objects per second on 2 cores",
        "candidates 31 of the 256 objects scored have p_lens ≥ 0.001",
        "photometry 2.5 ms per candidate",
        "maps 23 ms and 36 kB per candidate",
    ]
    # A unit takes 4.3 s of two cores to cut, 64.5 to score, 1.8 to measure its 703 candidates and 2.3 to map a hundred of them,
    # so 72.8 s; 125 follow one another.
    assert found[9:] == [
        "",
        "Predicted for 1,000 tiles like it, with 8 workers of 2 cores",
        "objects 20,000,000",
        "time 2.53 h (computing takes longest)",
        "computing 40.5 core hours",
        "download 6 TB, if the input lies in a store; the store's provider may charge for it",
        "catalogue 4.6 GB, with maps of 100,000 candidates",
        "memory 862 MB per worker, 6.9 GB together",
        "cost 12.3 = 40.5 core hours x 0.05, without the download",
        "candidates at p_lens ≥ 0.001, most of them no lenses at a low threshold",
        "as in the measured objects about 703,000 (95 %: 371,000 to 1,310,000)",
        "as in the ensemble's evaluation about 701,000 (95 %: 634,000 to 776,000); it holds more look-alikes than the sky",
    ]


def test_an_unknown_number_of_candidates_is_said():
    found = lines_of(report_of(candidates_by_sample=None, candidates_by_evaluation=None, cost=None, is_of_input=True))
    assert "Predicted for this input, with 8 workers of 2 cores" in found
    assert found[-1].startswith("candidates: unknown; ")
    assert not [line for line in found if line.startswith("cost")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_bytes(0), "0 bytes"),
        (_bytes(999.4), "999 bytes"),
        (_bytes(999.6), "1 kB"),
        (_bytes(23_060_160), "23.1 MB"),
        (_bytes(2.34e15), "2,340 TB"),
        (_number(0.0147), "0.0147"),
        (_number(12.0), "12"),
        (_number(123.4), "123"),
        (_number(56_789), "56,800"),
        (_duration(0.005), "18 s"),
        (_duration(0.5), "30 min"),
        (_duration(31.25), "31.2 h"),
    ],
)
def test_numbers_have_three_digits_and_units(text, expected):
    assert text == expected
