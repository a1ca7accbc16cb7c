"""Score real Euclid fields and the Jackpot with the published networks, together with rows that have every kind of fault."""

import numpy as np
import pytest
from astropy.io import fits

from scanner.networks.package import load_package
from scanner.networks.published import import_published
from scanner.scan.manifest import score_manifest
from scanner.scan.scoring import CutoutScanner
from scanner.vocabulary.network_columns import network_column_name
from tests.shared import EUCLID_FIELDS, PUBLISHED, REAL

BANDS = {"VIS": "VIS", "Y": "NIR_Y", "J": "NIR_J", "H": "NIR_H"}

pytestmark = pytest.mark.needs_shared("real", "published_ensemble")


def references(path):
    """Return references such as `path.fits#VIS_FLUX`; some files call the image VIS_BGSUB."""
    with fits.open(path) as hdus:
        names = {hdu.name for hdu in hdus}
    return [
        next(f"{path}#{prefix}_{kind}" for kind in ("FLUX", "BGSUB") if f"{prefix}_{kind}" in names)
        for prefix in BANDS.values()
    ]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "published"
    import_published(PUBLISHED, folder, "published")
    return load_package(folder)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Write good and bad rows in turn; return the manifest and the expected status of each row."""
    folder = tmp_path_factory.mktemp("real")
    fields = sorted(REAL.glob(EUCLID_FIELDS))
    jackpot = REAL / "jackpot" / "data.fits"
    data = fields[0].read_bytes()
    (folder / "truncated.fits").write_bytes(data[: len(data) * 6 // 10])
    fits.writeto(folder / "nan.fits", np.full((300, 300), np.nan, np.float32))
    fits.writeto(folder / "small.fits", np.arange(9, dtype=np.float32).reshape(3, 3))
    good = references(fields[0])
    rows = [
        (fields[0].stem, good, "", "scored"),
        ("truncated", [f"truncated.fits#{prefix}_FLUX" for prefix in BANDS.values()], "", "rejected:fits_truncated"),
        (fields[1].stem, references(fields[1]), "", "scored"),
        ("nan", [good[0], "nan.fits", *good[2:]], "0.1", "rejected:not_finite"),
        ("no-band", [*good[:2], "", good[3]], "", "rejected:missing_band"),
        ("jackpot", [str(jackpot)] * 4, "0.05", "scored"),
        ("jackpot-no-scale", [str(jackpot)] * 4, "", "rejected:no_pixel_scale"),
        (fields[2].stem, references(fields[2]), "", "scored"),
        ("no-file", [*good[:3], "gone.fits"], "", "rejected:missing_file"),
        ("small", ["small.fits"] * 4, "0.1", "rejected:wrong_shape"),
        (fields[3].stem, references(fields[3]), "", "scored"),
    ]
    lines = [",".join((object_id, *paths, scale)) for object_id, paths, scale, _ in rows]
    (folder / "m.csv").write_text("\n".join(["object_id,VIS,Y,J,H,pixel_scale_arcsec", *lines]) + "\n")
    return str(folder / "m.csv"), [(object_id, status) for object_id, _, _, status in rows]


@pytest.fixture(scope="module")
def table(ensemble, manifest):
    return score_manifest(manifest[0], CutoutScanner(ensemble, 64))


def test_every_row_has_the_expected_status_in_order(table, manifest):
    assert list(zip(table["object_id"].to_pylist(), table["status"].to_pylist(), strict=True)) == manifest[1]


def test_scores_are_probabilities_or_null_never_nan(table, ensemble):
    scored = np.array(table["status"].to_pylist()) == "scored"
    for name in (*map(network_column_name, ensemble.network_names), "p_lens"):
        values = table[name].to_pylist()
        assert [value is not None for value in values] == scored.tolist()
        assert all(0 <= value <= 1 for value in values if value is not None)
    assert len(set(table["p_OU_200"].drop_null().to_pylist())) == 5


def test_details_describe_changes_and_errors(table):
    details = dict(zip(table["object_id"].to_pylist(), table["detail"].to_pylist(), strict=True))
    note = "VIS pixels of 0.05 arcsec: p_lens is calibrated for images like Euclid's only"
    assert details["jackpot"] == f"substituted: Y, J, H = VIS; {note}; padded: VIS, Y, J, H"
    assert details["102021016_NEG629685198482852633"] == ""  # 30 arcsec: only cropped
    assert details["EUCLJ174752.17+660743.0"] == "padded: VIS, Y, J, H"  # 10 arcsec
    assert details["102022474_NEG590266584471556814"].startswith("misregistered: Y 2.")  # VIS lies off the others
    assert details["truncated"].startswith("VIS: truncated.fits: ")
    assert details["nan"] == "Y: 39204 of 39204 pixels of the field are not finite"  # 198 x 198 px of 0.1 arcsec
    assert details["no-band"].startswith("J: ")
    assert details["no-file"] == "H: gone.fits: no such file"
    assert "(3, 3)" in details["small"]


def test_the_published_vis_network_finds_the_jackpot(table):
    """A real double Einstein ring, from one HST band (Wilde et al. 2022, table 7)."""
    row = table.to_pylist()[5]
    assert row["object_id"] == "jackpot"
    assert row["p_OU_VIS"] > 0.99


def test_scores_do_not_depend_on_the_batch(table, ensemble, manifest):
    alone = score_manifest(manifest[0], CutoutScanner(ensemble, 1))
    assert alone["status"].equals(table["status"])
    for name in (name for name in table.column_names if name.startswith("p_")):
        for one, many in zip(alone[name].to_pylist(), table[name].to_pylist(), strict=True):
            assert one == pytest.approx(many, abs=1e-6)
