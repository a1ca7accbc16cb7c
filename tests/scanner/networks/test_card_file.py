import pytest

from infra.provenance import sha256_bytes
from scanner.networks.card_file import files_beside, read_beside, read_card, write_beside, write_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR


def test_a_written_card_comes_back(tmp_path):
    card = read_card(SHIPPED_DIR / "mer3-cascade")
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    assert (tmp_path / "card.json").read_bytes() == (SHIPPED_DIR / "mer3-cascade" / "card.json").read_bytes()


def test_another_content_is_another_file(tmp_path):
    one, two = (write_beside(tmp_path, "x.parquet", data) for data in (b"1", b"2"))
    assert (one, (tmp_path / one).read_bytes()) == (f"x-{sha256_bytes(b'1')[:12]}.parquet", b"1")
    assert (tmp_path / two).read_bytes() == b"2"


def test_the_files_beside_a_card_are_all_that_it_names():
    shipped = SHIPPED_DIR / "mer3-cascade"
    there = {path.name for path in shipped.iterdir() if path.suffix in {".parquet", ".safetensors"}}
    assert files_beside(read_card(shipped)) == there


def test_files_beside_the_card_have_a_largest_size(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"12345")
    assert read_beside(tmp_path / "x.bin", 5, "it is needed") == b"12345"
    with pytest.raises(PackageError, match=r"x\.bin: must have at most 4 bytes, got 5"):
        read_beside(tmp_path / "x.bin", 4, "it is needed")
    with pytest.raises(PackageError, match=r"y\.bin: cannot be read \(No such file or directory\); it is needed"):
        read_beside(tmp_path / "y.bin", 4, "it is needed")
