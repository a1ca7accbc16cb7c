"""The folder for results about an ensemble is checked first, and an ensemble's purity comes from its own card only."""

import os
from pathlib import Path

import numpy as np
import pytest

from flows.commands.replaced_card import replace_card
from flows.ensembles import copied, folder_to_extend, known_purity, latest_card, results_folder
from scanner.networks.card_file import read_card, write_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail, read_sample, with_sample
from tests.scanner.ensembles import SPECS, write_test_package
from training.errors import TrainingError

CARD = read_card(SHIPPED_DIR / "mer3-sim")


@pytest.fixture(params=["relative", "link"])
def shipped(request, tmp_path, monkeypatch):
    """Return a shipped package by a path that does not begin with the folder of shipped packages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(SHIPPED_DIR / "mer3-sim")
    return Path("link") if request.param == "link" else Path(os.path.relpath(SHIPPED_DIR / "mer3-sim"))


@pytest.fixture
def own(tmp_path):
    """Return the folder of an ensemble of one's own, and its card."""
    return tmp_path / "own", write_test_package(tmp_path / "own", SPECS[:1])


def test_a_shipped_package_is_known_by_every_path(shipped):
    assert results_folder(shipped, CARD, None) == Path("evaluation-mer3-sim")
    for folder_of, out in ((folder_to_extend, None), (folder_to_extend, ""), (results_folder, str(shipped))):
        with pytest.raises(PackageError, match="mer3-sim is shipped and never changes: name another folder with --out"):
            folder_of(shipped, CARD, out)


def test_results_go_beside_the_weights_or_to_out(own, tmp_path):
    package, card = own
    for folder_of in (results_folder, folder_to_extend):
        assert folder_of(package, card, None) == package
        assert folder_of(package, card, f"file://{tmp_path}/new") == tmp_path / "new"
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder_of", [results_folder, folder_to_extend])
def test_a_folder_that_is_no_place_for_results_is_refused(own, tmp_path, folder_of):
    package, card = own
    write_test_package(tmp_path / "other", SPECS[1:2])
    (tmp_path / "file").touch()
    for out, says in (
        ("s3://bucket/results", "s3://bucket/results: is on S3, but results are written to a local folder"),
        (tmp_path / "file", "file: is a file, must be a folder"),
        (tmp_path / "other", "other: holds the card of another ensemble than test"),
    ):
        with pytest.raises(TrainingError, match=says):
            folder_of(package, card, str(out))


def test_a_copy_keeps_what_its_card_has(own, tmp_path):
    package, card = own
    assert copied(package, card, package) == copied(package, card, tmp_path / "copy") == card
    richer = card.model_copy(update={"metrics": {"auroc": 0.75}})
    write_card(tmp_path / "copy", richer)
    (tmp_path / "copy" / card.networks[0].weights_file).unlink()
    (package / "note.txt").write_text("later")
    assert copied(package, card, tmp_path / "copy") == richer
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {path.name for path in package.iterdir()}


def sampled(package, card, score):
    """Give a package a sample of one score, and return its card."""
    after = with_sample(package, card, NonLensTail.of(np.float32([score]), 0.05), "one object")
    replace_card(package, card, after)
    return after


def test_a_replaced_file_goes_after_its_card(own):
    package, card = own
    before = sampled(package, card, 0.25)
    after = sampled(package, before, 0.75)
    assert [path.name for path in package.glob("*.parquet")] == [after.nonlens_sample.file]
    assert read_sample(package, read_card(package)).p_lens.tolist() == [0.75]
    assert sampled(package, after, 0.75) == after
    assert read_sample(package, after) is not None


def test_a_replaced_file_that_is_gone_is_not_missed(own):
    """A sample is measured again when its file is lost."""
    package, card = own
    before = sampled(package, card, 0.25)
    (package / before.nonlens_sample.file).unlink()
    after = sampled(package, before, 0.75)
    assert read_sample(package, read_card(package)).p_lens.tolist() == [0.75]
    assert after.nonlens_sample.file != before.nonlens_sample.file


def test_a_card_that_cannot_be_written_keeps_its_files(own, monkeypatch):
    package, card = own
    before = sampled(package, card, 0.25)
    monkeypatch.setattr("flows.commands.replaced_card.write_card_with_text", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sampled(package, before, 0.75)
    assert read_sample(package, read_card(package)).p_lens.tolist() == [0.25]


def test_a_copy_with_its_own_sample_gets_no_other(own, tmp_path):
    package, card = own
    copied(package, card, tmp_path / "copy")
    theirs, ours = sampled(package, card, 0.25), sampled(tmp_path / "copy", card, 0.75)
    assert copied(package, theirs, tmp_path / "copy") == ours
    assert [path.name for path in (tmp_path / "copy").glob("*.parquet")] == [ours.nonlens_sample.file]


def test_a_copy_with_damaged_weights_is_refused(own, tmp_path):
    package, card = own
    copied(package, card, tmp_path / "copy")
    (tmp_path / "copy" / card.networks[0].weights_file).write_bytes(b"damaged")
    with pytest.raises(PackageError, match="sha256 must be"):
        copied(package, card, tmp_path / "copy")


def test_a_card_replaced_by_another_ensembles_is_refused(own):
    package, card = own
    assert latest_card(package, card) == card
    other = write_test_package(package, SPECS[1:2])
    with pytest.raises(PackageError, match=f"must still be that of test {card.sha256}, got {other.sha256}"):
        latest_card(package, card)


def test_a_known_ensemble_has_the_purity_of_its_card():
    assert CARD.purity_table is not None
    assert known_purity(CARD.name, CARD.sha256) == CARD.purity_table


@pytest.mark.parametrize(("name", "sha256"), [(CARD.name, "0" * 64), ("no-such-ensemble", CARD.sha256)])
def test_another_or_missing_ensemble_has_no_known_purity(name, sha256):
    assert known_purity(name, sha256) is None


def test_an_ensemble_without_evaluation_has_no_known_purity(tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path))
    card = write_test_package(tmp_path / "test", SPECS[:1])
    assert known_purity("test", card.sha256) is None
