"""Candidates get the nearest known lens as astropy finds it; tables come from files and from an installed package."""

import importlib.metadata
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table

from scanner.catalogue import known_lenses as module
from scanner.catalogue.columns import KNOWN_COLUMNS
from scanner.catalogue.known_lenses import LIMIT_ARCSEC, KnownLensesError, packaged_known, read_known
from scanner.sources.object_tables import ManifestError

NAMES = [column.name for column in KNOWN_COLUMNS]
LENSES = {
    "name": ["Jackpot", "007", "a, b"],
    "ra": [146.7362, 0.0, 359.9999],
    "dec": [10.1147, -89.9999, 40.0],
    "grade": ["A", "B", "C"],
    "reference": ["Gavazzi et al. (2008)", "", "doi:1"],
}


def write(path, columns):
    """Write columns to a file in the format of its ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        Table(columns).write(path, format={".csv": "ascii.csv", ".fits": "fits", ".vot": "votable"}[path.suffix])
    return str(path)


def rows_at(known, ra, dec):
    return known.columns_of(np.array(ra, float), np.array(dec, float)).to_pylist()


@pytest.mark.parametrize("ending", ["csv", "parquet", "fits", "vot"])
def test_a_table_of_any_format_gives_all_columns(tmp_path, ending):
    known = read_known(write(tmp_path / f"lenses.{ending}", LENSES))
    found = known.columns_of(np.array(LENSES["ra"]), np.array(LENSES["dec"]))
    assert found.column_names == NAMES
    assert [str(kind) for kind in found.schema.types] == [str(column.type) for column in KNOWN_COLUMNS]
    assert found["known_name"].to_pylist() == LENSES["name"]
    assert found["known_grade"].to_pylist() == LENSES["grade"]
    assert found["known_reference"].to_pylist() == LENSES["reference"]
    assert found["known_separation_arcsec"].to_pylist() == [0.0] * 3


@pytest.mark.parametrize("ending", ["csv", "parquet", "fits", "vot"])
@pytest.mark.parametrize(("ids", "expected"), [(None, "2"), (["x7", "x8"], "x8")])
def test_a_lens_without_a_name_has_its_id_or_number(tmp_path, ending, ids, expected):
    columns = {"ra": [10.0, 20.0], "dec": [1.0, 2.0], "name": ["Jackpot", ""], **({"id": ids} if ids else {})}
    known = read_known(write(tmp_path / f"lenses.{ending}", columns))
    assert known.columns_of(np.array([10.0, 20.0]), np.array([1.0, 2.0]))["known_name"].to_pylist() == ["Jackpot", expected]


@pytest.mark.parametrize("middle", [(0.0, 0.0), (359.9999, 40.0), (123.0, 89.9999)])
def test_the_nearest_within_the_limit_is_that_of_astropy(tmp_path, rng, middle):
    centre, scale = SkyCoord(*middle, unit="deg"), 3 * LIMIT_ARCSEC * units.arcsec
    ours, theirs = (
        centre.directional_offset_by(rng.uniform(0, 360, n) * units.deg, rng.uniform(0, 1, n) * scale) for n in (90, 8)
    )
    names = [f"lens {i}" for i in range(8)]
    known = read_known(write(tmp_path / "lenses.csv", {"RA": theirs.ra.deg, "DEC": theirs.dec.deg, "NAME": names}))
    nearest, separation, _ = ours.match_to_catalog_sky(theirs)
    is_near = separation.arcsec <= LIMIT_ARCSEC
    assert 0 < is_near.sum() < len(ours)
    found = known.columns_of(ours.ra.deg, ours.dec.deg)
    assert found["known_name"].to_pylist() == [names[i] if near else None for i, near in zip(nearest, is_near, strict=True)]
    assert found["known_separation_arcsec"].is_valid().to_pylist() == is_near.tolist()
    separations = found["known_separation_arcsec"].drop_null().to_numpy()
    assert separations == pytest.approx(separation.arcsec[is_near], rel=1e-6, abs=1e-6)


def test_a_lens_without_grade_or_position_is_no_obstacle(tmp_path):
    uri = str(tmp_path / "lenses.csv")
    (tmp_path / "lenses.csv").write_text("object_id,ra,dec\n7,10,0\n8,,\n")
    assert rows_at(read_known(uri), [10.0, np.nan], [0.0, np.nan]) == [
        dict(zip(NAMES, ("7", 0.0, "", ""), strict=True)),
        dict.fromkeys(NAMES),
    ]
    (tmp_path / "lenses.csv").write_text("object_id,name,ra,dec,grading,ref\n7,Cross,10,0,3,x\n")
    assert rows_at(read_known(uri), [10.0], [0.0]) == [dict(zip(NAMES, ("Cross", 0.0, "3", "x"), strict=True))]
    (tmp_path / "lenses.csv").write_text("ra,dec\n10,0\n11,0\n")
    assert rows_at(read_known(uri), [11.0], [0.0])[0]["known_name"] == "2"


def test_a_table_is_named_by_its_file_and_content(tmp_path):
    path = tmp_path / "my lenses.csv"
    tables = []
    for text in ("name,ra,dec\na,1,1\n", "name,ra,dec\nb,1,1\n", "name,ra,dec\na,1,1\n"):
        path.write_text(text)
        tables.append(read_known(str(path)).table)
    assert tables[0] == tables[2] != tables[1]
    assert (tables[0].name, tables[0].version) == ("my lenses.csv", tables[0].sha256[:12])
    assert tables[0].label == f"my lenses.csv {tables[0].version}"
    assert tables[0].version != tables[1].version


def test_what_is_no_table_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"lenses\.csv: no such file"):
        read_known(str(tmp_path / "lenses.csv"))
    (tmp_path / "lenses.csv").write_text("name,ra\na,1\n")
    with pytest.raises(ManifestError, match=r"needs a column dec or .*, got name, ra"):
        read_known(str(tmp_path / "lenses.csv"))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package of the name and the layout of lenscat, which breaks if it is imported; return its table's path."""
    (tmp_path / "lenscat-9.8.7.dist-info").mkdir()
    (tmp_path / "lenscat-9.8.7.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: lenscat\nVersion: 9.8.7\n")
    (tmp_path / "lenscat" / "data").mkdir(parents=True)
    (tmp_path / "lenscat" / "__init__.py").write_text("raise ImportError('lenscat must not be imported')\n")
    path = tmp_path / "lenscat" / "data" / "catalog.csv"
    path.write_text("name,RA [deg],DEC [deg],zlens,type,grading,ref\n58 | X [deg],10.5,-0.5,-,galaxy,confident,arXiv:1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return path


def test_the_table_of_an_installed_package_is_read(package):
    known = packaged_known()
    assert (known.table.name, known.table.version, known.table.limit_arcsec) == ("lenscat", "9.8.7", LIMIT_ARCSEC)
    expected = dict(zip(NAMES, ("58 | X [deg]", 0.0, "confident", "arXiv:1"), strict=True))
    assert rows_at(known, [10.5], [-0.5]) == [expected]
    assert rows_at(read_known(str(package)), [10.5], [-0.5]) == [expected]
    before = known.table
    package.write_text(package.read_text().replace("10.5", "10.6"))
    assert packaged_known().table != before


def test_a_package_without_its_table_is_named(package):
    package.unlink()
    with pytest.raises(KnownLensesError, match=r"lenscat 9\.8\.7 has no table lenscat/data/catalog\.csv"):
        packaged_known()


def test_without_the_package_there_is_no_table(monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no-such-package-of-lenses")
    assert packaged_known() is None


def _lenscat():
    try:
        return importlib.metadata.version("lenscat")
    except importlib.metadata.PackageNotFoundError:
        return None


@pytest.mark.skipif(_lenscat() is None, reason="lenscat is not installed: pip install --no-deps lenscat")
def test_lenscat_knows_a_famous_double_ring():
    """SDSSJ0946+1006, 09:46:56.68 +10:06:52.8; in a process of its own, to see what is imported."""
    code = (
        "import sys, numpy as np\nfrom scanner.catalogue.known_lenses import packaged_known\nknown = packaged_known()\n"
        "(row,) = known.columns_of(np.array([146.7362]), np.array([10.1147])).to_pylist()\n"
        "heavy = [name for name in ('lenscat', 'ligo', 'requests', 'matplotlib') if name in sys.modules]\n"
        "print(known.table.version, '0946+1006' in row['known_name'], row['known_grade'], bool(row['known_reference']), heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split(maxsplit=3) == [_lenscat(), "True", "confident", "True []\n"], done.stderr
