"""The candidate network of a cascade of hand-set networks: K looks at what the committee, A and B, keeps."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit

from scanner.networks.architectures import NetworkSpec
from scanner.networks.candidate_network import CandidateNetwork
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Cascade
from scanner.networks.ensemble import Ensemble, joined
from scanner.networks.errors import PackageError
from scanner.networks.feature_reference import read_reference
from scanner.networks.nonlens_sample import NonLensTail, read_sample, with_sample
from scanner.networks.package import draft_network_card, load_scorer
from scanner.networks.prevalence import with_prevalence
from scanner.preprocess.channel import channels
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import (
    CANDIDATE,
    Pixel,
    candidate_stage,
    cascade_card,
    early_exit,
    kind_regression,
    lens_regression,
    pixel_stages,
    second_opinion,
    stack,
    stamps_of,
    write_cascade,
)  # fmt: skip
from tests.scanner.ensembles import SPECS
from tests.scanner.feature_references import drawn_reference, give_reference

N = 48


class CandidatePixel(Pixel):
    """An engine that finds double rings where one pixel of the input is bright, and single lenses elsewhere."""

    def logits(self, inputs):
        self.n_rows += len(inputs)
        seen = inputs[:, 0, 0, self._at]
        return np.stack([0 * seen, 0 * seen, 0 * seen - 20, seen - 5], axis=1).astype(np.float32)


RINGS = kind_regression(weights=((0.0,) * 4, (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
"""A regression that says what the candidate network says."""


@pytest.fixture
def stages(monkeypatch):
    return pixel_stages(monkeypatch, cascade_card(candidate_stage=candidate_stage(combiner=RINGS)))


def candidate_network(card, from_p_lens, share=None, lens=None):
    ensemble = Ensemble(card.candidate_stage_card, {"K": CandidatePixel(3)})
    stage = candidate_stage(combiner=RINGS.assuming(share), lens=lens)
    return ensemble.engines["K"], CandidateNetwork(ensemble, stage, from_p_lens, card.combiner)


def pixels(*rows):
    stamps = stamps_of(*[row[:3] for row in rows])
    for images in stamps.values():
        images[:, 0, 3] = [row[3] for row in rows]
    return stamps


def test_the_candidate_network_sees_the_candidates_alone(stages):
    whole, first, committee = stages
    # The second is excluded by the first stage, the third is below the limit.
    stamps = pixels((9, 9, 9, 9), (0, 9, 9, 9), (9, 0, 2, 9), (9, 8, 9, 1))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    limit = float(without.p_lens[3])
    engine, network = candidate_network(whole, limit)
    scores = Cascade(whole, first, committee, 0.01, candidate_network=network).score(stamps)
    assert engine.n_rows == 2
    assert scores.stage.tolist() == [2, 1, 2, 2]
    for name in ("p_lens", "disagreement"):
        np.testing.assert_array_equal(getattr(scores, name), getattr(without, name))
    logits = np.array([[0, -20, 4], [0, -20, -4]], float)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores.kinds_given_lens[[0, 3]], expected, rtol=1e-6)
    np.testing.assert_array_equal(scores.kinds_given_lens[[1, 2]], without.kinds_given_lens[[1, 2]])
    np.testing.assert_allclose(scores.p_compound[[0, 3]], scores.p_lens[[0, 3]] * expected[:, 1:].sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(scores.p_compound[[1, 2]], without.p_compound[[1, 2]])
    assert scores.subclass[0] == "double_ring"
    assert scores.subclass[3] == "single"
    assert [scores.subclass[row] for row in (1, 2)] == [without.subclass[row] for row in (1, 2)]
    engine, network = candidate_network(whole, np.nextafter(limit, 1))
    Cascade(whole, first, committee, 0.01, candidate_network=network).score(stamps)
    assert engine.n_rows == 1


def test_the_share_of_compound_lenses_is_assumed(stages):
    whole, first, committee = stages
    stamps = pixels((9, 9, 9, 7))
    scores = [
        Cascade(whole, first, committee, 0.01, candidate_network=candidate_network(whole, 0.01, share)[1]).score(stamps)
        for share in (None, 0.02)
    ]
    # Whatever is assumed, the kind is the likeliest in the fitted mixture.
    assert [of.subclass[0] for of in scores] == ["double_ring", "double_ring"]
    odds = [of.p_compound[0] / (of.p_lens[0] - of.p_compound[0]) for of in scores]
    assert odds[1] / odds[0] == pytest.approx((0.02 / 0.98) / (0.4 / 0.6), rel=1e-4)


def test_kinds_and_compound_lenses_assume_the_same_share(stages):
    whole, first, committee = stages
    network = candidate_network(whole, 1e-6, 0.02)[1]
    scores = Cascade(whole, first, committee, 0.01, candidate_network=network).score(pixels((9, 9, 9, 7), (9, 8, 9, 4)))
    # K gives odds of exp(2) and of exp(-1) where two fifths are compound.
    odds = np.exp([2, -1]) * (0.02 / 0.98) / (0.4 / 0.6)
    np.testing.assert_allclose(scores.kinds_given_lens[:, 0], 1 / (1 + odds), rtol=1e-5)
    np.testing.assert_allclose(scores.kinds_given_lens.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(scores.p_compound, scores.p_lens * odds / (1 + odds), rtol=1e-5)


def test_the_limit_of_the_candidates_is_not_rounded(stages):
    """A scan compares in float64: a limit between two scores of float32 is above the lower one."""
    whole, first, committee = stages
    stamps = pixels((9, 9, 8, 9))
    p_lens = float(Cascade(whole, first, committee, 0.01).score(stamps).p_lens[0])
    for limit, n_rows in ((p_lens, 1), (float(np.nextafter(p_lens, 1)), 0)):
        engine, network = candidate_network(whole, limit)
        network.ensemble.outputs = network.ensemble.outputs if n_rows else None
        Cascade(whole, first, committee, 0.01, candidate_network=network).score(stamps)
        assert engine.n_rows == n_rows


def test_a_nonlens_of_the_committee_stays_one(stages):
    whole, first, committee = stages
    stamps = pixels((9, 4, 3, 9))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    engine, network = candidate_network(whole, 1e-6)
    scores = Cascade(whole, first, committee, 0.01, candidate_network=network).score(stamps)
    assert engine.n_rows == 1
    assert without.subclass == scores.subclass == ["nonlens"]
    assert scores.p_compound[0] != without.p_compound[0]


def test_it_corrects_the_candidates_from_its_own_limit_on(stages):
    whole, first, committee = stages
    # The third is below the limit, the fourth is not seen by the committee; K finds the first a lens, and the second none.
    stamps = pixels((9, 8, 7, 15), (9, 8, 8, -20), (9, 3, 2, 15), (0, 9, 9, 15))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    limit = float(without.p_lens[0])
    regression = lens_regression(from_p_lens=limit, slope=1.5, bias=0.1)
    engine, network = candidate_network(whole, 0.5, lens=regression)
    cascade = Cascade(whole, first, committee, 0.01, candidate_network=network)
    scores = cascade.score(stamps)
    assert engine.n_rows == 2
    shift = logit(0.01) - logit(0.5)
    of_network = np.log(1 + np.exp(-20) + np.exp([10.0, -20.0]))
    expected = expit(0.75 * (logit(without.p_lens[:2].astype(float)) - shift + of_network) + 0.1 + shift)
    np.testing.assert_allclose(scores.p_lens[:2], expected, rtol=1e-4)
    assert scores.p_lens[0] > without.p_lens[0]
    assert scores.p_lens[1] < without.p_lens[1]
    np.testing.assert_array_equal(scores.p_lens[2:], without.p_lens[2:])
    np.testing.assert_array_equal(scores.p_committee, without.p_lens)
    np.testing.assert_array_equal(scores.p_uncorrected, without.p_lens)
    np.testing.assert_array_equal(scores.disagreement, without.disagreement)
    compound = scores.kinds_given_lens[:2, 1:].sum(axis=1)
    np.testing.assert_allclose(scores.p_compound[:2], scores.p_lens[:2] * compound, rtol=1e-6)
    assert scores.subclass == ["double_ring", "single", *without.subclass[2:]]
    np.testing.assert_array_equal(scores.p_corrected, [*scores.p_lens[:2], np.nan, np.nan])
    assert cascade.corrects_from == limit
    assert Cascade(whole, first, committee, 0.01).corrects_from is None


def test_candidates_below_the_correction_keep_their_score(stages):
    """K tells the kind of all four, and corrects the second and the last one."""
    whole, first, committee = stages
    stamps = pixels((9, 3, 3, -20), (9, 8, 8, 15), (9, 4, 4, 15), (9, 9, 9, -20))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    assert (without.p_lens > 0.1).tolist() == [False, True, False, True]
    engine, network = candidate_network(whole, 0.001, lens=lens_regression(from_p_lens=0.1, slope=1.5))
    scores = Cascade(whole, first, committee, 0.01, candidate_network=network).score(stamps)
    assert engine.n_rows == 4
    np.testing.assert_array_equal(scores.p_lens[[0, 2]], without.p_lens[[0, 2]])
    shift = logit(0.01) - logit(0.5)
    # Margins are pixels less 5: of three kinds in the committee, and of a single lens and a double ring in K.
    log_odds = 0.75 * (np.array([3, 4]) + np.log(3) + np.log(1 + np.exp([10.0, -25.0]) + np.exp(-20)))
    np.testing.assert_allclose(scores.p_lens[[1, 3]], expit(log_odds + shift), rtol=1e-5)
    assert scores.subclass == ["nonlens", "double_ring", "double_ring", "single"]


def test_a_correction_decides_whether_an_object_is_a_lens(stages):
    whole, first, committee = stages
    stamps = pixels((9, 9, 9, 0), (9, 5, 4, 0))
    network = [candidate_network(whole, 0.5, lens=lens_regression(from_p_lens=1e-9, bias=bias))[1] for bias in (-30.0, 30.0)]
    scores = [Cascade(whole, first, committee, 0.01, candidate_network=of).score(stamps) for of in network]
    assert scores[0].subclass == ["nonlens", "nonlens"]
    assert scores[1].subclass == ["single", "single"]
    assert (scores[0].p_lens < 1e-6).all()
    assert (scores[1].p_lens > 0.99).all()
    # Only the last is seen, and is the second of those that the committee sees.
    _, network = candidate_network(whole, 0.5, lens=lens_regression(from_p_lens=0.1, bias=-30.0))
    cascade = Cascade(whole, first, committee, 0.01, candidate_network=network)
    one = cascade.score(pixels((0, 9, 9, 0), (9, 7, 3, 0), (9, 9, 9, 0)))
    assert np.isnan(one.p_corrected).tolist() == [True, True, False]
    without = Cascade(whole, first, committee, 0.01).score(pixels((0, 9, 9, 0), (9, 7, 3, 0))).subclass
    assert one.subclass == [*without, "nonlens"]


def test_every_batch_has_the_scores_of_the_committee(stages):
    whole, first, committee = stages
    _, network = candidate_network(whole, 0.5, lens=lens_regression())
    cascade = Cascade(whole, first, committee, 0.01, candidate_network=network)
    none, some = (cascade.score(pixels(*rows)) for rows in (((0, 9, 9, 9),), ((9, 9, 9, 9), (9, 0, 0, 9))))
    np.testing.assert_array_equal(none.p_committee, none.p_lens)
    np.testing.assert_array_equal(none.p_corrected, [np.nan])
    together = joined([none, some])
    assert together.p_committee.tolist() == [*none.p_committee, *some.p_committee]
    np.testing.assert_array_equal(together.p_corrected, [np.nan, *some.p_corrected])
    _, kinds_alone = candidate_network(whole, 0.5)
    for others in (None, kinds_alone):
        cascade = Cascade(whole, first, committee, 0.01, candidate_network=others)
        for row in ((9, 9, 9, 9), (0, 9, 9, 9)):
            assert cascade.score(pixels(row)).p_committee is None


def test_it_follows_an_early_exit(monkeypatch):
    whole, first, committee = pixel_stages(
        monkeypatch, cascade_card(early_exit=early_exit(0.02), candidate_stage=candidate_stage(combiner=RINGS))
    )
    engine, network = candidate_network(whole, 0.01)
    scores = Cascade(whole, first, committee, 0.01, whole.early_exit, network).score(
        pixels((9, 9, 9, 9), (9, 0, 9, 9), (0, 9, 9, 9), (9, 9, 8, 1))
    )
    assert scores.stage.tolist() == [2, 1, 1, 2]
    assert engine.n_rows == 2
    assert [scores.subclass[row] for row in (0, 3)] == ["double_ring", "single"]


def test_a_rounded_committee_tells_no_kinds(stages):
    whole, first, committee = stages
    engine, network = candidate_network(whole, 1e-9)
    cascade = Cascade(whole, first, committee, 0.01, candidate_network=network)
    assert cascade.correction is None
    cascade.rounded(committee).score(pixels((9, 9, 9, 9)))
    assert engine.n_rows == 0


def test_a_rounded_network_knows_the_correction_within_its_margin(stages):
    """The committee gives the rows less and less; the first two reach the limit, and the third one lies in its margin."""
    whole, first, committee = stages
    stamps = pixels((9, 9, 9, 9), (9, 8, 8, 9), (9, 7, 7, 9), (9, 5, 5, 9))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    engine, network = candidate_network(whole, 0.5, lens=lens_regression(from_p_lens=float(without.p_lens[1]), bias=-2.0))
    cascade = Cascade(whole, first, committee, 0.01, candidate_network=network)
    exact = cascade.score(stamps)
    assert engine.n_rows == 2
    rounded = cascade.rounded(committee, network.ensemble, margin=1.5).score(stamps)
    assert engine.n_rows == 2 + 3
    # Only what decides whether a row could be a candidate is new: the scores are the same.
    np.testing.assert_array_equal(np.isnan(exact.p_corrected), [False, False, True, True])
    np.testing.assert_array_equal(np.isnan(rounded.p_corrected), [False, False, False, True])
    np.testing.assert_array_equal(rounded.p_corrected[:2], exact.p_corrected[:2])
    shift = logit(0.01) - logit(0.5)
    of_network = np.log(1 + np.exp(4.0) + np.exp(-20))
    assert rounded.p_corrected[2] == pytest.approx(expit(logit(without.p_lens[2]) - shift + of_network - 2 + shift), rel=1e-4)
    for name in ("p_lens", "p_compound", "p_committee", "kinds_given_lens", "subclass"):
        np.testing.assert_array_equal(getattr(rounded, name), getattr(exact, name))


def test_a_network_that_corrects_nothing_says_so(stages):
    whole, _, committee = stages
    _, network = candidate_network(whole, 0.5)
    margins = committee.outputs(pixels((9, 9, 9, 9))).logit_margins
    with pytest.raises(ValueError, match="corrects no p_lens"):
        network.corrected({**margins, **network.ensemble.outputs(pixels((9, 9, 9, 9))).logit_margins})


def test_a_second_opinion_corrects_the_others(monkeypatch):
    """All networks see the same rows; the two others read the pixel of K, which decides for the rows of equal committees."""
    stage = candidate_stage(
        combiner=RINGS, opinion=second_opinion(), lens=lens_regression(from_p_lens=0.1, opinion_share=0.25, slope=1.0)
    )
    whole, first, committee = pixel_stages(monkeypatch, cascade_card(candidate_stage=stage))
    engines = {"K": CandidatePixel(3), "other-A": Pixel(1), "other-B": Pixel(3)}
    network = CandidateNetwork(Ensemble(whole.candidate_stage_card, engines), stage, 0.5, whole.combiner)
    # The second row does not reach the limit.
    scores = Cascade(whole, first, committee, 0.01, candidate_network=network).score(
        pixels((9, 9, 9, 9), (9, 2, 2, 9), (9, 9, 9, 2))
    )
    assert [engine.n_rows for engine in engines.values()] == [2, 2, 2]
    shift = logit(0.01) - logit(0.5)
    for row, last in ((0, 9.0), (2, 2.0)):
        of_committee, of_opinion = 4 + np.log(3), (4 + last - 5) / 2 + np.log(3)
        of_network = np.log(1 + np.exp(-20) + np.exp(last - 5))
        mean = 0.75 * (of_committee + of_network) / 2 + 0.25 * of_opinion
        assert scores.p_lens[row] == pytest.approx(expit(mean + shift), rel=1e-4)
    assert scores.p_lens[1] == scores.p_committee[1]


def test_a_package_keeps_its_candidate_network(tmp_path, rng):
    written = write_cascade(tmp_path / "pack", candidate_stage=candidate_stage())
    assert read_card(tmp_path / "pack") == written
    assert [network.name for network in written.all_networks] == ["light", "A", "B", "K"]
    assert [network.name for network in written.lens_networks] == ["light", "A", "B"]
    assert load_scorer(tmp_path / "pack").network_names == ("light", "A", "B")
    # Cascades that correct nothing have the cards that they had before there were corrections.
    assert json.loads((tmp_path / "pack" / "card.json").read_text())["candidate_stage"].keys() == {
        "network",
        "combiner",
        "metrics",
    }
    write_cascade(tmp_path / "without")
    assert "candidate_stage" not in (tmp_path / "without" / "card.json").read_text()
    (tmp_path / "pack" / "K.safetensors").write_bytes(b"")
    with pytest.raises(PackageError, match=r"K\.safetensors"):
        load_scorer(tmp_path / "pack")


def test_a_package_keeps_its_second_opinion(tmp_path, rng):
    """Its networks have weights of their own, correct `p_lens`, and no column of theirs is stored."""
    given = {band: rng.normal(0, 3, (8, 100, 100)).astype(np.float32) for band in MER_10.grids}
    alone = candidate_stage(lens=lens_regression(from_p_lens=1e-9))
    both = candidate_stage(lens=lens_regression(from_p_lens=1e-9, opinion_share=0.5), opinion=second_opinion())
    written = [write_cascade(tmp_path / name, 1e-9, candidate_stage=of) for name, of in (("alone", alone), ("both", both))]
    assert read_card(tmp_path / "both") == written[1]
    assert [network.name for network in written[1].all_networks] == ["light", "A", "B", "K", "other-A", "other-B"]
    assert len({network.sha256 for network in written[1].all_networks}) == 6
    scores = [load_scorer(tmp_path / name).score(given) for name in ("alone", "both")]
    assert scores[1].p_networks.keys() == scores[0].p_networks.keys() == {"light", "A", "B"}
    assert (scores[0].p_lens != scores[1].p_lens).all()
    np.testing.assert_array_equal(scores[0].p_committee, scores[1].p_committee)
    np.testing.assert_array_equal(scores[0].kinds_given_lens, scores[1].kinds_given_lens)


def test_candidates_are_those_of_the_scan(tmp_path, rng):
    given = {band: rng.normal(0, 3, (12, 100, 100)).astype(np.float32) for band in MER_10.grids}
    write_cascade(tmp_path / "without", 1e-9)
    without = load_scorer(tmp_path / "without").score(given)
    fifth, eighth = (float(np.sort(without.p_lens)[i]) for i in (4, 7))
    write_cascade(tmp_path / "pack", 1e-9, candidate_stage=candidate_stage(), default_cut=fifth)
    # A threshold above the card's changes nothing.
    for threshold, at_least, expected in ((eighth, fifth, 8), (None, fifth, 8), (1e-9, 0.0, 12)):
        scores = load_scorer(tmp_path / "pack", candidate_threshold=threshold).score(given)
        is_told = scores.p_compound != without.p_compound
        assert is_told.tolist() == (without.p_lens.astype(np.float64) >= at_least).tolist()
        assert is_told.sum() == expected


def test_what_decides_the_kinds_is_in_the_digest():
    stages = (None, candidate_stage(), candidate_stage(combiner=kind_regression(biases=(0.0, 0.1, 0.0))))
    assert len({cascade_card(candidate_stage=of).sha256 for of in stages}) == 3
    measured = candidate_stage(metrics={"auroc_compound": 0.9})
    assert cascade_card(candidate_stage=measured).sha256 == cascade_card(candidate_stage=candidate_stage()).sha256
    # It decides neither p_lens nor the features, so what was measured of these still holds.
    plain = cascade_card()
    assert {cascade_card(candidate_stage=of).lens_sha256 for of in stages} == {plain.lens_sha256} == {plain.sha256}
    assert cascade_card(candidate_stage=candidate_stage()).first_stage_card.candidate_stage is None
    # A correction decides p_lens.
    corrects = [cascade_card(candidate_stage=candidate_stage(lens=lens_regression(bias=bias))) for bias in (0.0, 0.1)]
    assert len({plain.lens_sha256, *(of.lens_sha256 for of in corrects)}) == 3
    assert [of.lens_sha256 for of in corrects] == [of.sha256 for of in corrects]
    assert cascade_card().candidate_stage_card is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"combiner": kind_regression(network="A")}, "must read the candidate network K, got A"),
        ({"combiner": kind_regression(committee=("A",))}, r"\('A', 'B'\), got \('A',\)"),
        (
            {"network": draft_network_card(SPECS[0], "mer10", {})},
            r"must distinguish \('nonlens', 'single', .*, got \('nonlens', 'lens",
        ),
        (
            {"network": CANDIDATE.model_copy(update={"name": "A"}), "combiner": kind_regression(network="A")},
            "share p_a",
        ),
        (
            {"combiner": kind_regression(compound_share=0.02)},
            "committee's share of compound lenses, 0.4, got 0.02",
        ),
    ],
)
def test_a_candidate_network_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        cascade_card(candidate_stage=candidate_stage(**changes))


def test_a_candidate_network_needs_a_first_stage():
    given = cascade_card(candidate_stage=candidate_stage()).model_dump()
    with pytest.raises(ValidationError, match="a candidate network needs a first stage"):
        type(cascade_card()).model_validate({**given, "first": None})
    with pytest.raises(ValidationError, match="needs a default_cut"):
        type(cascade_card()).model_validate({**given, "default_cut": None})


def test_a_candidate_network_needs_a_committee_that_knows_kinds():
    whole = cascade_card(candidate_stage=candidate_stage())
    other = draft_network_card(NetworkSpec("A", "ou66", channels("min_max", "VIS")), "mer10", {})
    content = whole.model_dump() | {"networks": (other, whole.networks[1]), "combiner": stack(("B",))}
    with pytest.raises(ValidationError, match=r"networks distinguish .*'A': \('nonlens', 'lens'\)"):
        type(whole).model_validate(content)


def test_a_sample_and_a_reference_outlive_their_candidate_network(tmp_path):
    write_cascade(tmp_path, candidate_stage=candidate_stage())
    give_reference(tmp_path, drawn_reference(16 + 64))
    card = with_sample(tmp_path, read_card(tmp_path), NonLensTail.of(np.float32([0.5]), 0.25), "one object")
    assert read_reference(tmp_path, card) is not None
    changed = card.model_copy(update={"candidate_stage": candidate_stage(combiner=kind_regression(biases=(0.0, 0.1, 0.0)))})
    assert changed.sha256 != card.sha256
    assert changed.reference_sha256 == card.reference_sha256
    assert card.feature_reference.ensemble_sha256 == card.nonlens_sample.ensemble_sha256 == card.lens_sha256
    assert read_sample(tmp_path, card).p_lens.tolist() == read_sample(tmp_path, changed).p_lens.tolist() == [0.5]


def test_another_prevalence_corrects_the_same_objects(tmp_path, rng):
    given = {band: rng.normal(0, 3, (8, 100, 100)).astype(np.float32) for band in MER_10.grids}
    write_cascade(tmp_path / "without", 1e-9)
    third, fourth = np.sort(load_scorer(tmp_path / "without").score(given).p_lens.astype(float))[2:4]
    least = float(np.sqrt(third * fourth))
    stage = candidate_stage(lens=lens_regression(from_p_lens=least, bias=1.0))
    write_cascade(tmp_path / "pack", 1e-9, candidate_stage=stage, default_cut=1e-6)
    with_prevalence(tmp_path / "pack", tmp_path / "moved", "moved", 0.3, None)
    before, after = (load_scorer(tmp_path / name).score(given) for name in ("pack", "moved"))
    odds = [logit(of.p_lens.astype(float)) for of in (before, after)]
    np.testing.assert_allclose(odds[1] - odds[0], logit(0.3) - logit(0.01), rtol=1e-4)
    assert (before.p_lens != before.p_committee).sum() == 5


def test_another_share_of_compound_lenses_restates_the_kinds(tmp_path, rng):
    write_cascade(tmp_path / "pack", 1e-9, candidate_stage=candidate_stage(), default_cut=1e-6)
    with_prevalence(tmp_path / "pack", tmp_path / "moved", "moved", 0.01, 0.3)
    given = {band: rng.normal(0, 3, (6, 100, 100)).astype(np.float32) for band in MER_10.grids}
    before, after = (load_scorer(tmp_path / name).score(given) for name in ("pack", "moved"))
    np.testing.assert_array_equal(before.p_lens, after.p_lens)
    odds = [of.p_compound.astype(float) / (of.p_lens.astype(float) - of.p_compound) for of in (before, after)]
    np.testing.assert_allclose(odds[1] / odds[0], (0.3 / 0.7) / (0.4 / 0.6), rtol=1e-3)
