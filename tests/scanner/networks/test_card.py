"""Cards of networks and ensembles: what they may say, and what their digests cover.

`test_package` damages cards on disk.
"""

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.architectures import NetworkSpec
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card, write_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.locate import SHIPPED_DIR
from scanner.preprocess.channel import channels
from scanner.vocabulary.kinds import KINDS
from tests.scanner.cascades import candidate_stage, cascade_card, early_exit, lens_regression
from tests.scanner.cascades import stack as cascade_stack
from tests.scanner.ensembles import SPECS, card


def changed(network, **changes):
    """Return the content of a card whose network of that index has other values."""
    content = card().model_dump()
    networks = [{**of_network, **(changes if i == network else {})} for i, of_network in enumerate(content["networks"])]
    return {**content, "networks": networks}


def stack(n_logit_margins):
    """Return a combiner of OU-H and OU-66, which have one logit margin each."""
    return SoftmaxStack(
        kind="softmax_stack",
        networks=("OU-H", "OU-66"),
        classes=KINDS,
        clip=5.0,
        centre=(0.0,) * n_logit_margins,
        scale=(1.0,) * n_logit_margins,
        weights=((1.0,) * n_logit_margins,) * len(KINDS),
        biases=(0.0,) * len(KINDS),
        training_fractions=(0.25,) * 4,
        prevalence=None,
    )


@pytest.mark.parametrize("name", ["lens", "Compound"])
def test_no_network_may_have_the_name_of_a_column(name):
    with pytest.raises(ValidationError, match=f"p_{name.lower()} is a column"):
        EnsembleCard(**changed(0, name=name))


@pytest.mark.parametrize("name", ["OU-66", "ou.66", "Ou_66"])
def test_networks_whose_columns_would_be_one_are_refused(name):
    with pytest.raises(ValidationError, match=rf"needs a column of its own, but \['{name}', 'OU-66'\] share p_ou_66"):
        EnsembleCard(**changed(0, name=name))


def test_files_that_differ_in_case_only_are_refused():
    with pytest.raises(ValidationError, match="weights_file must differ between networks"):
        EnsembleCard(**changed(0, weights_file="ou-66.safetensors"))


@pytest.mark.parametrize("n_logit_margins", [1, 3])
def test_a_stack_reads_every_logit_margin_of_its_networks(n_logit_margins):
    assert card(combiner=stack(2)).combiner.networks == ("OU-H", "OU-66")
    with pytest.raises(ValidationError, match=f"must read 2 logit margins, got {n_logit_margins}"):
        card(combiner=stack(n_logit_margins))


@pytest.mark.parametrize(("prevalence", "threshold"), [(None, 0.5), (0.001, 0.002), (0.25, 0.5), (0.4, 0.5)])
def test_the_threshold_is_twice_the_prevalence_up_to_one_half(prevalence, threshold):
    assert card(assumed_prevalence=prevalence).candidate_threshold == threshold


def test_a_cut_that_decides_kinds_is_in_the_digest():
    for lens, decides in ((None, True), (lens_regression(from_p_lens=0.05), True), (lens_regression(from_p_lens=0.01), False)):
        cards = [cascade_card(candidate_stage=candidate_stage(lens=lens), default_cut=cut) for cut in (0.02, 0.03)]
        assert (cards[0].sha256 != cards[1].sha256) == decides
    kinds_alone = [cascade_card(candidate_stage=candidate_stage(), default_cut=cut) for cut in (0.02, 0.03)]
    assert kinds_alone[0].lens_sha256 == kinds_alone[1].lens_sha256


@pytest.mark.parametrize(
    ("asked", "alone", "of_two"), [(None, 0.0012, 0.0012), ("list", 0.0012, 0.0012), ("deep", 0.0012, 0.0004), (0.3, 0.3, 0.3)]
)
def test_a_threshold_is_a_number_or_a_cut(asked, alone, of_two):
    """Without a cut `deep`, that of the list is the deepest."""
    one = card(assumed_prevalence=0.001, default_cut=0.0012)
    two = card(assumed_prevalence=0.001, default_cut=0.0012, deep_cut=0.0004)
    assert (one.threshold(asked), two.threshold(asked)) == (alone, of_two)


def test_the_deep_cut_lies_below_the_default_one():
    with pytest.raises(ValidationError, match=r"deep_cut must lie below the default cut, 0\.002, got 0\.002"):
        card(assumed_prevalence=0.001, deep_cut=0.002)


def test_a_cut_of_the_card_changes_no_digest():
    plain = card(assumed_prevalence=0.001)
    chosen = plain.model_copy(update={"default_cut": 0.0012})
    assert (plain.candidate_threshold, chosen.candidate_threshold) == (0.002, 0.0012)
    assert chosen.sha256 == plain.sha256
    with pytest.raises(ValidationError, match="default_cut"):
        card(default_cut=1.0)


def test_cuts_make_a_table_of_purity():
    content = read_card(SHIPPED_DIR / "mer3-sim").model_dump()
    given = EnsembleCard(**content)
    assert given.purity_table.cuts == given.cuts
    assert given.purity_table.prevalence == given.assumed_prevalence
    assert card().purity_table is None
    with pytest.raises(ValidationError, match="cuts must rise in p_lens"):
        EnsembleCard(**content | {"cuts": given.cuts[::-1]})
    with pytest.raises(ValidationError, match="cuts hold at an assumed prevalence only, but p_lens is not calibrated"):
        EnsembleCard(**content | {"assumed_prevalence": None})


def test_networks_move_to_the_prior_of_the_ensemble():
    """The regression was fitted with three lenses in five objects: odds fall by the ratio of the prior odds."""
    of_stack = stack(2).model_copy(update={"training_fractions": (0.4, 0.3, 0.2, 0.1)})
    moved = card(combiner=of_stack, assumed_prevalence=0.001).at_assumed_prevalence(np.float32([0.9, 0.6, 0.0]))
    odds = np.array([9, 1.5, 0]) * (0.001 / 0.999) / (0.6 / 0.4)
    assert moved == pytest.approx(odds / (1 + odds), rel=1e-6)
    assert card().at_assumed_prevalence(np.float32([0.25])).tolist() == [0.25]


def test_the_digest_covers_scores_and_not_texts():
    digest = card().sha256
    assert card(name="other", description="other", metrics={"auroc": 0.9}, limits=()).sha256 == digest
    shipped = read_card(SHIPPED_DIR / "mer3-sim")
    assert shipped.model_copy(update={"cuts": ()}).sha256 == shipped.sha256
    assert EnsembleCard(**changed(0, metrics={})).sha256 == digest
    assert EnsembleCard(**changed(0, sha256="1" * 64)).sha256 != digest
    assert card(combiner=card().combiner.model_copy(update={"networks": ("OU-H",)})).sha256 != digest
    assert card((NetworkSpec("OU-H", "ou66", channels("min_max", "J")), *SPECS[1:])).sha256 != digest


# The cascade: that of its committee, four of its candidate network, and two that calibrate both.
@pytest.mark.parametrize(("name", "n_data_sets"), [("ou7-sim", 3), ("mer3-cascade", 26)])
def test_a_shipped_card_of_several_rounds_lists_all_data_sets(name, n_data_sets):
    data = read_card(SHIPPED_DIR / name).training_data
    assert len(set(data.data_sets)) == n_data_sets
    assert data.known_data_sets == data.data_sets


def test_a_shipped_card_knows_the_one_digest_that_it_states(tmp_path):
    """A list of data sets, which it lacks, does not appear when it is written again."""
    shipped = read_card(SHIPPED_DIR / "mer3-sim")
    assert shipped.training_data.known_data_sets == (shipped.training_data.digest,)
    write_card(tmp_path, shipped)
    assert "data_sets" not in (tmp_path / "card.json").read_text()
    listed = shipped.training_data.model_copy(update={"data_sets": ("a" * 64, "b" * 64)})
    assert listed.known_data_sets == ("a" * 64, "b" * 64)


def test_each_network_has_one_scale():
    """By hand: margins of 0, ln 2 and -40 of each of three kinds."""
    margins = np.repeat(np.log([[1.0], [2.0], [np.exp(-40)]]), 3, axis=1)
    odds = np.array([3, 6, 3 * np.exp(-20)])
    # The stack of one stage and of pooled networks adds up clipped margins. Half of its objects are lenses, then one in 100.
    calibrated = (odds / 99) / (1 + odds / 99)
    own = np.array([3, 6, 3 * np.exp(-40)]) / 99
    of_stages = cascade_card(early_exit=early_exit(0.02))
    pooled = cascade_card(committee=cascade_stack(("A",), networks=("A", "B"), pooling="mean_probability"))
    for name, found in {"light": of_stages, "A": of_stages, "B": pooled}.items():
        assert found.p_of_network(name, margins) == pytest.approx(calibrated, rel=1e-6)
    assert of_stages.p_of_network("B", margins) == pytest.approx(own / (1 + own), rel=1e-6)
    assert card().p_of_network("OU-H", margins[:, :1]) == pytest.approx([1 / 2, 2 / 3, np.exp(-40)])
