"""The folder for Zooniverse: pictures, and rows that name the subjects, hide the rest and notice changes."""

import hashlib
import json

import pyarrow as pa
import pytest

from scanner.catalogue.query import query
from scanner.review.zooniverse import manifest
from scanner.review.zooniverse.manifest import (
    CHECK,
    CHECKED,
    FILE,
    MANIFEST,
    Subject,
    Written,
    ZooniverseError,
    check_of,
    row_of,
    subjects_of,
    write_manifest,
)
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.zooniverse.exports import manifest_rows, pixels

BIG = 2684100312512345678


@pytest.fixture
def subjects(rng):
    return [
        Subject(f"object:{BIG}", BIG, "candidate", pixels(rng)),
        Subject("object:-7", -7, "candidate", pixels(rng, has_bands=False)),
        Subject("gold:12", None, "gold_lens", pixels(rng)),
    ]


def test_the_folder_holds_what_the_manifest_names(subjects, tmp_path):
    done = write_manifest([*subjects, None], tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    rows = manifest_rows(folder)
    assert {row[FILE] for row in rows} == {path.name for path in folder.iterdir()} - {MANIFEST}
    assert done == Written(3, 1, sum((folder / row[FILE]).stat().st_size for row in rows))
    by_subject = {row["#subject"]: row for row in rows}
    assert by_subject[f"object:{BIG}"]["#object_id"] == str(BIG)
    assert by_subject["gold:12"]["#object_id"] == ""
    assert by_subject["gold:12"]["#role"] == "gold_lens"
    for row in rows:
        picture = (folder / row[FILE]).read_bytes()
        assert row["#picture"] == hashlib.sha256(picture).hexdigest()[:16]
        text = json.dumps([row[name] for name in CHECKED], separators=(",", ":"))
        assert row[CHECK] == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_volunteers_learn_nothing_from_names_and_order(subjects, tmp_path):
    write_manifest(subjects, tmp_path)
    rows = manifest_rows(tmp_path)
    assert [name for name in rows[0] if not name.startswith("#")] == [FILE]
    assert [row[FILE] for row in rows] == sorted(row[FILE] for row in rows)
    assert not [row for row in rows if any(digits in row[FILE] for digits in (str(BIG), "gold", "lens"))]
    write_manifest(subjects[::-1], tmp_path, overwrite=True)
    assert manifest_rows(tmp_path) == rows


def test_the_check_notices_every_change(subjects):
    row = row_of(subjects[0], b"png")
    assert check_of(row) == row[CHECK]
    for name in CHECKED:
        assert check_of(row | {name: row[name] + "0"}) != row[CHECK]
        assert check_of({key: value for key, value in row.items() if key != name}) != row[CHECK]
    # What a spreadsheet makes of the number.
    assert check_of(row | {"#object_id": str(float(BIG))}) != row[CHECK]


def test_a_manifest_is_replaced_only_if_that_is_asked(subjects, tmp_path):
    write_manifest(subjects, tmp_path)
    before = (tmp_path / MANIFEST).read_bytes()
    with pytest.raises(ZooniverseError, match=r"holds a manifest.csv; it is not replaced without --overwrite"):
        write_manifest(subjects[:1], tmp_path)
    assert (tmp_path / MANIFEST).read_bytes() == before
    assert write_manifest(subjects[:1], tmp_path, overwrite=True).n_subjects == 1
    assert len(manifest_rows(tmp_path)) == 1


@pytest.mark.parametrize(
    ("subjects", "says"),
    [
        ([], "^no candidate meets these conditions$"),
        ([None, None], r"^no candidate has stored pixels \(2 have none\); scan with --maps"),
    ],
)
def test_no_picture_is_an_error_and_no_manifest(subjects, says, tmp_path):
    with pytest.raises(ZooniverseError, match=says):
        write_manifest(subjects, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_is_too_large_is_refused(subjects, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "MOST_BYTES", 1000)
    with pytest.raises(ZooniverseError, match=f"object:{BIG}: its picture must have fewer than 1000 bytes, got"):
        write_manifest(subjects, tmp_path)
    assert not (tmp_path / MANIFEST).exists()


def test_a_folder_that_is_a_file_is_named(subjects, tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(ZooniverseError, match=f"{tmp_path / 'x' / 'y'}: cannot be written: Not a directory"):
        write_manifest(subjects, tmp_path / "x" / "y")


def test_candidates_of_a_catalogue_are_subjects(tmp_path):
    """Two of the three candidates of a night have pixels, and object 1 has some in the other night only."""
    root = str(tmp_path)
    finished(root, {"a": {1: 0.7, 2: 0.9, 3: 0.8}}, maps_per_unit=2)
    finished(root, {"a": {1: 0.55}}, night="2026-11-25", maps_per_unit=1)
    found = list(subjects_of(query(root, maps=True)))
    assert [one and (one.name, one.object_id, one.role) for one in found] == [
        ("object:2", 2, "candidate"),
        ("object:3", 3, "candidate"),
        ("object:1", 1, "candidate"),
    ]
    assert found[0].pixels.rgb.shape == (80, 80, 3)
    rows = query(root, maps=True)
    no_pixels = rows.set_column(
        rows.schema.get_field_index("cutout_rgb"), "cutout_rgb", pa.nulls(rows.num_rows, rows.schema.field("cutout_rgb").type)
    )
    assert list(subjects_of(no_pixels)) == [None] * 3
