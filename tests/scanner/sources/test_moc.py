"""Areas of the sky in every form of file: against HEALPix from its formulas, position by position, and against mocpy."""

import json
import re

import numpy as np
import pytest
from astropy.io import fits
from mocpy import MOC, TimeMOC

from scanner.hats.sky import footprint_of, write_moc
from scanner.sources.moc import MocError, read_moc
from scanner.sources.object_tables import ManifestError
from tests.scanner.healpix import cell_of

CELLS = {2: [0, 37, 191], 3: [700], 5: [5, 6, 7, 4000], 9: [1_500_000, 3_145_727]}
"""Cells of several orders that do not overlap: on the equator, at both poles and where RA begins again."""
TEXT = " ".join(f"{order}/" + " ".join(map(str, cells)) for order, cells in CELLS.items())


def as_mocpy():
    order = np.concatenate([np.full(len(cells), k, np.uint8) for k, cells in CELLS.items()])
    return MOC.from_healpix_cells(np.concatenate(list(CELLS.values())).astype(np.uint64), order, 12)


def write_uniq(path, numbers, form="1K", **cards):
    """Write numbers as MOC 1.1 has them, and Aladin writes it; cards change the header, those of None are left out."""
    table = fits.BinTableHDU.from_columns([fits.Column("UNIQ", form, array=np.asarray(numbers))])
    for name, value in {"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C", "MOCORDER": 9, **cards}.items():
        if value is not None:
            table.header[name] = value
    table.writeto(path, checksum=True)
    return str(path)


def uniq(cells):
    return [4 ** (order + 1) + cell for order, of_order in cells.items() for cell in of_order]


FORMS = {
    "range.fits": lambda path: as_mocpy().save(str(path), format="fits"),
    "uniq.fits": lambda path: write_uniq(path, uniq(CELLS)),
    "uniq32.fits": lambda path: write_uniq(path, uniq(CELLS), "1J"),
    "list.json": lambda path: as_mocpy().save(str(path), format="json"),
    "own.json": lambda path: path.write_text(json.dumps(CELLS)),
    "list.txt": lambda path: as_mocpy().save(str(path), format="ascii"),
    "commas.txt": lambda path: path.write_text(TEXT.replace("5/5 6 7 4000", "5/5-7,\n 4000 ,") + " 10/\n"),
    "repeated.json": lambda path: path.write_text('{"9": [1500000, 3145727], "5": [5, 6, 7, 4000], "3": [700], ' + OVERLAPPING),
}
OVERLAPPING = '"2": [0, 0, 37], "3": [0, 1, 2], "2": [191, 37]}'
"""Cells that lie in others or come twice, under a key that comes twice."""


@pytest.fixture(scope="module")
def positions():
    """Random positions in and about the cells, at the poles, and far away; some right ascensions are negative or 360."""
    rng = np.random.default_rng(3)
    ra = np.concatenate([rng.uniform(-360, 360, 1500), rng.uniform(-2, 2, 300), [0.0, 360.0, -360.0, 180.0]])
    dec = np.concatenate(
        [np.degrees(np.arcsin(rng.uniform(-1, 1, 1500))), rng.uniform(-90, 90, 300), [90.0, -90.0, 0.0, -90.0]]
    )
    middle = MOC.from_string(f"9/{CELLS[9][0]}", "ascii").barycenter()
    near = rng.uniform(-0.2, 0.2, (2, 500))
    return np.append(ra, middle.ra.deg + near[0]), np.append(dec, middle.dec.deg + near[1])


@pytest.mark.parametrize("name", FORMS)
def test_every_form_holds_the_positions_of_brute_force(tmp_path, positions, name):
    FORMS[name](tmp_path / name)
    moc = read_moc(str(tmp_path / name))
    expected = [any(cell_of(*place, k) in cells for k, cells in CELLS.items()) for place in zip(*positions, strict=True)]
    assert 50 < sum(expected) < len(expected) - 50
    assert moc.contains(*positions).tolist() == expected
    assert moc.contains(np.empty(0), np.empty(0)).tolist() == []
    # One area has one set of ranges, and so one digest, whatever the form.
    assert moc.ranges.tolist() == as_mocpy().to_depth29_ranges.tolist()
    assert moc.square_degrees == pytest.approx(as_mocpy().sky_fraction * 41252.96125)


@pytest.mark.parametrize("text", ["2/37", "3/767", "0/0", "0/11"])
def test_one_cell_holds_nothing_before_or_after_it(tmp_path, positions, text):
    (tmp_path / "area").write_text(text)
    order, cell = map(int, text.split("/"))
    expected = [cell_of(*place, order) == cell for place in zip(*positions, strict=True)]
    assert any(expected)
    assert read_moc(str(tmp_path / "area")).contains(*positions).tolist() == expected


@pytest.mark.parametrize(("step", "expected"), [(-1, False), (0, True), (1, False)])
def test_the_smallest_cells_are_told_apart(tmp_path, step, expected):
    (tmp_path / "area").write_text(f"29/{cell_of(123.4, -56.7, 29) + step}")
    assert read_moc(str(tmp_path / "area")).contains(np.array([123.4]), np.array([-56.7])).tolist() == [expected]


def test_the_digest_is_of_the_area(tmp_path):
    texts = [TEXT, f"12/\n{TEXT}", "2/0 1 2 3 4-191", "0/0-11", "1/0-47", "29/3458764513820540927", "29/3458764513820540926"]
    found = []
    for i, text in enumerate(texts):
        (tmp_path / f"{i}").write_text(text)
        found.append(read_moc(str(tmp_path / f"{i}")).sha256)
    assert found[0] == found[1]
    assert found[2] == found[3] == found[4]
    assert len(set(found)) == 4


def test_a_published_area_is_read(tmp_path, positions):
    write_moc([footprint_of([positions])], tmp_path / "moc.fits")
    moc = read_moc(str(tmp_path / "moc.fits"))
    assert moc.contains(*positions).all()
    away = positions[0] + 1.0, positions[1] / 2
    cells = {cell_of(*place, 10) for place in zip(*positions, strict=True)}
    assert moc.contains(*away).tolist() == [cell_of(*place, 10) in cells for place in zip(*away, strict=True)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "covers no part of the sky"),
        ("3/", "covers no part of the sky"),
        ("{}", "covers no part of the sky"),
        ('{"3": []}', "covers no part of the sky"),
        ("3/768", "order 3 has the cells 0 to 767, got 768"),
        ("3/760-768", "order 3 has the cells 0 to 767, got 760-768"),
        ("3/7-5", "order 3 has the cells 0 to 767, got 7-5"),
        ("30/1", "orders are 0 to 29, got 30"),
        ("5 6", "cannot be read at '5'; a MOC as text is such as 3/5-7 4/100"),
        ("3/-1", "cannot be read at '3/-1'"),
        ("s3/5", "cannot be read at 's3/5'"),
        ("3/99999999999999999999", "cannot be read at '3/999999999999999999'"),
        ("<VOTABLE>", "cannot be read at '<VOTABLE>'"),
        ("[3]", "cannot be read at '[3]'"),
        ('{"3": [768]}', "order 3 has the cells 0 to 767, got 768"),
        ('{"3": [-1]}', "order 3 has the cells 0 to 767, got -1"),
        ('{"30": [1]}', "orders are 0 to 29, got 30"),
        ('{"3": [1.5]}', "cells of order 3 must be integers, got '1.5'"),
        ('{"3": [true]}', "cells of order 3 must be integers, got 'True'"),
        ('{"3": ["5"]}', "cells of order 3 must be integers, got '5'"),
        ('{"3": 5}', "must map orders to lists of cells, got '3'"),
        ('{"all": [5]}', "must map orders to lists of cells, got 'all'"),
        ('{"3": [5', "is no JSON: Expecting"),
        ('{"3": ' + "[" * 100_000, "is no JSON: maximum recursion"),
    ],
)
def test_a_wrong_text_is_explained_in_a_line(tmp_path, text, says):
    (tmp_path / "area").write_text(text)
    with pytest.raises(MocError, match="^" + re.escape(f"MOC {tmp_path / 'area'}: {says}")) as found:
        read_moc(str(tmp_path / "area"))
    assert "\n" not in str(found.value)


def write_time(path):
    TimeMOC.from_string("40/5").save(str(path))


def write_two_columns(path):
    table = fits.BinTableHDU.from_columns([fits.Column("UNIQ", "1K", array=[4]), fits.Column("PROBDENSITY", "1D", array=[1.0])])
    table.header.update({"ORDERING": "NUNIQ", "COORDSYS": "C"})
    table.writeto(path)


WRONG = {
    "COORDSYS must be C, got G": lambda path: write_uniq(path, [4], COORDSYS="G"),
    "COORDSYS must be C, got none": lambda path: write_uniq(path, [4], COORDSYS=None),
    "ORDERING must be NUNIQ or RANGE, got NESTED": lambda path: write_uniq(path, [4], ORDERING="NESTED"),
    "MOCDIM must be SPACE, got TIME": write_time,
    "must have one column of integers, TFORM1 1J or 1K": write_two_columns,
    "must have one column of integers": lambda path: write_uniq(path, [4.0], "1D"),
    "must have one column of": lambda path: write_uniq(path, np.full((1, 2), 4), "2K"),
    "must have one column": lambda path: write_uniq(path, [4], TZERO1=2**31),
    "must have one": lambda path: write_uniq(path, [4], TSCAL1=2),
    "a cell must have a NUNIQ number of 4 to 4611686018427387903, got 3": lambda path: write_uniq(path, [4, 3]),
    "a cell must have a NUNIQ number of 4 to 4611686018427387903, got 4611686018427387904": (
        lambda path: write_uniq(path, [2**62, 4])
    ),
    "must have two numbers for each range, got 3 numbers": lambda path: write_uniq(path, [4, 5, 6], ORDERING="RANGE"),
    "a range must ascend and lie within 0 and 3458764513820540928, got [6, 6]": (
        lambda path: write_uniq(path, [4, 5, 6, 6], ORDERING="RANGE")
    ),
    "a range must ascend and lie within 0 and 3458764513820540928, got [-1, 6]": (
        lambda path: write_uniq(path, [-1, 6], ORDERING="RANGE")
    ),
    "a range must ascend and lie within 0 and 3458764513820540928, got [5, 3458764513820540929]": (
        lambda path: write_uniq(path, [5, 3458764513820540929], ORDERING="RANGE")
    ),
    "covers no part of the sky": lambda path: write_uniq(path, np.empty(0, np.int64)),
    "holds no table, and so no MOC": lambda path: fits.PrimaryHDU(np.zeros((4, 4))).writeto(path),
    "is neither FITS nor text": lambda path: path.write_bytes(b"\xff\x00"),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_wrong_file_is_explained_in_a_line(tmp_path, says):
    WRONG[says](tmp_path / "area")
    with pytest.raises(MocError, match="^" + re.escape(f"MOC {tmp_path / 'area'}: {says}")) as found:
        read_moc(str(tmp_path / "area"))
    assert "\n" not in str(found.value)


def test_the_first_and_last_cells_are_allowed(tmp_path):
    whole = [[0, 12 << 58]]
    write_uniq(tmp_path / "range", [0, 12 << 58], ORDERING="RANGE")
    assert read_moc(str(tmp_path / "range")).ranges.tolist() == whole
    write_uniq(tmp_path / "uniq", range(4, 16))
    assert read_moc(str(tmp_path / "uniq")).ranges.tolist() == whole
    write_uniq(tmp_path / "last", [(16 << 58) - 1])
    assert read_moc(str(tmp_path / "last")).ranges.tolist() == [[(12 << 58) - 1, 12 << 58]]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"^MOC .*absent\.fits: no such file$"):
        read_moc(str(tmp_path / "absent.fits"))


def test_a_cut_or_damaged_file_is_never_another_area(tmp_path):
    """With checksums, no flipped or missing byte of a table goes unseen; mocpy reads some such files as empty areas."""
    path = tmp_path / "area.fits"
    whole = read_moc(write_uniq(path, uniq(CELLS)))
    data, rng = path.read_bytes(), np.random.default_rng(5)
    cuts = [data[:n] for n in (*range(2879, len(data), 409), len(data) - 1)]
    flips = zip(rng.integers(0, len(data), 300), 1 << rng.integers(0, 8, 300), strict=True)
    damaged = [data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] for at, bit in flips]
    outcomes = []
    for other in (*cuts, *damaged):
        path.write_bytes(other)
        try:
            outcomes.append(read_moc(str(path)).sha256)
        except MocError as error:
            outcomes.append(str(error))
    refused = [outcome for outcome in outcomes if outcome != whole.sha256]
    assert refused[: len(cuts)] == outcomes[: len(cuts)]
    assert len(refused) > 200
    assert [o for o in refused if not o.startswith(f"MOC {path}") or "\n" in o] == []


def test_ranges_are_merged_as_mocpy_merges_them(tmp_path):
    rng = np.random.default_rng(2)
    for _ in range(50):
        start = rng.integers(0, 400, 60)
        ranges = np.stack([start, start + rng.integers(1, 12, 60)], axis=1)
        (tmp_path / "area").write_text("29/" + " ".join(f"{first}-{stop - 1}" for first, stop in ranges))
        merged = MOC.from_depth29_ranges(29, ranges.astype(np.uint64)).to_depth29_ranges
        assert read_moc(str(tmp_path / "area")).ranges.tolist() == merged.tolist()
