"""Networks of a cascade are chosen from packages, and those that cannot work together are refused."""

import shutil

import numpy as np
import pytest

from scanner.networks.architectures import ARCHITECTURES, NetworkSpec
from scanner.networks.card_file import read_card, write_card
from scanner.networks.ensemble import Ensemble
from scanner.networks.package import load_package, load_scorer
from scanner.preprocess.channel import channels
from scanner.vocabulary.geometry import MER_10
from tests.scanner.ensembles import SPECS, write_test_package
from training.cascade_networks import choose_networks
from training.errors import TrainingError
from training.limits import LENSES_ALONE


def spec_of(name, band="VIS"):
    return NetworkSpec(name, "equivariant_light", channels("sky_asinh", band))


MEMBERS = (spec_of("A"), spec_of("B", "H"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with packages of one network each, named first, A, B and K, and one of two."""
    folder = tmp_path_factory.mktemp("networks")
    for number, spec in enumerate((spec_of("light"), *MEMBERS, spec_of("K"))):
        name = "first" if spec.name == "light" else spec.name
        write_test_package(folder / name, (spec,), number, geometry="mer10", name=name)
    write_test_package(folder / "two", MEMBERS, geometry="mer10", name="two")
    return folder


def test_networks_have_the_order_of_the_stages(folder):
    chosen = choose_networks(folder / "first", [folder / "B", folder / "A"], folder / "K")
    assert list(chosen.everything) == ["light", "B", "A", "K"]
    assert list(chosen.committee) == ["B", "A"]
    assert chosen.geometry == "mer10"
    assert [card.name for card in chosen.packages()] == ["first", "B", "A", "K"]
    assert [card.name for card in choose_networks(None, [folder / "two"]).packages()] == ["two"]


def test_a_committee_behind_a_first_stage_is_turned(folder):
    def turns(*given, **options):
        return [network.turns for _, network in choose_networks(*given, **options).everything.values()]

    members = [folder / "A", folder / "B"]
    assert turns(folder / "first", members) == [1, 2, 2]
    assert turns(folder / "first", members, folder / "K", turns=False) == [1, 1, 1, 2]
    assert turns(None, members) == [1, 1]


def test_networks_keep_the_turns_that_their_cards_name(folder, tmp_path):
    shutil.copytree(folder / "A", tmp_path / "A")
    card = read_card(tmp_path / "A")
    write_card(tmp_path / "A", card.model_copy(update={"networks": (card.networks[0].model_copy(update={"turns": 8}),)}))
    found = choose_networks(folder / "first", [tmp_path / "A", folder / "B"])
    assert [network.turns for _, network in found.committee.values()] == [8, 2]


@pytest.mark.parametrize("first", ["first", None])
def test_without_turns_those_of_the_cards_do_not_count(folder, tmp_path, first):
    shutil.copytree(folder / "A", tmp_path / "A")
    card = read_card(tmp_path / "A")
    write_card(tmp_path / "A", card.model_copy(update={"networks": (card.networks[0].model_copy(update={"turns": 8}),)}))
    stage, members = first and folder / first, [tmp_path / "A", folder / "B"]
    plain = choose_networks(stage, members, turns=False)
    assert [network.turns for _, network in plain.committee.values()] == [1, 1]
    turned = choose_networks(stage, members)
    assert [network.turns for _, network in turned.committee.values()] == [8, 2 if first else 1]


def test_plain_networks_are_turned_and_others_mirrored():
    architectures = ("compact", "compact_wide", "equivariant", "equivariant_wide", "equivariant_middle")
    assert [ARCHITECTURES[name].turns for name in architectures] == [4, 4, 2, 2, 2]


def test_an_unfitted_package_shows_every_object_to_every_network(folder, tmp_path):
    chosen = choose_networks(folder / "first", [folder / "A"], folder / "K")
    written = chosen.write_unfitted(tmp_path / "unfitted")
    assert read_card(tmp_path / "unfitted") == written
    scorer = load_scorer(tmp_path / "unfitted")
    assert isinstance(scorer, Ensemble)
    rng = np.random.default_rng(0)
    stamps = {band: rng.normal(0, 3, (2, 100, 100)).astype(np.float32) for band in MER_10.grids}
    margins = scorer.logit_margins(stamps)
    assert list(margins) == ["light", "A", "K"]
    alone = load_package(folder / "first").logit_margins(stamps)["light"]
    np.testing.assert_allclose(margins["light"], alone, rtol=1e-5, atol=1e-5)
    # The name of a package does not decide its scores, so that margins of a killed run can be used again.
    assert chosen.write_unfitted(tmp_path / "again").sha256 == written.sha256


def test_a_candidate_network_that_cannot_be_used_is_refused(folder, tmp_path):
    write_test_package(tmp_path / "paper", SPECS[:1], geometry="mer10", name="paper")
    for first, last, message in (
        (folder / "first", folder / "A", "got A in two stages"),
        (folder / "first", folder / "first", "got light in two stages"),
        (folder / "first", folder / "two", "must be alone in its package, or that of a cascade, got 2 networks"),
        (folder / "first", tmp_path / "paper", "must distinguish nonlens, single, .*, got nonlens, lens"),
        (None, folder / "B", "a candidate network needs a cascade"),
    ):
        with pytest.raises(TrainingError, match=message):
            choose_networks(first, [folder / "A"], last)


def test_a_second_opinion_has_the_name_of_its_ensemble(folder, tmp_path):
    """Its networks may have the names of the committee's; their weights and files stay apart."""
    write_test_package(tmp_path / "other", MEMBERS, 7, geometry="mer10", name="other")
    chosen = choose_networks(folder / "first", [folder / "two"], folder / "K", tmp_path / "other")
    assert list(chosen.everything) == ["light", "A", "B", "K", "other-A", "other-B"]
    assert [card.name for card in chosen.packages()] == ["first", "two", "K", "other"]
    card = chosen.write_unfitted(tmp_path / "pack")
    assert [network.weights_file for network in card.networks[-2:]] == ["other-A.safetensors", "other-B.safetensors"]
    before = read_card(tmp_path / "other")
    assert [network.sha256 for network in card.networks[-2:]] == [network.sha256 for network in before.networks]
    # As its own card says: not turned, as a committee behind a first stage is.
    assert [network.turns for network in card.networks] == [1, 2, 2, 2, 1, 1]


def test_a_second_opinion_that_cannot_be_used_is_refused(folder, tmp_path):
    first, members = folder / "first", [folder / "two"]
    with pytest.raises(TrainingError, match="name one of the candidates too"):
        choose_networks(first, members, None, folder / "A")
    write_test_package(tmp_path / "plain", SPECS[:1], geometry="mer10", name="plain")
    with pytest.raises(TrainingError, match=r"the second opinion must distinguish nonlens, .*plain-"):
        choose_networks(first, members, folder / "K", tmp_path / "plain")
    write_test_package(tmp_path / "far", (spec_of("far"),), geometry="challenge", name="far")
    with pytest.raises(TrainingError, match="must read the same geometry"):
        choose_networks(first, members, folder / "K", tmp_path / "far")


def test_networks_that_cannot_be_told_apart_are_refused(folder):
    a, first = folder / "A", folder / "first"
    for stages, message in (((first, [a, a]), "got A twice"), ((a, [a]), "got A in both stages")):
        with pytest.raises(TrainingError, match=message):
            choose_networks(*stages)


def test_a_first_stage_is_one_network(folder):
    with pytest.raises(TrainingError, match="two: the first stage must be a package of one network, got 2"):
        choose_networks(folder / "two", [folder / "K"])


def test_networks_of_different_geometries_are_refused(folder, tmp_path):
    write_test_package(tmp_path / "C", (spec_of("C"),), name="C")
    with pytest.raises(TrainingError, match="must read the same geometry, got mer10 of A, challenge of C"):
        choose_networks(None, [folder / "A", tmp_path / "C"])


def test_what_learnt_from_lenses_alone_is_a_candidate_network_only(folder, tmp_path):
    shutil.copytree(folder / "K", tmp_path / "K")
    write_card(tmp_path / "K", read_card(tmp_path / "K").model_copy(update={"limits": (LENSES_ALONE,)}))
    for stages in ((tmp_path / "K", [folder / "A"]), (folder / "first", [tmp_path / "K"])):
        with pytest.raises(TrainingError, match="has learnt from lenses alone, and can be the candidate network"):
            choose_networks(*stages)
    assert choose_networks(folder / "first", [folder / "A"], tmp_path / "K").candidate
