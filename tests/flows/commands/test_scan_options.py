"""The options of a scan are the flow's parameters, with the same types and defaults, and survive JSON."""

from datetime import date
from inspect import signature

import pytest
from pydantic import ValidationError

from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.scan_night import scan_night

NIGHT = date(2026, 1, 3)
OF_ORDER = {"input_uri", "root_uri", "night"}


def test_each_option_is_a_parameter_of_the_flow():
    parameters = dict(signature(scan_night.fn).parameters)
    assert parameters.keys() - OF_ORDER - {"submit_to"} == ScanOptions.model_fields.keys()
    for name, field in ScanOptions.model_fields.items():
        assert parameters[name].default == field.default, name


def test_an_order_survives_json():
    options = ScanOptions(tiles=("1", "2"), region=(1.0, -2.0, 0.5), engine="torch", gate=True, candidate_threshold=0.25)
    order = ScanOrder(input_uri="tiles/{night}", root_uri="root", night=NIGHT, options=options)
    assert ScanOrder.model_validate_json(order.model_dump_json()) == order
    assert ScanOrder.model_validate_json(order.model_dump_json(exclude_defaults=True)) == order


def test_the_night_stands_in_the_input():
    order = ScanOrder(input_uri="tiles/{night}/x", root_uri="root", night=NIGHT)
    assert (order.label, order.tiles_uri) == ("2026-01-03", "tiles/2026-01-03/x")
    assert order.model_copy(update={"night": None}).tiles_uri == "tiles/undated/x"


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"candidate_threshold": 2}, {"engine": "tpu"}, {"nosuch": 1}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ScanOptions(**wrong)
