"""Requests of a scan and the plans that follow from them."""

from datetime import date

import pytest
from pydantic import ValidationError

from scanner.catalogue.plan import ScanConfig
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest, plan_scan, shown_threshold
from tests.tiles import write_tile

FIRST = SHIPPED_DIR / "mer3-sim"


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    write_tile(folder, 1, 2)
    return str(folder)


def request_of(tiles, **options):
    return ScanRequest(input_uri=tiles, night=date(2026, 11, 24), package=FIRST, **options)


def test_a_bare_request_takes_the_threshold_of_the_card(tiles):
    plan = plan_scan(request_of(tiles))
    card = read_card(FIRST)
    assert (plan.night, plan.ensemble_name, plan.ensemble_sha256) == ("2026-11-24", card.name, card.sha256)
    assert [unit.n_rows for unit in plan.units] == [2]
    assert plan.config == ScanConfig(candidate_threshold=2 * card.assumed_prevalence, maps_per_unit=100)


def test_every_option_of_a_request_is_in_the_plan(tiles):
    options = {"candidate_threshold": 0.0005, "engine": "torch", "exact": True, "maps_per_unit": 7}
    plan = plan_scan(request_of(tiles, **options))
    assert plan.config == ScanConfig(candidate_threshold=0.0005, engine="torch", sweep=False, maps_per_unit=7)


def test_a_threshold_above_the_ensembles_own_changes_no_plan(tiles):
    own = plan_scan(request_of(tiles))
    for threshold in (0.001, 0.25, 1.0):
        request = request_of(tiles, candidate_threshold=threshold)
        assert plan_scan(request) == own
        assert shown_threshold(request) == threshold
    assert plan_scan(request_of(tiles, candidate_threshold=0.0009)).plan_id != own.plan_id
    assert shown_threshold(request_of(tiles)) == own.config.candidate_threshold == 0.001


def test_a_plan_goes_as_deep_as_the_deep_cut(tiles):
    cascade = SHIPPED_DIR / "mer3-cascade"
    card = read_card(cascade)
    own = None
    for asked, shown in ((None, card.default_cut), ("list", card.default_cut), ("deep", card.deep_cut), (0.001, 0.001)):
        request = ScanRequest(input_uri=tiles, package=cascade, candidate_threshold=asked)
        assert shown_threshold(request) == shown
        plan = plan_scan(request)
        assert plan.config.candidate_threshold == card.deep_cut
        assert plan == (own := own or plan)


def test_a_survey_without_nights_is_planned_without_one(tiles):
    request = ScanRequest(input_uri=tiles, package=FIRST)
    assert (request.night, plan_scan(request).night) == (None, None)


def test_a_relative_input_gives_the_same_plan(tiles, monkeypatch):
    monkeypatch.chdir(tiles)
    assert plan_scan(request_of(".")).plan_id == plan_scan(request_of(tiles)).plan_id


@pytest.mark.parametrize(
    ("name", "lowest", "highest", "step"),
    [("candidate_threshold", 0.0, 1.0, 1e-9), ("maps_per_unit", 0, 1000, 1)],
)
def test_a_value_out_of_range_is_refused(name, lowest, highest, step):
    for value in (lowest, highest):
        assert getattr(request_of("tiles", **{name: value}), name) == value
    for value in (lowest - step, highest + step):
        with pytest.raises(ValidationError, match=f"(?s){name}.*should be (less|greater) than or equal to"):
            request_of("tiles", **{name: value})


def test_a_request_is_frozen_and_knows_its_fields():
    with pytest.raises(ValidationError, match="frozen"):
        request_of("tiles").exact = True
    with pytest.raises(ValidationError, match="Extra inputs"):
        request_of("tiles", thresold=0.5)
