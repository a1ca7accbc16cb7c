"""Poolings and cuts on margins set by hand, and a cascade assembled from packages of networks."""

import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from infra import provenance
from infra.progress import no_progress
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card, write_card
from scanner.networks.ensemble import Ensemble
from scanner.networks.package import load_network, load_scorer
from scanner.networks.prevalence import compound_limit
from scanner.networks.training_data_card import TrainingDataCard
from scanner.preprocess.channel import channels
from tests.scanner.ensembles import write_test_package
from tests.training.margins import margins_of
from tests.training.shards import state, write_shards
from training.calibration_shards import CalibrationShards
from training.candidate_stage import OPINION_SHARE, final_p_lens, make_candidate_stage
from training.cascade import (
    PoolingFigures,
    assemble,
    best_pooling,
    compare_poolings,
    deep_cut,
    list_cut,
    rounded_down,
    rounded_up,
)
from training.cascade_networks import choose_networks
from training.evaluation.calibrate import fit_stack, with_lens_curve
from training.evaluation.card_text import card_markdown
from training.evaluation.metrics import auroc
from training.evaluation.shard_scores import shard_footers, shards_digest
from training.limits import SIMULATED_ALONE, mixture_limit
from training.margins import Margins, MoreNonLenses, read_margins
from training.stages import MOST_LOST, after_stages

FIRST = NetworkSpec("light", "equivariant_light", channels("sky_asinh", "VIS"))
MEMBERS = tuple(
    NetworkSpec(name, "equivariant_light", channels("sky_asinh", band)) for name, band in (("A", "VIS"), ("B", "H"))
)


def assembled(name, first, members, natural, broad, *given, **options):
    """Assemble a package of chosen networks on shards of these folders."""
    networks = choose_networks(first, members, **options)
    return assemble(name, networks, CalibrationShards.read(natural, broad), *given)


def figures(pooling, natural_recall, broad_recall):
    return PoolingFigures(pooling=pooling, log_loss=0.1, natural_recall=natural_recall, broad_recall=broad_recall)


def test_a_pooling_without_veto_finds_lenses_that_one_network_dislikes():
    rng = np.random.default_rng(1)
    natural, broad = margins_of(rng, 500), margins_of(rng, 300, vetoes=0.5)
    by_name = {found.pooling: found for found in compare_poolings(natural, broad)}
    assert by_name["without_lowest"].broad_recall > by_name["each"].broad_recall + 0.1
    assert by_name["mean_probability"].broad_recall > by_name["each"].broad_recall + 0.04
    # Without vetoes, all networks together are best.
    assert by_name["each"].natural_recall > by_name["without_lowest"].natural_recall
    assert by_name["each"].log_loss < min(by_name["without_lowest"].log_loss, by_name["mean_probability"].log_loss)


def test_recalls_have_one_false_positive_in_a_hundred():
    """By sorting: 2.5 of the 250 or so non-lenses of the other half, which are two, lie above the threshold."""
    rng = np.random.default_rng(8)
    natural, broad = margins_of(rng, 500), margins_of(rng, 300, vetoes=0.2)
    fitted_on = np.random.default_rng(0).permutation(2000) % 2 == 0
    half, other = natural.rows(fitted_on), natural.rows(~fitted_on)
    found = compare_poolings(natural, broad)
    assert [of.pooling for of in found] == ["each", "without_lowest", "mean_probability"]
    for of in found:
        stack = fit_stack(half.by_network, half.kinds, of.pooling)
        stack = with_lens_curve(stack, half.by_network, half.kinds)
        p, p_broad = (stack.probabilities(part.by_network)[:, 1:].sum(axis=1) for part in (other, broad))
        nonlenses = np.sort(p[other.kinds == 0])[::-1]
        threshold = nonlenses[len(nonlenses) // 100]
        assert of.natural_recall == pytest.approx((p[other.kinds > 0] > threshold).mean(), abs=1e-9)
        assert of.broad_recall == pytest.approx((p_broad[broad.kinds > 0] > threshold).mean(), abs=1e-9)
        assert of.log_loss == pytest.approx(log_loss(other.kinds > 0, p), rel=1e-6)


def test_the_best_pooling_loses_little_on_natural_draws():
    trimmed = figures("without_lowest", 0.670, 0.6)
    assert best_pooling([trimmed, figures("mean_probability", 0.651, 0.7)]) == "mean_probability"
    assert best_pooling([trimmed, figures("mean_probability", 0.641, 0.7)]) == "mean_probability"
    assert best_pooling([trimmed, figures("mean_probability", 0.639, 0.9)]) == "without_lowest"
    assert best_pooling([trimmed, figures("mean_probability", 0.68, 0.5)]) == "without_lowest"
    assert best_pooling([trimmed, figures("mean_probability", 0.68, 0.6)]) == "mean_probability"
    assert best_pooling([trimmed, figures("mean_probability", 0.66, 0.6)]) == "without_lowest"


def test_the_best_pooling_gives_no_network_a_veto():
    compared = [figures("each", 0.9, 0.9), figures("without_lowest", 0.7, 0.6), figures("mean_probability", 0.69, 0.7)]
    assert best_pooling(compared) == "mean_probability"


@pytest.mark.parametrize(("prevalence", "decides"), [(0.5, "natural"), (0.5, "broad"), (1e-9, "prevalence")])
def test_the_deep_cut_loses_few_lenses_of_either_set(prevalence, decides):
    rng = np.random.default_rng(3)
    data = {"natural": margins_of(rng, 1000), "broad": margins_of(rng, 1000)}
    stack = fit_stack(data["natural"].by_network, data["natural"].kinds).assuming(prevalence, 0.02)
    # All margins of the set that decides are lower.
    for name, margins in data.items():
        for values in margins.by_network.values():
            values[:] -= 4.0 * (name == decides)
    p_lens = {name: stack.combine(margins.by_network).p_lens for name, margins in data.items()}
    cut = deep_cut(p_lens, data, prevalence)
    lost = {name: np.mean(p_lens[name][margins.is_lens] < cut) for name, margins in data.items()}
    assert cut <= min(0.5, 2 * prevalence)
    if decides == "prevalence":
        assert cut == 2 * prevalence
    else:
        assert lost[decides] == pytest.approx({"natural": 0.065, "broad": 0.1}[decides], abs=0.001)
    assert lost["natural"] <= 0.065
    assert lost["broad"] <= 0.1


def test_sure_lenses_are_cut_at_even_odds():
    margins = Margins({}, np.array([0, 1, 1, 1], np.int8))
    sure = dict.fromkeys(("natural", "broad"), np.float32([0.1, 0.97, 0.98, 0.99]))
    assert deep_cut(sure, dict.fromkeys(sure, margins), 0.4) == 0.5
    assert deep_cut(sure, dict.fromkeys(sure, margins), 0.1) == 0.2


def test_the_list_has_three_objects_in_a_thousand():
    """At a prevalence of 0.002 and with half of the lenses in the list, 0.001 of the objects are lenses, and 0.002 are not."""
    kinds = np.array([0] * 1000 + [1] * 4, np.int8)
    p_lens = np.concatenate([np.linspace(0, 0.499, 1000), [0.9, 0.9, 0.1, 0.1]]).astype(np.float32)
    cut = list_cut(p_lens, Margins({}, kinds), 0.002)
    others = np.sort(p_lens[:1000])
    assert cut == others[-2]
    listed = [0.002 * 0.5 + 0.998 * (others >= least).mean() for least in (cut, others[-3])]
    assert listed[0] <= 0.003 < listed[1]
    # Where even the best non-lens would fill the list, and where it would begin above even odds.
    assert list_cut(np.float32([0.2, 0.4, 0.3]), Margins({}, np.array([0, 0, 1], np.int8)), 0.5) == np.float32(0.4)
    assert list_cut(np.float32([0.2, 0.9, 0.3]), Margins({}, np.array([0, 0, 1], np.int8)), 0.5) == 0.5


@pytest.mark.parametrize(("cut", "down", "up"), [(0.01234, 0.012, 0.013), (0.012, 0.012, 0.012), (0.0996, 0.099, 0.1)])
def test_cuts_have_two_digits(cut, down, up):
    assert (rounded_down(cut), rounded_up(cut)) == (down, up)


@pytest.mark.parametrize(
    ("cut", "expected"), [(0.0008377903, 0.00083), (0.001, 0.001), (0.5, 0.5), (0.0999, 0.099), (0.00029, 0.00029)]
)
def test_a_cut_has_two_digits(cut, expected):
    assert rounded_down(cut) == expected


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cascade")
    write_test_package(folder / "first", (FIRST,), 1, geometry="mer10", name="first")
    for number, spec in enumerate(MEMBERS, start=2):
        write_test_package(folder / spec.name, (spec,), number, geometry="mer10", name=spec.name)
    natural, broad = write_shards(folder / "natural", 80), write_shards(folder / "broad", 60)
    return folder, natural, broad


def test_a_cascade_is_assembled_from_packages(made, tmp_path):
    folder, natural, broad = made
    steps = []
    card = assembled(
        "joined",
        folder / "first",
        [folder / "A", folder / "B"],
        natural,
        broad,
        tmp_path,
        0.0005,
        0.02,
        lambda done, total: steps.append((done, total)),
    )
    assert read_card(tmp_path / "joined") == card
    assert card.training_data.data_sets == tuple(shards_digest(shard_footers(uri)) for uri in (natural, broad))
    assert card.training_data.digest == provenance.digest(list(card.training_data.data_sets))
    assert (card.first.network.name, [network.name for network in card.networks]) == ("light", ["A", "B"])
    assert card.assumed_prevalence == card.first.combiner.prevalence == 0.0005
    assert card.limits == (SIMULATED_ALONE, mixture_limit("the natural draws"), compound_limit(0.02))
    assert 0 < card.candidate_threshold == rounded_down(card.candidate_threshold) <= 0.001
    assert card.metrics["cut_natural_lenses_lost"] <= 0.1
    assert card.metrics["cut_broad_lenses_lost"] <= 0.2
    assert 0 <= card.metrics["cut_natural_nonlenses_kept"] < 0.5
    assert "Calibrated on 140 further objects" in card.training_data.description
    assert steps[-1] == (140, 140)
    assert sorted(steps) == steps
    assert card.combiner.lens_curve
    assert card.first.combiner.lens_curve
    assert card.combiner.lens_curve != card.first.combiner.lens_curve
    assert card.first.metrics["natural_lenses_lost"] <= 0.0005
    assert {"natural_nonlenses_passed", "broad_lenses_passed"} <= card.first.metrics.keys()
    assert card.early_exit.network in {"A", "B"}
    assert card.early_exit.combiner.prevalence == 0.0005
    assert card.early_exit.metrics["natural_nonlenses_passed"] <= card.first.metrics["natural_nonlenses_passed"]
    assert f"`{card.early_exit.network}` looks before the other networks of the committee." in card_markdown(card)
    assert load_scorer(tmp_path / "joined").network_names == ("light", "A", "B")
    assert [network.turns for network in card.all_networks] == [1, 2, 2]
    packages, data = [folder / "A", folder / "B"], (natural, broad)
    plain = assembled("plain", folder / "first", packages, *data, tmp_path, 0.0005, 0.02, no_progress, turns=False)
    assert [network.turns for network in plain.all_networks] == [1, 1, 1]
    assert "| without_lowest | " in card_markdown(card)


def test_a_cascade_lists_the_data_of_its_members(made, tmp_path):
    folder, *uris = made
    presets = ("euclid", "broad")
    natural, broad = (
        state(shutil.copytree(uri, tmp_path / f"of-{preset}"), seed=seed, preset=preset)
        for seed, (uri, preset) in enumerate(zip(uris, presets, strict=True))
    )
    digests = ["a" * 64, "b" * 64, "c" * 64]
    for name, digest in zip(("first", "A", "B"), digests, strict=True):
        shutil.copytree(folder / name, tmp_path / name)
        data = TrainingDataCard(description="", digest=digest, n_objects={}, data_sets=(digest,) if name == "A" else ())
        write_card(tmp_path / name, read_card(tmp_path / name).model_copy(update={"training_data": data}))
    members = [tmp_path / "A", tmp_path / "B"]
    card = assembled("joined", tmp_path / "first", members, natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    assert card.training_data.data_sets[:3] == tuple(digests)
    assert len(card.training_data.data_sets) == 5
    assert [json.loads(told)["seed"] for told in card.training_data.simulations] == [0, 1]
    assert card.training_data.calibrated_on == (*card.training_data.data_sets[3:], *card.training_data.simulations)
    assert card.training_data.trained_on.digests == tuple(digests)


def test_a_cascade_can_be_calibrated_again(made, tmp_path):
    folder, natural, broad = made
    given = (natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    card = assembled("once", folder / "first", [folder / "A", folder / "B"], *given, turns=False)
    again = assembled("again", tmp_path / "once", [tmp_path / "once"], *given, turns=False)
    assert again.sha256 == card.sha256


def test_a_cascade_may_have_a_candidate_network(made, tmp_path):
    folder, natural, broad = made
    given = (natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    members = [folder / "A", folder / "B"]
    spec = NetworkSpec("K", "equivariant_light", channels("sky_asinh", "VIS"))
    write_test_package(tmp_path / "K", (spec,), 9, geometry="mer10", name="K")
    plain = assembled("plain", folder / "first", members, *given)
    data = TrainingDataCard(description="", digest="d" * 64, n_objects={})
    write_card(tmp_path / "K", read_card(tmp_path / "K").model_copy(update={"training_data": data}))
    card = assembled("joined", folder / "first", members, *given, candidates=tmp_path / "K")
    # No one may measure the cascade on what its candidate network was trained on.
    assert card.training_data.data_sets == ("d" * 64, *plain.training_data.data_sets)
    assert card.candidate_stage.combiner.committee == ("A", "B")
    assert card.candidate_stage.combiner.compound_share == 0.02
    assert card.candidate_stage.network.turns == 2
    assert card.candidate_stage.metrics.keys() == {"auroc_compound_of_committee", "auroc_compound"}
    # It decides neither p_lens nor the stages.
    assert (card.combiner, card.first, card.early_exit) == (plain.combiner, plain.first, plain.early_exit)
    assert card.sha256 != plain.sha256
    assert "`K` looks at the candidates alone." in card_markdown(card)
    assert read_card(tmp_path / "joined") == card
    stored = load_network(tmp_path / "joined", card.candidate_stage.network).state_dict()
    expected = load_network(tmp_path / "K", read_card(tmp_path / "K").networks[0]).state_dict()
    assert all(torch.equal(stored[name], expected[name]) for name in expected)
    again = assembled("again", tmp_path / "joined", [tmp_path / "joined"], *given, candidates=tmp_path / "joined")
    assert again.sha256 == card.sha256


def test_the_cut_is_that_of_the_corrected_probabilities(made, tmp_path, monkeypatch):
    folder, natural, broad = made
    spec = NetworkSpec("K", "equivariant_light", channels("sky_asinh", "VIS"))
    write_test_package(tmp_path / "K", (spec,), 9, geometry="mer10", name="K")
    rng, read = np.random.default_rng(5), {}
    for uri in (natural, broad):
        # The committee knows lenses, and K knows more.
        kinds = rng.choice(4, 8000, p=(0.5, 0.3, 0.1, 0.1)).astype(np.int8)
        lens = np.where(kinds > 0, 1.0, -1.0)[:, None]
        width = {"light": 1.8, "A": 1.8, "B": 1.8, "K": 1.0}
        of_lens = {name: 2 * (lens + of * rng.normal(size=(8000, 1))) / of**2 for name, of in width.items()}
        read[uri] = Margins({name: of + rng.normal(size=(8000, 3)) for name, of in of_lens.items()}, kinds)

    def drawn(networks, uri, *_):
        return read[uri].of(tuple(networks))

    monkeypatch.setattr("training.cascade.read_margins", drawn)
    given = (natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    card = assembled("joined", folder / "first", [folder / "A", folder / "B"], *given, candidates=tmp_path / "K")
    plain_card = assembled("plain", folder / "first", [folder / "A", folder / "B"], *given)
    stage = card.candidate_stage
    assert stage.lens.from_p_lens == pytest.approx(0.0001)
    assert stage == make_candidate_stage(stage.network, card.combiner, read[natural], 0.02, stage.lens.from_p_lens)
    # The stages lose lenses of the committee alone, whatever is corrected later.
    assert (card.first, card.early_exit) == (plain_card.first, plain_card.early_exit)
    assert card.default_cut != plain_card.default_cut
    text = card_markdown(card)
    assert "It corrects the `p_lens` of objects to which the committee gives 1.00e-04 or more." in text
    assert f"{stage.lens.slope:.2f} times a mean, plus {stage.lens.bias:.2f}" in text
    assert "which has a weight of 0.5. A curve corrects these log-odds again: -4 becomes " in text
    assert f"slopes of {stage.lens.curve.slopes[0]:.2f} below and {stage.lens.curve.slopes[1]:.2f} above." in text
    assert "The `p_lens` of candidates is that of the committee." not in text
    assert stage.metrics["auroc_lens"] > stage.metrics["auroc_lens_of_committee"]
    p_lens = {
        uri: after_stages(final_p_lens(card.combiner, stage, margins), card.first, card.early_exit, margins)
        for uri, margins in read.items()
    }
    lost = [float((p_lens[uri][read[uri].is_lens] < card.default_cut).mean()) for uri in (natural, broad)]
    assert lost == pytest.approx([card.metrics["cut_natural_lenses_lost"], card.metrics["cut_broad_lenses_lost"]])
    plain = final_p_lens(card.combiner, None, read[natural])
    assert auroc(p_lens[natural], read[natural].is_lens) > auroc(plain, read[natural].is_lens) + 0.01
    assert card.metrics["auroc"] == pytest.approx(auroc(p_lens[natural], read[natural].is_lens), abs=1e-6)


def test_a_second_opinion_is_part_of_the_cascade(made, tmp_path, monkeypatch):
    """It knows lenses that neither the committee nor K knows."""
    folder, natural, broad = made
    spec = NetworkSpec("K", "equivariant_light", channels("sky_asinh", "VIS"))
    write_test_package(tmp_path / "K", (spec,), 9, geometry="mer10", name="K")
    rng, read = np.random.default_rng(6), {}
    for uri in (natural, broad):
        kinds = rng.choice(4, 8000, p=(0.5, 0.3, 0.1, 0.1)).astype(np.int8)
        lens = np.where(kinds > 0, 1.0, -1.0)[:, None]
        width = {"light": 1.8, "A": 1.8, "B": 1.8, "K": 1.2, "B-B": 1.0}
        of_lens = {name: 2 * (lens + of * rng.normal(size=(8000, 1))) / of**2 for name, of in width.items()}
        read[uri] = Margins({name: of + rng.normal(size=(8000, 3)) for name, of in of_lens.items()}, kinds)
    monkeypatch.setattr("training.cascade.read_margins", lambda networks, uri, *_: read[uri].of(tuple(networks)))
    given = (natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    members = [folder / "A", folder / "B"]
    plain = assembled("plain", folder / "first", members, *given, candidates=tmp_path / "K")
    card = assembled("asked", folder / "first", members, *given, candidates=tmp_path / "K", second_opinion=folder / "B")
    stage = card.candidate_stage
    assert [network.name for network in stage.networks] == ["K", "B-B"]
    of = read[natural].of(("B-B",))
    combiner = with_lens_curve(fit_stack(of.by_network, of.kinds, "each"), of.by_network, of.kinds)
    assert stage.opinion.combiner == combiner
    assert stage.lens.opinion_share == OPINION_SHARE
    assert stage.metrics["auroc_lens"] > plain.candidate_stage.metrics["auroc_lens"] + 0.01
    assert "then a network for the candidates with a second opinion of 1 more" in card.description
    assert "`B-B` look at the same objects, and give a second opinion" in card_markdown(card)
    stored = load_network(tmp_path / "asked", stage.opinion.networks[0]).state_dict()
    expected = load_network(folder / "B", read_card(folder / "B").networks[0]).state_dict()
    assert all(torch.equal(stored[name], expected[name]) for name in expected)


def test_every_stage_is_calibrated_on_the_natural_draws(made, tmp_path, monkeypatch):
    """The natural and the broad objects differ, and so do the networks; each number is found again by hand."""
    folder, *uris = made
    rng, data = np.random.default_rng(7), {}
    for name, middle in (("natural", 1.0), ("broad", 0.8)):
        kinds = rng.choice(4, 8000, p=(0.5, 0.3, 0.1, 0.1)).astype(np.int8)
        lens = np.where(kinds > 0, middle, -middle)[:, None]
        of_kind = np.eye(4)[kinds][:, 1:]
        width = {"light": 1.0, "A": 0.8, "B": 0.7}
        by_network = {n: 2 * (lens + w * rng.normal(size=(8000, 1))) / w**2 + of_kind for n, w in width.items()}
        data[name] = Margins(by_network, kinds)
    read = dict(zip(uris, data.values(), strict=True))
    monkeypatch.setattr("training.cascade.read_margins", lambda networks, uri, *_: read[uri].of(tuple(networks)))
    members = [folder / "A", folder / "B"]
    card = assembled("joined", folder / "first", members, *uris, tmp_path, 0.0005, 0.02, no_progress)
    assert card.combiner.pooling == best_pooling(compare_poolings(*(of.of(("A", "B")) for of in data.values())))
    stages = (
        (card.combiner, ("A", "B")),
        (card.first.combiner, ("light",)),
        (card.early_exit.combiner, (card.early_exit.network,)),
    )
    for combiner, names in stages:
        of = data["natural"].of(names)
        fitted = with_lens_curve(fit_stack(of.by_network, of.kinds, combiner.pooling), of.by_network, of.kinds)
        assert combiner == fitted.assuming(0.0005, 0.02)
    alone = {name: card.combiner.combine(of.by_network).p_lens for name, of in data.items()}
    cut_alone = rounded_down(deep_cut(alone, data, 0.0005))
    for name, of in data.items():
        is_lens, kept = of.kinds > 0, alone[name] >= cut_alone
        p_first = card.first.combiner.combine(of.by_network).p_lens
        p_early = card.early_exit.combiner.combine(of.by_network).p_lens
        first, early = p_first < card.first.exclude_below, p_early < card.early_exit.exclude_below
        # An object that a stage excludes keeps the stage's probability, which may lie above a cut.
        found = np.where(first, p_first, np.where(early, p_early, alone[name])) >= card.default_cut
        assert card.metrics[f"cut_{name}_lenses_lost"] == pytest.approx(1 - found[is_lens].mean())
        assert card.metrics[f"cut_{name}_nonlenses_kept"] == pytest.approx(found[~is_lens].mean())
        # Of the lenses that the committee keeps at its own cut, four or five in a thousand are excluded before.
        assert card.first.metrics[f"{name}_lenses_lost"] == pytest.approx(first[kept & is_lens].mean())
        assert card.early_exit.metrics[f"{name}_lenses_lost"] == pytest.approx((first | early)[kept & is_lens].mean())
    lost = [card.early_exit.metrics[f"{name}_lenses_lost"] for name in data]
    assert MOST_LOST - 0.0005 < max(lost) <= MOST_LOST
    # The metrics are those of the mixture that was drawn, in which half of the objects are lenses.
    is_lens = data["natural"].kinds > 0
    of, stages = data["natural"], (card.first, card.early_exit)
    fitted = card.combiner.assuming(None, None).combine(of.by_network).p_lens
    for stage in reversed(stages):
        excluded = stage.combiner.combine(of.by_network).p_lens < stage.exclude_below
        fitted = np.where(excluded, stage.combiner.assuming(None, None).combine(of.by_network).p_lens, fitted)
    assert card.metrics["accuracy"] == pytest.approx(np.mean((fitted >= 0.5) == is_lens))
    assert card.metrics["recall"] == pytest.approx(np.mean(fitted[is_lens] >= 0.5))


def test_one_large_network_has_no_early_exit(made, tmp_path):
    folder, natural, broad = made
    card = assembled("alone", folder / "first", [folder / "A"], natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    assert card.first
    assert card.early_exit is None
    assert "Early exit" not in card_markdown(card)


def test_without_a_first_stage_the_committee_sees_every_object(made, tmp_path):
    folder, natural, broad = made
    members = [folder / "A", folder / "B"]
    card = assembled("joined", None, members, natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    assert card.first is card.early_exit is None
    # Turns would cost every object several times the work.
    assert [(network.name, network.turns) for network in card.networks] == [("A", 1), ("B", 1)]
    assert isinstance(load_scorer(tmp_path / "joined"), Ensemble)
    text = card_markdown(card)
    lost = card.metrics["cut_natural_lenses_lost"]
    assert f"\nThe cut loses {lost:.3f} of the natural lenses, " in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| each |", "| without_lowest |"))]
    assert [float(cell.strip(" |")) for cell in rows[0][1:]] == pytest.approx(
        [card.metrics[f"pooling_each_{name}"] for name in ("log_loss", "natural_recall", "broad_recall")], abs=5e-5
    )
    assert len(rows) == 2


def test_further_non_lenses_calibrate_every_stage(made, tmp_path):
    folder, natural, broad = made
    given = (folder / "first", [folder / "A", folder / "B"], natural, broad, tmp_path, 0.0005, 0.02, no_progress)
    plain = assembled("plain", *given)
    # Further non-lenses that look like lenses: a lens is then less likely than its margins promised.
    read = read_margins(choose_networks(folder / "first", [folder / "A", folder / "B"]).everything, natural, no_progress)
    alike = {name: np.repeat(values[read.is_lens], 3, axis=0) for name, values in read.by_network.items()}
    more = MoreNonLenses(alike, "n=180, seed=5, geometry mer10, preset euclid", '{"seed":5}')
    card = assembled("more", *given, more)
    lenses = read.rows(read.is_lens)
    for before, after in ((plain.combiner, card.combiner), (plain.first.combiner, card.first.combiner)):
        assert after.fitted_prevalence == pytest.approx(60 / 260)
        assert before.fitted_prevalence == pytest.approx(60 / 80)
        p_before, p_after = (stage.combine(lenses.by_network).p_lens.mean() for stage in (before, after))
        assert p_after < p_before
    assert "fitted on 260 natural draws that no network saw." in card.calibration
    text = "Calibrated on 140 further objects, and on non-lenses alone: n=180, seed=5, geometry mer10, preset euclid"
    assert card.training_data.description.endswith(text)
    assert card.training_data.data_sets == (*plain.training_data.data_sets, more.digest)
    assert card.training_data.simulations == ('{"seed":5}',)
    assert card.training_data.calibrated_on == (*plain.training_data.calibrated_on, more.digest, '{"seed":5}')
