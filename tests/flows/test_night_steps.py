"""The steps of nights: what is done already is left out, and a bad night keeps no other away."""

import logging
from contextlib import nullcontext
from datetime import date

import pytest

import flows.many_nights
import flows.night_steps
from flows.commands.backfill import BackfillError
from flows.commands.scan_options import ScanOptions
from flows.many_nights import many_nights
from flows.night_steps import GateRefusedError, gated_order, night_steps, refuse
from infra.errors import ClusterError
from scanner.catalogue.gate import is_waiting
from scanner.catalogue.visible import selected_plans
from scanner.hats.versions import versions_of
from tests.flows.night_summaries import night_summary
from tests.scanner.quality.scanned import scanned, write_night

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
OPTIONS = ScanOptions(publish_to="ignored")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return input and catalogue; scans have drawn scores, and no step asks Prefect, which would start a server."""
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    for module in (flows.night_steps, flows.many_nights):
        monkeypatch.setattr(module, "flow_progress", lambda *_: nullcontext(lambda *_: None))
        monkeypatch.setattr(module, "show_summary", lambda *_: None)
        monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger(__name__))
    monkeypatch.setattr(flows.night_steps, "retried", lambda _name, step: step())
    monkeypatch.setattr(flows.night_steps, "scan_step", scan)
    for seed, night in enumerate((FIRST, SECOND)):
        write_night(tmp_path / "tiles" / str(night), seed)
    return f"{tmp_path}/tiles/{{night}}", f"{tmp_path}/catalogue"


def scan(order, _submit_to):
    assert order.options.gate
    assert order.options.publish_to is None
    if order.night.day > 2:
        raise ClusterError("the cluster is away") if order.night.day == 3 else PermissionError("the folder is closed")
    plan = scanned(order.root_uri, order.tiles_uri, order.label)
    awaits_gate = is_waiting(plan, order.root_uri)
    return night_summary(
        night=plan.night, plan_id=plan.plan_id, n_rows=plan.n_rows, n_candidates=0, candidates_uri="", awaits_gate=awaits_gate
    )


def one(places, night=FIRST, **changes):
    wanted = {"publish_to": None, "reference_night": None, "limits": None, "submit_to": None, **changes}
    return night_steps(gated_order(*places, night, OPTIONS), **wanted)


def test_a_good_night_is_promoted_once_and_published(places, tmp_path):
    collection = str(tmp_path / "collection")
    first = one(places)
    assert (first.outcome, first.night, first.published) == ("promoted", "2026-01-01", None)
    assert [plan.plan_id for plan in selected_plans(places[1])] == [first.plan_id]
    # A run that ended before its publication is completed by the next one.
    again = one(places, publish_to=collection)
    assert again.outcome == "seen before"
    assert [version.version for version in versions_of(collection)] == [again.published]
    assert one(places).outcome == "seen before"


def test_a_refused_night_ends_its_run_with_the_reason(places, tmp_path):
    one(places)
    limits = tmp_path / "limits.toml"
    limits.write_text(
        "counts_ratio = 1.0001\nsky_noise_ratio = 1.0000001\nsky_level_sigma = 1e-9\npsf_width_ratio = 1.0000001\n"
    )
    for path in (tmp_path / "tiles" / str(SECOND)).glob("*MOSAIC-VIS*"):
        path.unlink()
    result = one(places, SECOND, limits=str(limits))
    assert result.outcome == "refused"
    assert "2 tiles lack a band (VIS in 2)" in result.why
    with pytest.raises(GateRefusedError, match="night 2026-01-02 has failed its quality gate: 2 tiles lack a band"):
        refuse(result)
    refuse(one(places))


def test_a_bad_night_keeps_no_other_away(places, tmp_path):
    nights = [date(2026, 1, 3), FIRST, SECOND]
    with pytest.raises(BackfillError, match="1 of 3 nights are not shown: 2026-01-03 failed: the cluster is away"):
        many_nights(nights, *places, OPTIONS, publish_to=str(tmp_path / "collection"), limits=None, submit_to=None)
    assert {plan.plan_id for plan in selected_plans(places[1])} == {one(places, night).plan_id for night in (FIRST, SECOND)}
    closed = [date(2026, 1, 4), FIRST]
    with pytest.raises(BackfillError, match="1 of 2 nights are not shown: 2026-01-04 failed: the folder is closed"):
        many_nights(closed, *places, OPTIONS, publish_to=str(tmp_path / "collection"), limits=None, submit_to=None)
    done = many_nights(nights[1:], *places, OPTIONS, publish_to=str(tmp_path / "c"), limits=None, submit_to=None)
    assert [result.outcome for result in done] == ["seen before"] * 2
