"""A nightly run whose input is the same for all nights is refused before it scans."""

from datetime import date

import pytest

import flows.nightly
from flows.night_steps import NightResult
from flows.nightly import nightly
from flows.nights import NightsError

NIGHT = date(2026, 11, 24)


@pytest.fixture
def done(monkeypatch):
    """Return the inputs of the nights that are done, without a server of Prefect."""
    found = []

    def steps(order, **_):
        found.append(order.tiles_uri)
        return NightResult(night=order.label, outcome="promoted")

    monkeypatch.setattr(flows.nightly, "night_steps", steps)
    return found


def test_a_dated_night_needs_tiles_of_its_own(done):
    with pytest.raises(NightsError, match=r"must hold \{night\}, which stands for the date, got s3://b/tiles; .* night none"):
        nightly.fn("s3://b/tiles", "s3://b/catalogue", NIGHT)
    assert done == []
    nightly.fn("s3://b/tiles/{night}", "s3://b/catalogue", NIGHT)
    assert done == ["s3://b/tiles/2026-11-24"]


def test_a_survey_without_nights_has_one_folder(done):
    nightly.fn("s3://b/tiles", "s3://b/catalogue", "none")
    assert done == ["s3://b/tiles"]
