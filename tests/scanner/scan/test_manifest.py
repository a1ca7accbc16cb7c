"""A manifest's positions and other columns go through to the table of scores."""

import os

import pytest

from scanner.scan.manifest import score_manifest
from scanner.scan.scoring import CutoutScanner
from tests.cutouts import sky_header, write_cutout
from tests.scanner.mean_ensemble import MeanEnsemble

CELLS = "a.fits#VIS_FLUX,a.fits#NIR_Y_FLUX,a.fits#NIR_J_FLUX,a.fits#NIR_H_FLUX"


@pytest.fixture
def folder(tmp_path):
    write_cutout(tmp_path / "a.fits", header=sky_header(150.25, -2.5))
    return tmp_path


def rows(folder, text):
    (folder / "m.csv").write_text(text)
    return score_manifest(str(folder / "m.csv"), CutoutScanner(MeanEnsemble(), 2)).to_pylist()


def test_positions_come_from_the_manifest_else_from_vis(folder):
    found = rows(
        folder,
        f"object_id,VIS,Y,J,H,ra,dec\n1,{CELLS},1.5,2.5\n2,{CELLS},,\n3,a.fits#VIS_FLUX,,,,,\n4,gone.fits,,,,,\n5,{CELLS},,\n",
    )
    assert [row["ra"] for row in found] == pytest.approx([1.5, 150.25, 150.25, None, 150.25])
    assert [row["dec"] for row in found] == pytest.approx([2.5, -2.5, -2.5, None, -2.5])
    assert [row["status"] for row in found] == ["scored"] * 2 + ["rejected:missing_band", "rejected:missing_file", "scored"]


def test_one_line_about_what_is_no_file_loses_no_other(folder):
    """Nothing ever comes out of this pipe, and no end out of the device."""
    os.mkfifo(folder / "pipe.fits")
    cells = ("pipe.fits,,,", "/dev/zero,,,", "http://host:80/a.fits,,,", CELLS)
    found = rows(folder, "object_id,VIS,Y,J,H\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    assert [row["status"] for row in found] == ["rejected:missing_file"] * 3 + ["scored"]
    assert [row["detail"] for row in found[:3]] == [
        "VIS: pipe.fits: is a pipe or a device, must be a file",
        "VIS: zero: is a pipe or a device, must be a file",
        "VIS: a.fits: must be a local path, file:// or s3://, got http://",
    ]


def test_other_columns_follow_the_scores(folder):
    (row,) = rows(folder, f"mag,object_id,VIS,Y,J,H,p_lens,ra,note\n21.5,007,{CELLS},0.9,3,x\n")
    assert list(row)[-5:] == ["ra", "dec", "mag", "input_p_lens", "note"]
    assert (row["object_id"], row["mag"], row["input_p_lens"], row["note"]) == ("007", 21.5, 0.9, "x")
    assert row["p_lens"] != 0.9
