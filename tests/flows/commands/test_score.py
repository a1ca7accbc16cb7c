"""`lensscan score` as people call it: files, folders, manifests, positions in tiles."""

import json

import pyarrow.parquet as pq
import pytest

from flows.cli import main
from flows.commands.score import ScoringError, score_images
from infra.progress import no_progress
from scanner.catalogue.score_files import ScoreFileError
from tests.cutouts import write_band, write_cutout
from tests.scanner.shifted import write_shifted
from tests.shared import EUCLID_FIELDS, REAL
from tests.tiles import write_tile


def score(*images, out=None, tiles=None, ensemble="mer3-sim"):
    return score_images([str(image) for image in images], out and str(out), tiles, ensemble, 8, no_progress, "torch")


def test_a_folder_is_scored_onto_the_screen(tmp_path, capsys):
    for seed, name in enumerate(("a", "b")):
        write_cutout(tmp_path / "in" / f"{name}.fits", seed=seed)
    write_band(tmp_path / "in" / "c.fits")
    main.score(str(tmp_path / "in"), ensemble="mer3-sim", engine="torch")
    printed = capsys.readouterr().out
    assert "Best 2 of 2 scored objects" in printed
    assert "rejected:missing_extension  1, first c: VIS: c.fits: no extension 'VIS'; it has PRIMARY" in printed
    assert "VIS = VIS_FLUX, Y = NIR_Y_FLUX, J = NIR_J_FLUX, H = NIR_H_FLUX (2 objects)" in printed
    assert "one object in 2000 is a lens" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_json_without_a_file_has_all_rows(tmp_path, capsys):
    main.score(write_cutout(tmp_path / "a.fits"), ensemble="mer3-sim", engine="torch", json=True)
    summary = json.loads(capsys.readouterr().out)
    (row,) = summary["objects"]
    assert (row["object_id"], summary["best"][0]["p_lens"]) == ("a", row["p_lens"])
    assert (row["ra"], row["dec"]) == pytest.approx((150, 2))
    assert row["detail"].startswith("guessed: VIS = VIS_FLUX")


def test_nothing_scored_is_exit_code_one(tmp_path, capsys):
    write_cutout(tmp_path / "a.fits")
    (tmp_path / "m.csv").write_text("object_id,VIS,Y,J,H\n5,a.fits#VIS,a.fits,a.fits,a.fits\n5,a.fits#VIS,,,\n")
    with pytest.raises(SystemExit) as ended:
        main.score(str(tmp_path / "m.csv"), out=str(tmp_path / "s.parquet"), ensemble="mer3-sim", engine="torch")
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "first 5: VIS: a.fits: no extension 'VIS'; it has VIS_FLUX, VIS_RMS, PRIMARY" in printed
    assert "object ids of several rows: 1, the first 5" in printed
    assert "rows that use one image for several bands: 1" in printed
    assert pq.read_table(tmp_path / "s.parquet")["status"].to_pylist() == ["rejected:missing_extension"] * 2


def test_scores_are_replaced_only_when_asked(tmp_path):
    uri, out = write_cutout(tmp_path / "a.fits"), tmp_path / "s.csv"
    words = [uri], str(out), None, "mer3-sim", 8, no_progress, "torch"
    score_images(*words)
    out.write_text(out.read_text() + "a row more\n")
    with pytest.raises(ScoreFileError, match=r"s\.csv exists; it is not replaced without --overwrite"):
        score_images(*words)
    assert "a row more" in out.read_text()
    main.score(uri, out=str(out), ensemble="mer3-sim", engine="torch", overwrite=True)
    assert "a row more" not in out.read_text()


def test_vis_alone_needs_an_ensemble_that_reads_it(tmp_path):
    uri = write_cutout(tmp_path / "a.fits", ("VIS_FLUX",))
    rejected = score(uri)
    assert rejected["scored"] == 0
    assert rejected["reasons"]["rejected:missing_band"].endswith(
        "ou7-sim has networks that read VIS alone (--ensemble ou7-sim)"
    )
    scored = score(uri, ensemble="ou7-sim")
    assert scored["notes"]["scored without Y, J, H by OU-VIS alone"]["rows"] == 1


def test_positions_are_cut_out_of_tiles(tmp_path):
    write_tile(tmp_path / "tiles", 1, 1)
    (tmp_path / "p.csv").write_text("name,RA,DEC,mag\nin,10.0,-44.0,20\nout,10.0,44.0,21\n")
    summary = score(tmp_path / "p.csv", out=tmp_path / "s.parquet", tiles=str(tmp_path / "tiles"))
    assert (summary["scored"], summary["rejected:outside_tile"]) == (1, 1)
    rows = pq.read_table(tmp_path / "s.parquet").to_pylist()
    assert [(row["object_id"], row["tile"], row["mag"]) for row in rows] == [("in", "000000001", 20), ("out", None, 21)]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_cutout(tmp_path / "a.fits")
    named = (f"~/a.fits#{name}_FLUX" for name in ("VIS", "NIR_Y", "NIR_J", "NIR_H"))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "m.csv").write_text(f"object_id,VIS,Y,J,H\n5,{','.join(named)}\n")
    assert score("~/below/m.csv", "~/a.fits", out="~/s.csv")["scored"] == 2
    assert (tmp_path / "s.csv").is_file()
    monkeypatch.chdir(tmp_path / "below")
    assert score("~/a.fits", out="~scratch.csv")["scored"] == 1
    assert (tmp_path / "below" / "~scratch.csv").is_file()


def test_arguments_must_fit_together(tmp_path):
    with pytest.raises(ScoringError, match="name a manifest, FITS files or a folder"):
        score()
    with pytest.raises(ScoringError, match="--tiles needs one table of positions, got 2 arguments"):
        score("a.csv", "b.csv", tiles="tiles")


def test_bands_that_do_not_belong_together_are_aligned_or_noted(tmp_path):
    """The header of one file says that H is cut 2.67 arcsec away, that of another does not."""
    write_shifted(tmp_path / "whole.fits")
    write_shifted(tmp_path / "stated.fits", (6, -26))
    write_shifted(tmp_path / "silent.fits", (6, -26), is_stated=False)
    rows = {row["object_id"]: row for row in score(tmp_path)["objects"]}
    assert rows["whole"]["detail"].endswith("H = NIR_H_FLUX")
    assert rows["whole"]["bands_shift_arcsec"] < 0.05
    assert rows["stated"]["detail"].endswith("; aligned by WCS: H 2.67 arcsec")
    assert rows["stated"]["bands_shift_arcsec"] < 0.05
    assert rows["silent"]["detail"].endswith("; misregistered: H 2.67 arcsec from VIS")
    assert rows["silent"]["bands_shift_arcsec"] == pytest.approx(2.67, abs=0.03)


def test_files_by_band_are_aligned_too(tmp_path):
    uri = write_shifted(tmp_path / "a.fits", (0, 10))
    cells = [f"a.fits#{name}" for name in ("VIS_FLUX", "NIR_Y_FLUX", "NIR_J_FLUX", "NIR_H_FLUX")]
    (tmp_path / "m.csv").write_text(f"object_id,VIS,Y,J,H\n5,{','.join(cells)}\n")
    (row,) = score(tmp_path / "m.csv")["objects"]
    assert row["detail"] == "aligned by WCS: H 1.00 arcsec"
    assert row["p_lens"] == score(uri)["objects"][0]["p_lens"]


@pytest.mark.needs_shared("real")
def test_a_real_misregistered_field_says_so():
    """VIS was shifted by 6 and -26 pixels, as a HISTORY card says, and its WCS was not."""
    shifts = {}
    for path in sorted(REAL.glob(EUCLID_FIELDS)):
        (row,) = score(path)["objects"]
        shifts[path.stem.split("_")[0]] = row["bands_shift_arcsec"], "misregistered" in row["detail"]
    shift, is_noted = shifts.pop("102022474")
    assert shift == pytest.approx(0.1 * (6**2 + 26**2) ** 0.5, abs=0.03)
    assert is_noted
    assert not any(noted for _, noted in shifts.values())
    assert all(shift is None or shift < 0.25 for shift, _ in shifts.values())
