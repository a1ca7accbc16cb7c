"""The published weights, and the authors' own class generation with them as golden values."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.errors import PackageError
from scanner.networks.package import load_package
from scanner.networks.published import import_published, weights_file
from tests.shared import PUBLISHED

needs_published = pytest.mark.needs_shared("published_ensemble")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    out = tmp_path_factory.mktemp("packages") / "wilde2022"
    import_published(PUBLISHED, out, "wilde2022")
    return load_package(out)


@needs_published
def test_all_seven_come_with_their_licence_and_limits(package):
    assert package.network_names == ("OU-J", "OU-Y", "OU-H", "OU-JYH", "OU-VIS", "OU-66", "OU-200")
    assert package.card.licence == "MIT"
    assert package.card.assumed_prevalence is None
    assert any("real Euclid" in sentence for sentence in package.card.limits)


@needs_published
@pytest.mark.parametrize("spec", PAPER_NETWORKS, ids=lambda spec: spec.name)
def test_every_published_weight_is_imported(package, spec):
    theirs = torch.load(PUBLISHED / weights_file(spec), weights_only=True, map_location="cpu")
    ours = package.engines[spec.name].network.state_dict()
    assert len(theirs) == len(ours)
    for a, b in zip(theirs.values(), ours.values(), strict=True):
        assert torch.equal(a, b)


def expected_rows(target):
    with (PUBLISHED / "class_generation_expected_ou200.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["target_class"]) == target]
    return [(float(row["loss"]), float(row["p0"]), float(row["p1"])) for row in rows]


@needs_published
@pytest.mark.parametrize("target", [0, 1], ids=["non-lens", "lens"])
def test_class_generation_reproduces_the_authors_notebook(package, target):
    """Class-specific image generation (Ozbulak 2019): gradient ascent on the target's logit, from the authors' noise."""
    network = package.engines["OU-200"].network
    image = np.load(PUBLISHED / "class_generation_noise_ou200.npy")
    for loss, *p in expected_rows(target)[:10]:
        image = (image - image.min()) / (image.max() - image.min())
        x = torch.tensor(image, dtype=torch.float32, requires_grad=True)
        logits = network(x)
        assert np.abs(torch.softmax(logits, 1)[0].detach().numpy() - p).max() < 1e-5
        assert -logits[0, target].item() == pytest.approx(loss, abs=0.006)
        (gradient,) = torch.autograd.grad(-logits[0, target], x)
        image = np.clip((x - 0.1 * gradient).detach().numpy(), 0, 1)


def copy_published(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    for spec in PAPER_NETWORKS:
        shutil.copyfile(PUBLISHED / weights_file(spec), folder / weights_file(spec))
    return folder


def damage_missing(file):
    file.unlink()


def damage_truncated(file):
    file.write_bytes(file.read_bytes()[:5000])


def damage_text(file):
    file.write_text("not weights")


def damage_wrong_network(file):
    shutil.copyfile(file.with_name("OU_JYH_Weights.pt"), file)


def damage_not_finite(file):
    state = torch.load(file, weights_only=True, map_location="cpu")
    next(iter(state.values()))[0] = float("nan")
    torch.save(state, file)


def damage_code(file):
    """Write a pickle that would run code when loaded."""
    torch.save({"layer.0.weight": Path("x")}, file)


DAMAGES = [damage_missing, damage_truncated, damage_text, damage_wrong_network, damage_not_finite, damage_code]


@pytest.mark.fault(30)
@needs_published
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_missing_or_damaged_file_is_named(tmp_path, damage):
    folder = copy_published(tmp_path)
    damage(folder / "OU_H_Weights.pt")
    with pytest.raises(PackageError, match=r"OU_H_Weights\.pt"):
        import_published(folder, tmp_path / "out", "wilde2022")
    assert not (tmp_path / "out" / "card.json").exists()


def test_an_empty_folder_and_a_bad_name_are_refused(tmp_path):
    with pytest.raises(PackageError, match=r"OU_J_Weights\.pt: missing"):
        import_published(tmp_path, tmp_path / "out", "wilde2022")
    with pytest.raises(PackageError, match=r"\.\./x"):
        import_published(tmp_path, tmp_path / "out", "../x")
