"""Nights that are left: their tiles are there, and readers do not see them."""

from datetime import date
from pathlib import Path

import pytest

from flows.commands.backfill import BackfillError, nights_to_do
from flows.nights import NightsError, night_of, nights_between
from scanner.catalogue.paths import seal_uri
from scanner.catalogue.shown import shown_plans
from tests.scanner.catalogue_parts import finished

SINCE, UNTIL = date(2026, 2, 27), date(2026, 3, 3)


@pytest.fixture
def places(tmp_path):
    for night in ("2026-02-26", "2026-02-27", "2026-02-28", "2026-03-02", "2026-03-03"):
        (tmp_path / "tiles" / night).mkdir(parents=True)
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9}}, night="2026-02-28")
    finished(root, {"a": {2: 0.9}}, night="2026-03-02", gate=True)
    return f"{tmp_path}/tiles/{{night}}", root


def test_seen_nights_and_nights_without_tiles_are_left_out(places):
    nights = list(nights_between(SINCE, UNTIL))
    assert len(nights) == 5
    # The scan of 2 March waits for its gate, and nobody has taken tiles on 1 March.
    assert [str(night) for night in nights_to_do(*places, nights)] == ["2026-02-27", "2026-03-02", "2026-03-03"]
    again = nights_to_do(*places, nights, again=True)
    assert [str(night) for night in again] == ["2026-02-27", "2026-02-28", "2026-03-02", "2026-03-03"]


def test_a_night_whose_scans_were_forgotten_is_done_again(places):
    input_uri, root = places
    (plan,) = shown_plans(root)["2026-02-28"]
    Path(seal_uri(root, plan.plan_id)).unlink()
    assert date(2026, 2, 28) in nights_to_do(input_uri, root, list(nights_between(SINCE, UNTIL)))


def test_an_input_without_nights_is_refused(places):
    with pytest.raises(BackfillError, match=r"the input must hold \{night\}"):
        nights_to_do("tiles", places[1], [SINCE])
    with pytest.raises(NightsError, match="until must not be before since, 2026-03-03, got 2026-02-27"):
        list(nights_between(UNTIL, SINCE))


def test_the_night_of_a_run():
    assert night_of(None, SINCE) == SINCE
    assert night_of("2026-03-03", SINCE) == night_of(UNTIL, SINCE) == UNTIL
    assert night_of("none", SINCE) is None
