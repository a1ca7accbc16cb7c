"""Tests of the configuration and its presets."""

import pytest
from pydantic import ValidationError

from scanner.networks.architectures import PAPER_NETWORKS
from training.config import PRESETS, TrainConfig

OU_J = PAPER_NETWORKS[0]


def test_the_learning_rate_rises_then_falls_to_zero():
    one_cycle = TrainConfig(schedule="one_cycle", learning_rate=0.01)
    rates = [one_cycle.learning_rate_at(progress) for progress in (0.0, 0.075, 0.15, 0.575, 1.0)]
    assert rates == pytest.approx([0.0004, 0.0052, 0.01, 0.005, 0.0], abs=1e-12)
    assert {PRESETS["paper"].learning_rate_at(progress) for progress in (0.0, 0.5, 1.0)} == {3e-4}


def test_the_paper_preset_has_the_values_of_the_paper():
    paper = PRESETS["paper"]
    assert (paper.epochs, paper.learning_rate) == (250, 3e-4)
    sizes = {spec.name: paper.batch_size_of(spec) for spec in paper.networks}
    assert (sizes["OU-66"], sizes["OU-200"]) == (250, 125)
    assert len(sizes) == 7


@pytest.mark.parametrize("networks", [(), (OU_J, OU_J)])
def test_networks_need_unique_names(networks):
    with pytest.raises(ValueError, match="each once"):
        TrainConfig(networks=networks)


def test_an_unknown_geometry_is_refused():
    with pytest.raises(ValueError, match=r"geometry must be one of \['challenge', 'mer', 'mer10'\], got 'hst'"):
        TrainConfig(geometry="hst")


def test_presets_read_stamps_that_hold_their_inputs():
    assert {name: config.geometry for name, config in PRESETS.items()} == {
        "flagship": "mer10",
        "committee": "mer10",
        "first_stage": "mer10",
        "kind": "mer10",
        "candidates": "mer10",
        "paper": "challenge",
        "laptop": "challenge",
    }
    assert [spec.name for spec in PRESETS["flagship"].networks] == ["compact-sky", "equivariant-sky", "equivariant-centre"]
    assert PRESETS["flagship"].network("compact-sky").architecture == "compact"


def test_some_networks_of_a_preset_can_be_chosen():
    chosen = PRESETS["committee"].with_networks(["compact-sky", "equivariant-sky"])
    assert [spec.name for spec in chosen.networks] == ["equivariant-sky", "compact-sky"]
    with pytest.raises(ValueError, match=r"networks must be among equivariant-sky, .*, got light"):
        PRESETS["committee"].with_networks(["equivariant-sky", "light"])


def test_a_committee_has_seven_networks_that_differ():
    specs = PRESETS["committee"].networks
    assert len({(spec.architecture, spec.channels) for spec in specs}) == len(specs) == 7
    assert len({spec.architecture for spec in specs}) == 4
    assert {spec.channels[0].scaling for spec in specs if spec.name.endswith("-sky")} == {"sky_asinh"}


def test_networks_learn_from_a_teacher_or_from_grades():
    with pytest.raises(ValidationError, match="either from a teacher or from grades"):
        TrainConfig(teacher="a", graded="b")
    assert TrainConfig(graded="b").graded_share == 0.2


def test_networks_learn_the_kind_from_lenses_that_have_one():
    kind = PRESETS["kind"]
    assert kind.lenses_only
    with pytest.raises(ValidationError, match="must distinguish nonlens, single"):
        TrainConfig(lenses_only=True, balance_classes=False)
    with pytest.raises(ValidationError, match="balance_classes must be false"):
        TrainConfig.model_validate({**kind.model_dump(), "balance_classes": True})
    for other in ("graded", "teacher"):
        with pytest.raises(ValidationError, match="learn from no grades and no teacher"):
            TrainConfig.model_validate({**kind.model_dump(), other: "b"})
    # Fits that began before the option existed go on.
    assert "lenses_only" in kind.model_dump()
    assert "lenses_only" not in TrainConfig().model_dump()
