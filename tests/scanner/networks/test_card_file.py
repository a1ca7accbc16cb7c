import pytest

from scanner.networks.card_file import read_beside, read_card, write_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR


def test_a_written_card_comes_back(tmp_path):
    card = read_card(SHIPPED_DIR / "mer3-cascade")
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    assert (tmp_path / "card.json").read_bytes() == (SHIPPED_DIR / "mer3-cascade" / "card.json").read_bytes()


def test_files_beside_the_card_have_a_largest_size(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"12345")
    assert read_beside(tmp_path / "x.bin", 5, "it is needed") == b"12345"
    with pytest.raises(PackageError, match=r"x\.bin: must have at most 4 bytes, got 5"):
        read_beside(tmp_path / "x.bin", 4, "it is needed")
    with pytest.raises(PackageError, match=r"y\.bin: cannot be read \(No such file or directory\); it is needed"):
        read_beside(tmp_path / "y.bin", 4, "it is needed")
