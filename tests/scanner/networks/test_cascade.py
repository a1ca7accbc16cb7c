"""A cascade of hand-set stages: the first scores the brightest pixel, the committee another one."""

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import check_weights, read_card
from scanner.networks.cascade import Cascade, FirstStage
from scanner.networks.combiner import MeanCombiner
from scanner.networks.ensemble import Ensemble
from scanner.networks.errors import PackageError
from scanner.networks.package import draft_network_card, load_first_stage, load_package, load_scorer, write_package
from scanner.preprocess.stamp_checks import StampsError
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import COMMITTEE, FIRST, cascade_card, pixel_stages, stack, stamps_of, write_cascade
from tests.scanner.ensembles import card, networks

PIXELS = (9, 9, 9), (9, 9, 9), (9, 0, 2), (0, 9, 9)


@pytest.fixture
def stages(monkeypatch):
    return pixel_stages(monkeypatch, cascade_card())


def test_the_committee_sees_only_what_the_first_stage_cannot_exclude(stages):
    whole, first, committee = stages
    stamps = stamps_of((9, 9, 9), (0, 9, 9), (9, 0, 2))
    scores = Cascade(whole, first, committee, 0.01).score(stamps)
    assert committee.engines["A"].n_rows == 2
    assert scores.stage.tolist() == [2, 1, 2]
    alone, of_first = committee.score(stamps), first.score(stamps)
    assert scores.p_lens[[0, 2]].tolist() == alone.p_lens[[0, 2]].tolist()
    assert scores.p_lens[1] == of_first.p_lens[1] < 0.01
    assert scores.p_first.tolist() == scores.p_of_sweep.tolist() == of_first.p_lens.tolist()
    for name in ("A", "B"):
        assert np.isnan(scores.p_networks[name]).tolist() == [False, True, False]
        assert scores.p_networks[name][[0, 2]].tolist() == alone.p_networks[name][[0, 2]].tolist()
    assert scores.p_networks["light"].tolist() == of_first.p_networks["light"].tolist()
    assert np.isnan(scores.disagreement).tolist() == [False, True, False]
    assert scores.p_compound[[0, 2]].tolist() == alone.p_compound[[0, 2]].tolist()
    assert scores.p_compound[1] == of_first.p_compound[1]
    assert scores.subclass == [alone.subclass[0], of_first.subclass[1], alone.subclass[2]]
    np.testing.assert_array_equal(scores.kinds_given_lens[[0, 2]], alone.kinds_given_lens[[0, 2]])


def test_stamps_are_checked_before_the_first_stage(stages):
    whole, first, committee = stages
    cascade = Cascade(whole, first, committee, 0.01)
    image = np.zeros((1, 100, 100), np.float32)
    for given, says in (
        ([1], r"must map each band \(VIS, .*\) to an array, got list"),
        ({"VIS": image, "Z": image}, "no band Z"),
    ):
        with pytest.raises(StampsError, match=says):
            cascade.score(given)
        with pytest.raises(StampsError, match=says):
            cascade.score_again(given, None, np.zeros(1, bool))


def test_rows_near_the_limit_get_exact_scores(stages):
    """The rounded scores that are given are those of other pixels; only the first and the last row are near."""
    whole, first, committee = stages
    cascade = Cascade(whole, first, committee, 0.01)
    exact, rounded = (
        cascade.first_stage.score(stamps_of(*rows)) for rows in (PIXELS, ((0, 9, 9), (0, 9, 9), (9, 0, 2), (9, 9, 9)))
    )
    before = rounded.p_lens.copy()
    scores = cascade.score_again(stamps_of(*PIXELS), rounded, np.array([True, False, False, True]))
    assert scores.stage.tolist() == [2, 1, 2, 1]
    assert scores.p_first.tolist() == [exact.p_first[0], *before[1:3], exact.p_first[3]]
    assert scores.p_networks["light"][[0, 3]].tolist() == exact.p_networks["light"][[0, 3]].tolist()
    assert scores.p_networks["light"][[1, 2]].tolist() == rounded.p_networks["light"][[1, 2]].tolist()
    for name in ("p_lens", "p_compound", "kinds_given_lens"):
        values = getattr(scores, name)
        np.testing.assert_array_equal(values[[1, 3]], [getattr(rounded, name)[1], getattr(exact, name)[3]])
    assert scores.subclass[3] == exact.subclass[3] != rounded.subclass[3]
    # What was given is not changed.
    assert rounded.p_lens.tolist() == before.tolist()
    alone = committee.score(stamps_of(*PIXELS))
    assert scores.p_lens[[0, 2]].tolist() == alone.p_lens[[0, 2]].tolist()


def test_a_committee_that_no_row_reaches_is_not_run(stages, monkeypatch):
    """An engine takes as long for no row as for a full batch."""
    whole, first, committee = stages
    monkeypatch.setattr(committee, "outputs", None)
    assert Cascade(whole, first, committee, 0.01).score(stamps_of((0, 9, 9), (0, 0, 0))).stage.tolist() == [1, 1]


def test_the_same_rows_reach_a_committee_in_another_precision(stages):
    whole, first, committee = stages
    cascade = Cascade(whole, first, committee, 0.01).rounded(committee, margin=3.0)
    assert cascade.score(stamps_of(*PIXELS)).stage.tolist() == [2, 2, 2, 1]


def test_a_score_at_the_limit_reaches_the_committee(stages):
    whole, first, committee = stages
    stamps = stamps_of((4, 0, 0))
    limit = float(first.score(stamps).p_lens[0])
    assert Cascade(whole, first, committee, limit).score(stamps).stage.tolist() == [2]
    assert Cascade(whole, first, committee, np.nextafter(np.float32(limit), np.float32(1))).score(stamps).stage.tolist() == [1]


def test_the_first_stage_alone_leaves_the_committee_empty(stages):
    whole, first, committee = stages
    alone = Cascade(whole, first, committee, 0.01).first_stage
    assert isinstance(alone, FirstStage)
    assert alone.network_names == ("light", "A", "B")
    scores = alone.score(stamps_of((9, 9, 9), (0, 0, 0)))
    assert scores.stage.tolist() == [1, 1]
    assert np.isnan(scores.p_networks["B"]).all()
    assert np.isnan(scores.disagreement).all()
    assert committee.engines["A"].n_rows == 0


def test_a_package_keeps_both_stages(tmp_path):
    written = write_cascade(tmp_path / "pack")
    found = read_card(tmp_path / "pack")
    assert found == written
    assert found.first.network.sha256 != "0" * 64
    check_weights(tmp_path / "pack", found)
    scorer = load_scorer(tmp_path / "pack")
    assert isinstance(scorer, Cascade)
    assert (scorer.name, scorer.sha256, scorer.network_names) == ("test", found.sha256, ("light", "A", "B"))
    assert scorer.exclude_below == 0.01
    assert load_scorer(tmp_path / "pack", candidate_threshold=0.004).exclude_below == 0.004
    assert load_scorer(tmp_path / "pack", candidate_threshold=0.5).exclude_below == 0.01
    assert load_package(tmp_path / "pack").network_names == ("A", "B")
    assert load_first_stage(tmp_path / "pack").network_names == ("light",)
    (tmp_path / "pack" / "light.safetensors").unlink()
    with pytest.raises(PackageError, match=r"light\.safetensors: cannot be read"):
        check_weights(tmp_path / "pack", found)


def test_what_decides_a_score_is_in_the_digest():
    digests = {
        cascade_card().sha256,
        cascade_card(0.02).sha256,
        cascade_card(combiner=stack(("light",), biases=(0.0, 0.1, 0.0, 0.0))).sha256,
        card(COMMITTEE, geometry="mer10", combiner=stack(("A", "B")), assumed_prevalence=0.01).sha256,
    }
    assert len(digests) == 4
    assert cascade_card(metrics={"natural_lenses_lost": 0.1}).sha256 == cascade_card().sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"combiner": stack(("A",))}, "must combine light alone"),
        ({"combiner": stack(("light",), 1)}, "must read 3 logit margins, got 1"),
        ({"exclude_below": 0.0}, "greater than 0"),
        ({"combiner": stack(("light",), prevalence=0.02)}, "must assume the prevalence of p_lens, 0.01, got 0.02"),
        ({"network": draft_network_card(NetworkSpec("A", "equivariant_light", FIRST.channels), "mer10", {})}, "A"),
        ({"committee": MeanCombiner(kind="mean", networks=("A", "B"))}, "must be combined by softmax_stack, got mean"),
        ({"network": draft_network_card(FIRST, "challenge", {})}, "every network must read the geometry mer10"),
    ],
)
def test_stages_that_do_not_fit_are_refused(changes, message):
    with pytest.raises((ValidationError, ValueError), match=message):
        cascade_card(**changes)


def test_a_package_without_a_first_stage_has_none_to_load(tmp_path):
    states = {name: network.state_dict() for name, network in networks(COMMITTEE, 1).items()}
    written = card(COMMITTEE, geometry="mer10", combiner=stack(("A", "B")), assumed_prevalence=0.01)
    write_package(tmp_path, written, states)
    assert isinstance(load_scorer(tmp_path), Ensemble)
    with pytest.raises(PackageError, match="has no first stage"):
        load_first_stage(tmp_path)


def test_turns_give_a_turned_image_the_same_score(tmp_path, rng):
    spec = COMMITTEE[1]
    plain = draft_network_card(spec, "mer10", {})
    assert plain.what_decides() != plain.model_copy(update={"turns": 4}).what_decides()
    assert "turns" not in plain.what_decides()
    (states,) = (network.state_dict() for network in networks((spec,), 5).values())
    image = rng.normal(size=(1, 1, 100, 100)).astype(np.float32)
    spread = {}
    for turns in (1, 4):
        whole = card((spec,), geometry="mer10", networks=(plain.model_copy(update={"turns": turns}),))
        write_package(tmp_path / str(turns), whole, {"B": states})
        engine = load_package(tmp_path / str(turns)).engines["B"]
        logits = [engine.logits(np.ascontiguousarray(np.rot90(image, turn, (-2, -1)))) for turn in range(4)]
        spread[turns] = float(np.ptp(logits, axis=0).max())
    assert spread[4] < 1e-4
    assert spread[1] > 1e-2


def test_only_the_committee_has_features(tmp_path, rng):
    write_cascade(tmp_path / "pack")
    given = {band: rng.normal(0, 3, (6, 100, 100)).astype(np.float32) for band in MER_10.grids}
    plain = load_scorer(tmp_path / "pack").score(given)
    limit = float(np.sort(plain.p_first)[3])
    scorer = load_scorer(tmp_path / "pack", candidate_threshold=0.0, features=True)
    scorer.exclude_below = limit
    scores = scorer.score(given)
    assert (scores.stage == 2).sum() == 3
    assert scores.features.shape == (6, 16 + 64)
    assert np.isnan(scores.features).all(axis=1).tolist() == (scores.stage == 1).tolist()
    alone = scorer.committee.score({band: images[scores.stage == 2] for band, images in given.items()})
    assert np.array_equal(scores.features[scores.stage == 2], alone.features)
    assert scorer.first_stage.score(given).features is plain.features is None
