"""The regression that corrects a committee's log-odds of a lens, against numbers worked out by hand."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit

from scanner.networks.lens_curve import LensCurve
from scanner.networks.lens_regression import LensRegression, least_looked_at
from tests.scanner.cascades import candidate_stage, lens_regression, stack

MARGINS = {"A": np.array([[1.0, 2.0, 0.5], [-3.0, 0.0, -1.0]]), "B": np.array([[0.0, 1.0, 0.0], [-2.0, -2.0, 3.0]])}


def test_the_log_odds_are_a_multiple_of_the_mean():
    regression = lens_regression(network_share=0.25, slope=0.5, bias=-0.25)
    # exp: 1 + 2 + 5 = 8, and 1 + 1 + 2 = 4.
    margins = np.log([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])
    expected = 0.5 * (0.75 * np.array([3.0, -1.0]) + 0.25 * np.log([8.0, 4.0])) - 0.25
    np.testing.assert_allclose(regression.log_odds(np.array([3.0, -1.0]), margins), expected)


def test_a_second_opinion_is_a_part_of_the_mean():
    regression = lens_regression(network_share=0.25, opinion_share=0.2, slope=2.0, bias=1.0)
    found = regression.log_odds(np.array([4.0]), np.log([[1.0, 2.0, 5.0]]), np.array([-3.0]))
    np.testing.assert_allclose(found, [2 * (0.8 * (0.75 * 4 + 0.25 * np.log(8)) + 0.2 * -3) + 1])


@pytest.mark.parametrize(("share", "of_opinion"), [(0.2, None), (0.0, np.zeros(1))])
def test_a_second_opinion_and_its_weight_belong_together(share, of_opinion):
    with pytest.raises(ValueError, match=f"got the weight {share:g}"):
        lens_regression(opinion_share=share).log_odds(np.zeros(1), np.zeros((1, 3)), of_opinion)


def test_a_curve_corrects_the_straight_line():
    straight = lens_regression(network_share=0.25, slope=0.5, bias=-0.25)
    bent = straight.model_copy(update={"curve": LensCurve(at=(-0.5, 0.5), becomes=(-2.0, 1.0), slopes=(2.0, 0.5))})
    of_committee, margins = np.array([3.0, -2.0]), np.zeros((2, 3))
    expected = straight.log_odds(of_committee, margins)
    np.testing.assert_allclose(expected, 0.5 * (0.75 * of_committee + 0.25 * np.log(3)) - 0.25)
    # Above the last knot, and below the first one.
    np.testing.assert_allclose(
        bent.log_odds(of_committee, margins), [1 + 0.5 * (expected[0] - 0.5), -2 + 2 * (expected[1] + 0.5)]
    )


def test_extreme_margins_count_as_the_clip():
    regression = lens_regression(clip=2.0)
    at_clip, beyond = (regression.log_odds(np.zeros(1), np.array([[m, -m, m]])) for m in (2.0, 50.0))
    assert at_clip == beyond


def test_margins_are_clipped_before_the_kinds_are_added():
    """Each of three kinds counts up to the clip of 2, so that the log-odds of a lens may reach 2 + ln 3."""
    regression = lens_regression(clip=2.0, slope=1.0)
    found = regression.log_odds(np.zeros(2), np.array([[5.0, 2.0, 3.0], [-9.0, -2.0, -3.0]]))
    np.testing.assert_allclose(found, [(2 + np.log(3)) / 2, (-2 + np.log(3)) / 2])


def test_correction_changes_the_probability_of_a_lens_alone():
    committee = stack(("A", "B"))
    of_network = np.log([[1.0, 2.0, 5.0], [0.1, 0.1, 0.2]])
    regression = lens_regression(slope=1.5, bias=-0.25)
    before = committee.combine(MARGINS)
    after = candidate_stage(lens=regression).corrected(committee, {**MARGINS, "K": of_network})
    # Half of the fitted mixture are lenses, and 0.01 of the assumed one.
    shift = logit(0.01) - logit(0.5)
    assert logit(before.p_lens.astype(float)) - shift == pytest.approx(committee.fitted_log_odds(MARGINS), rel=1e-5)
    log_odds = 0.75 * (committee.fitted_log_odds(MARGINS) + np.log([8.0, 0.4])) - 0.25
    np.testing.assert_allclose(after.p_lens, expit(log_odds + shift), rtol=1e-5)
    np.testing.assert_allclose(after.kinds_given_lens, before.kinds_given_lens, rtol=1e-6)
    np.testing.assert_allclose(after.p_compound / after.p_lens, before.p_compound / before.p_lens, rtol=1e-6)
    assert after.subclass == ["double_ring" if of == "double_ring" else of for of in (before.subclass[0], "nonlens")]


def test_it_looks_from_the_lower_limit_on():
    assert least_looked_at(0.3, None) == 0.3
    assert least_looked_at(0.3, lens_regression(from_p_lens=0.02)) == 0.02
    assert least_looked_at(0.01, lens_regression(from_p_lens=0.02)) == 0.01


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_neither_may_decide_alone(share):
    with pytest.raises(ValidationError, match="network_share"):
        lens_regression(network_share=share)


def test_the_slope_must_be_positive():
    with pytest.raises(ValidationError, match=r"slope[\s\S]*greater than 0"):
        lens_regression(slope=0.0)


def test_all_of_it_decides():
    curve = LensCurve(at=(0.0,), becomes=(1.0,), slopes=(1.0, 1.0))
    content = lens_regression(curve=curve, opinion_share=0.25).what_decides()
    assert content.keys() == LensRegression.model_fields.keys()
    assert content["curve"]["becomes"] == [1.0]
    # Cascades that were made before there was a curve keep their digest.
    assert content["opinion_share"] == 0.25
    # Cascades that were made before there was a curve, or a second opinion, keep their digest.
    assert lens_regression().what_decides().keys() == content.keys() - {"curve", "opinion_share"}
