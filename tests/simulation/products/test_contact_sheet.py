"""A contact sheet shows every kind of object, with captions, bars and pictures without galaxies."""

import io

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.axes import Axes
from PIL import Image

from infra.store.storage import create_if_absent
from scanner.sources.shards import decode_shard, encode_shard
from simulation.products.contact_sheet import COLUMNS, Cell, contact_sheet_png, sheet_png
from simulation.products.dataset import DatasetSpec, simulate_objects, write_contact_sheet

KINDS = (("single", 0.2), ("double_ring", 0.2), ("twin", 0.6))


@pytest.fixture(scope="module")
def table():
    return simulate_objects(DatasetSpec(n=20, seed=7, kinds=KINDS, geometry="mer"), range(20))


@pytest.fixture
def texts(monkeypatch):
    """The texts that are drawn."""
    drawn = []
    text = Axes.text

    def recorded(self, x, y, words, **options):
        drawn.append(words)
        return text(self, x, y, words, **options)

    monkeypatch.setattr(Axes, "text", recorded)
    return drawn


def test_a_sheet_has_captions_of_every_object(table, tmp_path, texts):
    shard = decode_shard(encode_shard(table))
    create_if_absent(str(tmp_path / "shard.parquet"), encode_shard(table), "test")
    write_contact_sheet(str(tmp_path / "shard.parquet"), str(tmp_path / "sheet.png"))
    captions = {int(text[1:].split()[0]): text for text in texts if text.startswith("#") and "\n" in text}
    rows = {row["index"]: row for row in shard.truth.to_pylist()}
    twins = [i for i, row in rows.items() if row["morphology"] == "twin"]
    assert len(twins) > COLUMNS
    assert set(captions) == set(rows) - set(twins[COLUMNS:])
    for i, caption in captions.items():
        row = rows[i]
        if row["kind"] == "nonlens":
            assert caption == f"#{i} twin\n"
        else:
            assert f"\u03b8 {row['einstein_radius1_arcsec']:.2f}" in caption
            assert f"S/N {row['arc_snr']:.0f}" in caption
            second = row["einstein_radius2_arcsec"]
            assert (second is not None) == (row["kind"] == "double_ring") == ("," in caption)
    assert {"single\nlens", "no lens"} <= set(texts)
    assert "twin: a galaxy like those that are lenses, without arcs." in texts
    assert (tmp_path / "sheet.png").read_bytes() == contact_sheet_png(shard)


def test_a_sheet_needs_kinds(table):
    column = table.schema.get_field_index("morphology")
    unknown = table.set_column(column, table.schema.field("morphology"), pa.nulls(20, pa.string()))
    with pytest.raises(ValueError, match="must name kinds of object"):
        contact_sheet_png(decode_shard(encode_shard(unknown)))


def test_pictures_lie_in_rows_below_labels_with_bars():
    """Each picture is 130 pixels wide, in rows of two pictures each; a bar is as long as an arcsec."""
    grey, dark = np.full((20, 20), 0.5), np.zeros((20, 20, 3))
    png = sheet_png([("first", [Cell("a", [dark, grey], 5.0)] * 2), ("second", [Cell("b", [dark, grey], 10.0)])])
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    dark_rows = np.flatnonzero((pixels == 0).all(-1).sum(axis=1) > 120)
    starts = dark_rows[np.flatnonzero(np.diff(dark_rows, prepend=-9) > 20)]
    assert len(starts) == 2
    assert starts[1] - starts[0] == pytest.approx(2 * 133 + 36, abs=2)
    for start, n_pictures, bar in zip(starts, (2, 1), (26, 13), strict=True):
        row = pixels[start + 130 - 6, :, 0]
        assert np.sum(pixels[start + 60, :, 0] == 0) == pytest.approx(130 * n_pictures, abs=3)
        inside = row[95 + 2 : 95 + 128]
        assert np.sum(inside > 200) == pytest.approx(bar, abs=2)
        assert np.median(pixels[start + 133 + 60, 97:220]) == pytest.approx(128, abs=2)
