"""A publication matches the table of the option, else of the setting, else of lenscat."""

import pytest

from flows.commands.publish import chosen_known
from scanner.catalogue import known_lenses as module
from tests.scanner.hats.published import known_lenses


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LENSSCAN_KNOWN_LENSES", raising=False)
    return tmp_path


def test_without_any_table_there_is_no_match(folder, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no-such-package-of-lenses")
    assert chosen_known() is None
    (folder / "lensscan.toml").write_text('known_lenses = "lenses.csv"\n')
    table = known_lenses(folder).table
    assert chosen_known().table == table
    assert chosen_known(no_known=True) is None


def test_the_default_is_the_table_of_lenscat(folder, monkeypatch):
    (folder / "lenscat-9.8.7.dist-info").mkdir()
    (folder / "lenscat-9.8.7.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: lenscat\nVersion: 9.8.7\n")
    (folder / "lenscat" / "data").mkdir(parents=True)
    (folder / "lenscat" / "data" / "catalog.csv").write_text("name,RA [deg],DEC [deg],zlens,type,grading,ref\na,1,1,-,,,\n")
    monkeypatch.syspath_prepend(folder)
    assert chosen_known().table.label == "lenscat 9.8.7"
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    assert chosen_known() is None
