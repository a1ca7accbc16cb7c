"""The stages on the card of a cascade: what they refuse, and what their digests hold."""

import pytest
from pydantic import ValidationError

from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import draft_network_card
from scanner.networks.stage_cards import SecondOpinion
from scanner.preprocess.channel import channels
from tests.scanner.cascades import OTHERS, candidate_stage, lens_regression, second_opinion, stack

CORRECTS = lens_regression(opinion_share=0.3)


@pytest.mark.parametrize(
    ("lens", "opinion"), [(None, second_opinion()), (lens_regression(), second_opinion()), (CORRECTS, None)]
)
def test_an_opinion_and_its_weight_need_each_other(lens, opinion):
    with pytest.raises(ValidationError, match="a second opinion and its weight belong together"):
        candidate_stage(lens=lens, opinion=opinion)


def test_a_second_opinion_combines_its_own_networks():
    with pytest.raises(ValidationError, match=r"must combine its networks, \('other-A', 'other-B'\), got \('A', 'B'\)"):
        second_opinion(combiner=stack(("A", "B")))
    plain = draft_network_card(NetworkSpec("P", "ou66", channels("min_max", "VIS")), "mer10", {})
    with pytest.raises(ValidationError, match=r"must distinguish .*'P': \('nonlens', 'lens'\)"):
        SecondOpinion(networks=(plain,), combiner=stack(("P",)))


def test_all_of_a_second_opinion_decides():
    stage = candidate_stage(lens=CORRECTS, opinion=second_opinion())
    others = (
        second_opinion(combiner=stack(("other-A", "other-B"), biases=(0.0, 0.1, 0.0, 0.0))),
        second_opinion(networks=(OTHERS[0], OTHERS[1].model_copy(update={"turns": 4}))),
        second_opinion(networks=(OTHERS[0], OTHERS[1].model_copy(update={"sha256": "1" * 64}))),
    )
    decides = [candidate_stage(lens=CORRECTS, opinion=of).what_decides() for of in (second_opinion(), *others)]
    assert decides[0] == stage.what_decides()
    assert all(of != decides[0] for of in decides[1:])
    assert "opinion" not in candidate_stage(lens=lens_regression()).what_decides()


def test_every_network_of_a_stage_is_changed():
    stage = candidate_stage(lens=CORRECTS, opinion=second_opinion())
    changed = stage.with_networks(lambda network: network.model_copy(update={"sha256": network.name}))
    assert [network.sha256 for network in changed.networks] == ["K", "other-A", "other-B"]
    assert changed.with_networks(lambda network: network.model_copy(update={"sha256": "0" * 64})) == stage
