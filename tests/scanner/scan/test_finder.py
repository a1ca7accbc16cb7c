import csv

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from matplotlib.text import Text

from infra.errors import LensscanError
from scanner.explain.figure_files import FigureError
from scanner.explain.figures import MOST_EXPLAINED
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package
from scanner.preprocess.channel import channels
from scanner.scan.finder import Finder, Scores
from scanner.scan.manifest import score_manifest
from scanner.scan.scoring import CutoutScanner
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.probability_text import probability_text
from tests.scanner.ensembles import write_test_package
from tests.scanner.shifted import stamps_of

BANDS = tuple(MER_10.grids)
SPECS = (
    NetworkSpec("red", "compact", channels("sky_asinh", *BANDS)),
    NetworkSpec("blue", "compact", channels("centre_asinh", "VIS")),
)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "pack"
    write_test_package(folder, SPECS, geometry="mer10", assumed_prevalence=0.004)
    return folder


@pytest.fixture(scope="module")
def finder(package):
    return Finder(package, load_package(package, checks_pixels=False))


@pytest.fixture
def arrays(rng):
    return {band: rng.normal(size=(3, 140, 140)).astype(np.float32) for band in BANDS}


@pytest.fixture
def manifest(arrays, tmp_path):
    """A manifest of the arrays as FITS files, in which the second VIS image is blank."""
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["object_id", *BANDS])
        for i in range(3):
            hdus = [fits.ImageHDU(arrays[band][i] * (band != "VIS" or i != 1), name=band) for band in BANDS]
            for hdu in hdus:
                hdu.header["PIXSCALE"] = 0.1
            fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / f"{i}.fits")
            rows.writerow([f"field {i}", *(f"{i}.fits#{band}" for band in BANDS)])
    return path


def test_arrays_have_the_scores_of_files(finder, package, arrays, manifest):
    from_files = score_manifest(str(manifest), CutoutScanner(load_package(package)))
    arrays["VIS"][1] = 0
    got = finder.score(arrays, crop=True)
    kept = from_files.drop_columns("object_id")
    assert got.to_arrow().drop_columns(["object_id", "candidate"]).equals(kept)
    assert finder.score(manifest).to_arrow().drop_columns("candidate").equals(from_files)
    p_lens = np.nan_to_num(got.p_lens)
    assert got.is_candidate.tolist() == (p_lens >= read_card(package).candidate_threshold).tolist()


def test_scores_are_arrays_and_a_table(finder, arrays):
    arrays["VIS"][1] = 0
    scores = finder.score(arrays, crop=True)
    assert isinstance(scores, Scores)
    assert (scores.ensemble, scores.prevalence, len(scores)) == ("test", 0.004, 3)
    assert scores.status == ["scored", "rejected:blank", "scored"]
    assert np.isnan(scores.p_lens).tolist() == np.isnan(scores.p_networks["red"]).tolist() == [False, True, False]
    np.testing.assert_allclose(scores.p_lens, (scores.p_networks["red"] + scores.p_networks["blue"]) / 2, rtol=1e-6)
    np.testing.assert_allclose(scores.disagreement, abs(scores.p_networks["red"] - scores.p_networks["blue"]) / 2, rtol=1e-4)
    assert np.isnan(scores.p_compound).all()
    assert scores.subclass == ["", "", ""]
    assert scores.to_pandas()["status"].tolist() == scores.status


def test_printed_scores_say_their_prior_and_the_reason(finder, arrays):
    arrays["VIS"][1] = 0
    lines = str(finder.score(arrays, crop=True)).splitlines()
    assert lines[0] == "p_lens of test, if one object in 250 is a lens:"
    assert lines[1].startswith("0: p_lens 0.")
    assert "times the prior of 1 in" in lines[1]
    assert lines[2] == "1: rejected:blank (VIS: every pixel is 0)"
    assert len(lines) == 4


def test_columns_of_a_manifest_are_not_networks(finder, manifest):
    lines = manifest.read_text().splitlines()
    more = [",p_spiral,p_class", ",0.5,E", ",0.25,Sb", ",0.125,S0"]
    manifest.write_text("\n".join(line + end for line, end in zip(lines, more, strict=True)))
    scores = finder.score(manifest)
    assert list(scores.p_networks) == ["red", "blue"]
    assert scores.to_arrow()["p_class"].to_pylist() == ["E", "Sb", "S0"]


def test_objects_without_a_band_name_who_scores_them(package, manifest):
    manifest.write_text("object_id,VIS,H\nx,0.fits#VIS,\ny,,0.fits#H\n")
    knowing = Finder(package, load_package(package), [read_card(SHIPPED_DIR / "ou7-sim")])
    scores = knowing.score(manifest)
    assert scores.status == ["scored", "rejected:missing_band"]
    assert scores.to_arrow()["detail"][1].as_py().endswith("; ou7-sim has networks that read H alone (--ensemble ou7-sim)")


def test_rows_of_some_networks_are_printed_last_without_a_prior(finder, manifest):
    whole = ",".join(f"0.fits#{band}" for band in BANDS)
    manifest.write_text("\n".join([f"object_id,{','.join(BANDS)}", "part,0.fits#VIS,,,", f"whole,{whole}"]))
    lines = str(finder.score(manifest)).splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == ["whole", "part"]
    assert "times the prior" in lines[1]
    assert lines[2].endswith(", not calibrated")


def test_many_printed_scores_are_cut(finder, arrays):
    many = finder.score({band: np.repeat(images, 8, axis=0) for band, images in arrays.items()}, crop=True)
    assert str(many).splitlines()[-2:][0].startswith("19: ")
    assert str(many).splitlines()[-1] == "and 4 more"


def test_a_printed_score_names_the_kind():
    row = {"object_id": "x", "status": "scored", "detail": "", "p_lens": 0.5, "subclass": "double_ring"}
    assert str(Scores(pa.Table.from_pylist([row]), "e", None, ())).splitlines()[1] == "x: p_lens 0.500, double_ring"


def test_misregistered_bands_are_noted(finder, rng):
    images = stamps_of(MER_10, rng, (0.6, 0.0))
    (detail,) = finder.score(images).to_arrow()["detail"].to_pylist()
    assert detail.startswith("misregistered: H 0.6")


def test_figures_show_the_numbers_of_scores(rng):
    folder = SHIPPED_DIR / "mer3-sim"
    shipped = Finder(folder, load_package(folder, checks_pixels=False))
    stamps, name = stamps_of(MER_10, rng), read_card(folder).networks[0].name
    found = shipped.explain(stamps, networks=name)
    (expected,) = map(probability_text, shipped.score(stamps).p_networks[name])
    assert any(expected in text.get_text() for text in found.figure().findobj(Text))


def test_an_explanation_holds_maps_and_draws_them(finder, arrays, tmp_path):
    arrays["VIS"][1] = 0
    found = finder.explain(arrays, crop=True)
    assert repr(found) == "Explanation of 0, 2 by red; save(path) draws it"
    assert found.object_ids == ("0", "2")
    assert found.rejected == {"1": "blank: VIS: every pixel is 0"}
    assert list(found.maps) == ["red"]
    assert found.maps["red"].guided.shape == (2, 100, 100)
    np.testing.assert_allclose(found.p_lens, finder.score(arrays, crop=True).p_lens[[0, 2]], rtol=1e-5)
    found.save(tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes() == found._repr_png_()
    with pytest.raises(FigureError, match=r"must end in \.png or \.pdf"):
        found.save(tmp_path / "why.jpg")


def test_objects_and_networks_can_be_chosen(finder, arrays, manifest):
    found = finder.explain(manifest, objects=["field 2"], networks=["blue"])
    from_arrays = finder.explain(arrays, objects=[2], networks=["blue"], crop=True)
    assert (found.object_ids, from_arrays.object_ids) == (("field 2",), ("2",))
    assert np.array_equal(found.maps["blue"].occlusion, from_arrays.maps["blue"].occlusion)
    by_one_name = finder.explain(arrays, objects="2", networks="blue", crop=True)
    assert (by_one_name.object_ids, list(by_one_name.maps)) == (("2",), ["blue"])
    for number in (2, np.int64(2)):
        assert finder.explain(arrays, objects=number, networks=["blue"], crop=True).object_ids == ("2",)
    with pytest.raises(LensscanError, match="the images: has no object 7"):
        finder.explain(arrays, objects=[7], crop=True)
    for none in ([], (), np.array([], int)):
        with pytest.raises(LensscanError, match="no object is named"):
            finder.explain(arrays, objects=none, networks=["blue"], crop=True)


def test_more_objects_than_a_figure_holds_are_refused(finder):
    many = {band: np.zeros((MOST_EXPLAINED + 1, 100, 100), np.float32) for band in BANDS}
    with pytest.raises(LensscanError, match="25 objects are given, more than the limit of 24"):
        finder.explain(many)
    with pytest.raises(LensscanError, match="the images: no usable object: 0: blank: VIS"):
        finder.explain({band: images[:1] for band, images in many.items()})
