"""The kind network of a cascade of hand-set networks: K looks at what the committee, A and B, keeps."""

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Cascade
from scanner.networks.ensemble import Ensemble
from scanner.networks.errors import PackageError
from scanner.networks.feature_reference import read_reference
from scanner.networks.kind_network import KindNetwork
from scanner.networks.package import draft_network_card, load_scorer
from scanner.networks.prevalence import with_prevalence
from scanner.preprocess.channel import channels
from scanner.scan import scoring
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import (
    KIND,
    Pixel,
    cascade_card,
    early_exit,
    kind_regression,
    kind_stage,
    pixel_stages,
    scanned_stamps,
    stack,
    stamps_of,
    write_cascade,
)  # fmt: skip
from tests.scanner.ensembles import SPECS
from tests.scanner.feature_references import drawn_reference, give_reference
from tests.scanner.rounding import sweep_by_rounding

N = 48


class KindPixel(Pixel):
    """An engine that finds double rings where one pixel of the input is bright, and single lenses elsewhere."""

    def logits(self, inputs):
        self.n_rows += len(inputs)
        seen = inputs[:, 0, 0, self._at]
        return np.stack([0 * seen, 0 * seen, 0 * seen - 20, seen - 5], axis=1).astype(np.float32)


RINGS = kind_regression(weights=((0.0,) * 4, (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
"""A regression that says what the kind network says."""


@pytest.fixture
def stages(monkeypatch):
    return pixel_stages(monkeypatch, cascade_card(kind_stage=kind_stage(combiner=RINGS)))


def kind_network(card, from_p_lens, share=None):
    ensemble = Ensemble(card.kind_stage_card, {"K": KindPixel(3)})
    return ensemble.engines["K"], KindNetwork(ensemble, RINGS.assuming(share), from_p_lens)


def pixels(*rows):
    stamps = stamps_of(*[row[:3] for row in rows])
    for images in stamps.values():
        images[:, 0, 3] = [row[3] for row in rows]
    return stamps


def test_the_kind_network_sees_the_candidates_alone(stages):
    whole, first, committee = stages
    # The second is excluded by the first stage, the third is below the limit.
    stamps = pixels((9, 9, 9, 9), (0, 9, 9, 9), (9, 0, 2, 9), (9, 8, 9, 1))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    limit = float(without.p_lens[3])
    engine, network = kind_network(whole, limit)
    scores = Cascade(whole, first, committee, 0.01, kind_network=network).score(stamps)
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
    engine, network = kind_network(whole, np.nextafter(limit, 1))
    Cascade(whole, first, committee, 0.01, kind_network=network).score(stamps)
    assert engine.n_rows == 1


def test_the_share_of_compound_lenses_is_assumed(stages):
    whole, first, committee = stages
    stamps = pixels((9, 9, 9, 7))
    scores = [
        Cascade(whole, first, committee, 0.01, kind_network=kind_network(whole, 0.01, share)[1]).score(stamps)
        for share in (None, 0.02)
    ]
    # Whatever is assumed, the kind is the likeliest in the fitted mixture.
    assert [of.subclass[0] for of in scores] == ["double_ring", "double_ring"]
    odds = [of.p_compound[0] / (of.p_lens[0] - of.p_compound[0]) for of in scores]
    assert odds[1] / odds[0] == pytest.approx((0.02 / 0.98) / (0.4 / 0.6), rel=1e-4)


def test_a_nonlens_of_the_fitted_mixture_stays_one(stages):
    whole, first, committee = stages
    stamps = pixels((9, 4, 3, 9))
    without = Cascade(whole, first, committee, 0.01).score(stamps)
    engine, network = kind_network(whole, 1e-6)
    scores = Cascade(whole, first, committee, 0.01, kind_network=network).score(stamps)
    assert engine.n_rows == 1
    assert without.subclass == scores.subclass == ["nonlens"]
    assert scores.p_compound[0] != without.p_compound[0]


def test_it_follows_an_early_exit(monkeypatch):
    whole, first, committee = pixel_stages(
        monkeypatch, cascade_card(early_exit=early_exit(0.02), kind_stage=kind_stage(combiner=RINGS))
    )
    engine, network = kind_network(whole, 0.01)
    scores = Cascade(whole, first, committee, 0.01, whole.early_exit, network).score(
        pixels((9, 9, 9, 9), (9, 0, 9, 9), (0, 9, 9, 9), (9, 9, 8, 1))
    )
    assert scores.stage.tolist() == [2, 1, 1, 2]
    assert engine.n_rows == 2
    assert [scores.subclass[row] for row in (0, 3)] == ["double_ring", "single"]


def test_a_rounded_committee_tells_no_kinds(stages):
    whole, first, committee = stages
    engine, network = kind_network(whole, 1e-9)
    rounded = Cascade(whole, first, committee, 0.01, kind_network=network).with_committee(committee)
    rounded.score(pixels((9, 9, 9, 9)))
    assert engine.n_rows == 0


def test_a_package_keeps_its_kind_network(tmp_path, rng):
    written = write_cascade(tmp_path / "pack", kind_stage=kind_stage())
    assert read_card(tmp_path / "pack") == written
    assert [network.name for network in written.all_networks] == ["light", "A", "B", "K"]
    assert [network.name for network in written.lens_networks] == ["light", "A", "B"]
    assert load_scorer(tmp_path / "pack").network_names == ("light", "A", "B")
    write_cascade(tmp_path / "without")
    assert "kind_stage" not in (tmp_path / "without" / "card.json").read_text()
    (tmp_path / "pack" / "K.safetensors").write_bytes(b"")
    with pytest.raises(PackageError, match=r"K\.safetensors"):
        load_scorer(tmp_path / "pack")


def test_candidates_are_those_of_the_scan(tmp_path, rng):
    given = {band: rng.normal(0, 3, (12, 100, 100)).astype(np.float32) for band in MER_10.grids}
    write_cascade(tmp_path / "without", 1e-9)
    without = load_scorer(tmp_path / "without").score(given)
    fifth, eighth = (float(np.sort(without.p_lens)[i]) for i in (4, 7))
    write_cascade(tmp_path / "pack", 1e-9, kind_stage=kind_stage(), default_cut=fifth)
    # A threshold above the card's changes nothing.
    for threshold, at_least, expected in ((eighth, fifth, 8), (None, fifth, 8), (1e-9, 0.0, 12)):
        scores = load_scorer(tmp_path / "pack", candidate_threshold=threshold).score(given)
        is_told = scores.p_compound != without.p_compound
        assert is_told.tolist() == (without.p_lens.astype(np.float64) >= at_least).tolist()
        assert is_told.sum() == expected


@pytest.mark.parametrize("exits", [False, True])
def test_a_scan_with_rounded_arithmetic_stores_the_exact_kinds(tmp_path, monkeypatch, exits):
    given = synthetic_stamps(MER_10, N)
    write_cascade(tmp_path / "first", 1e-9)
    limit = float(np.quantile(load_scorer(tmp_path / "first").score(given).p_first, 0.2))
    of_exit = early_exit(limit / 10) if exits else None
    likely = stack(("A", "B"), biases=(0.0, 2.0, 2.0, 2.0))
    write_cascade(tmp_path / "pack", limit, of_exit, kind_stage=kind_stage(), committee=likely)
    whole = scanned_stamps(tmp_path / "pack", given, engine="openvino", sweep=False)
    seen = np.array(whole["stage"].to_pylist()) == 2
    threshold = float(np.quantile(whole["p_lens"].to_numpy()[seen], 0.6))
    write_cascade(tmp_path / "pack", limit, of_exit, kind_stage=kind_stage(), committee=likely, default_cut=threshold)
    write_cascade(tmp_path / "without", limit, of_exit, committee=likely)
    settings = {"candidate_threshold": threshold, "engine": "openvino", "batch_size": 5}
    whole = scanned_stamps(tmp_path / "pack", given, sweep=False, **settings)
    sweep_by_rounding(monkeypatch)
    monkeypatch.setattr(scoring, "CASCADE_MARGIN", 0.05)
    swept = scanned_stamps(tmp_path / "pack", given, **settings)
    is_candidate = whole["p_lens"].to_numpy() >= threshold
    assert 3 < is_candidate.sum() < seen.sum()
    assert swept.filter(is_candidate).equals(whole.filter(is_candidate))
    # Some rows that the committee saw stay rounded: the kind network does not look at them.
    assert "bfloat16" in set(np.array(swept["precision"].to_pylist())[seen])
    told, untold = (load_scorer(tmp_path / name, "openvino").score(given) for name in ("pack", "without"))
    assert (told.p_compound != untold.p_compound).tolist() == is_candidate.tolist()
    assert swept["p_compound"].to_numpy()[is_candidate].tolist() == told.p_compound[is_candidate].tolist()


def test_what_decides_the_kinds_is_in_the_digest():
    stages = (None, kind_stage(), kind_stage(combiner=kind_regression(biases=(0.0, 0.1, 0.0))))
    assert len({cascade_card(kind_stage=of).sha256 for of in stages}) == 3
    measured = kind_stage(metrics={"auroc_compound": 0.9})
    assert cascade_card(kind_stage=measured).sha256 == cascade_card(kind_stage=kind_stage()).sha256
    # It decides neither p_lens nor the features, so what was measured of these still holds.
    plain = cascade_card()
    assert {cascade_card(kind_stage=of).lens_sha256 for of in stages} == {plain.lens_sha256} == {plain.sha256}
    assert cascade_card(kind_stage=kind_stage()).first_stage_card.kind_stage is None
    assert cascade_card().kind_stage_card is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"combiner": kind_regression(network="A")}, "must read the kind network K, got A"),
        ({"combiner": kind_regression(committee=("A",))}, r"\('A', 'B'\), got \('A',\)"),
        (
            {"network": draft_network_card(SPECS[0], "mer10", {})},
            r"must distinguish \('nonlens', 'single', .*, got \('nonlens', 'lens",
        ),
        (
            {"network": KIND.model_copy(update={"name": "A"}), "combiner": kind_regression(network="A")},
            "share p_a",
        ),
        (
            {"combiner": kind_regression(compound_share=0.02)},
            "committee's share of compound lenses, 0.4, got 0.02",
        ),
    ],
)
def test_a_kind_network_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        cascade_card(kind_stage=kind_stage(**changes))


def test_a_kind_network_needs_a_first_stage():
    given = cascade_card(kind_stage=kind_stage()).model_dump()
    with pytest.raises(ValidationError, match="a kind network needs a first stage"):
        type(cascade_card()).model_validate({**given, "first": None})
    with pytest.raises(ValidationError, match="needs a default_cut"):
        type(cascade_card()).model_validate({**given, "default_cut": None})


def test_a_kind_network_needs_a_committee_that_knows_kinds():
    whole = cascade_card(kind_stage=kind_stage())
    other = draft_network_card(NetworkSpec("A", "ou66", channels("min_max", "VIS")), "mer10", {})
    content = whole.model_dump() | {"networks": (other, whole.networks[1]), "combiner": stack(("B",))}
    with pytest.raises(ValidationError, match=r"networks distinguish .*'A': \('nonlens', 'lens'\)"):
        type(whole).model_validate(content)


def test_a_sample_and_a_reference_outlive_their_kind_network(tmp_path):
    write_cascade(tmp_path, kind_stage=kind_stage())
    give_reference(tmp_path, drawn_reference(16 + 64))
    card = read_card(tmp_path)
    assert read_reference(tmp_path, card) is not None
    changed = card.model_copy(update={"kind_stage": kind_stage(combiner=kind_regression(biases=(0.0, 0.1, 0.0)))})
    assert changed.sha256 != card.sha256
    assert changed.reference_sha256 == card.reference_sha256
    assert card.feature_reference.ensemble_sha256 == card.lens_sha256


def test_another_share_of_compound_lenses_restates_the_kinds(tmp_path, rng):
    write_cascade(tmp_path / "pack", 1e-9, kind_stage=kind_stage(), default_cut=1e-6)
    with_prevalence(tmp_path / "pack", tmp_path / "moved", "moved", 0.01, 0.3)
    given = {band: rng.normal(0, 3, (6, 100, 100)).astype(np.float32) for band in MER_10.grids}
    before, after = (load_scorer(tmp_path / name).score(given) for name in ("pack", "moved"))
    np.testing.assert_array_equal(before.p_lens, after.p_lens)
    odds = [of.p_compound.astype(float) / (of.p_lens.astype(float) - of.p_compound) for of in (before, after)]
    np.testing.assert_allclose(odds[1] / odds[0], (0.3 / 0.7) / (0.4 / 0.6), rtol=1e-3)
