from flows.commands.scan_text import scan_lines
from tests.flows.night_summaries import night_summary


def test_an_ensemble_without_a_calibration_gives_no_probability():
    assert scan_lines(night_summary())["candidates"] == "14 with p_lens of at least 0.5"
    found = scan_lines(night_summary(prevalence=None))["candidates"]
    assert found == "14 with p_lens of at least 0.5; the ensemble is not calibrated, so p_lens is no probability"
