"""Arithmetic of the page, in a real browser, against Python: stretch, residual, colours, acts and tables."""

import base64
import csv
import io
import json

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from scanner.explain.cutout_pixels import cutout_pixels
from scanner.preprocess.colour_picture import composite
from scanner.review.vetting.images import SubjectImage, records
from scanner.review.vetting.page_files import script
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.vote_csv import as_csv, from_csv
from scanner.vocabulary.geometry import MER_10
from tests.scanner.review.votes.made_votes import HOSTILE, undo_of, vote_of


@pytest.fixture(scope="module")
def run(browser):
    """Return a function that evaluates JavaScript with the parts of the page's script, without the page itself."""
    parts, _, _ = script().partition('"use strict";\n/* The page:')
    page = browser.new_page()
    page.add_script_tag(content=parts)
    return page.evaluate


def written(images):
    """Return the records of images as text."""
    return base64.b64encode(records(images)).decode()


def test_images_are_read_as_they_were_written(run, rng):
    sky = SubjectImage(rng.integers(-30000, 30000, (4, 80, 80)).astype(np.int16), 0.05)
    data = written([None, sky])
    empty, bands = run(
        "(data) => Picture.decoded(Source.bytesOf(data).buffer).map(i => i && ['VIS','Y','J','H'].map(b => [...i[b]]))", data
    )
    assert empty is None
    np.testing.assert_allclose(np.array(bands).reshape(4, 80, 80), sky.values * np.float32(0.05), rtol=1e-6)


def test_colours_give_the_bands_back_that_made_them(run, rng):
    """`composite` draws the colours of a catalogue; the page turns them back, to half a grey level."""
    bands = {
        band: rng.normal(0, 1, (100, 100)) + 40 * np.exp(-np.hypot(*np.mgrid[-50:50, -50:50]) / 8)
        for band in ("VIS", "Y", "J", "H")
    }
    rgb = np.round(255 * composite({b: v.astype(np.float32) for b, v in bands.items()}, 0.1, 8.0)).astype(np.uint8)
    (image,) = run(
        "(data) => Picture.decoded(Source.bytesOf(data).buffer).map(i => ['H','Y','VIS'].map(b => [...i[b]]))",
        written([SubjectImage(rgb)]),
    )
    h, y, vis = (np.array(one).reshape(80, 80) for one in image)
    again = [np.arcsinh(one / 4) / np.arcsinh(150 / 4) * 0.92 + 0.08 for one in (0.55 * h, 0.7 * y, vis)]
    inside = (rgb > 0) & (rgb < 255)
    np.testing.assert_allclose(np.stack(again, axis=-1)[inside] * 255, rgb[inside], atol=0.51)


PAINT = """([data, what, view, outline]) => {
  const [image] = Picture.decoded(Source.bytesOf(data).buffer);
  const canvas = document.createElement('canvas');
  Picture.paint(canvas, image, what, view, 80, outline);
  const pixels = canvas.getContext('2d').getImageData(0, 0, 80, 80).data;
  return Array.from({ length: 80 }, (_, i) => btoa(String.fromCharCode(...pixels.subarray(320 * i, 320 * (i + 1)))));
}"""
VIEW = {"stretch": "asinh", "black": -1.6, "white": 150, "smooth": False, "zoom": 1, "residual": False}


def painted(run, image, what, outline=None, **view):
    """Return the picture that the page paints, `[y, x, colour]`, the first row on top."""
    rows = run(PAINT, [written([image]), what, VIEW | view, outline])
    pixels = np.frombuffer(b"".join(map(base64.b64decode, rows)), np.uint8)
    return pixels.reshape(80, 80, 4)[..., :3].astype(float)


def test_pictures_have_north_up_and_the_colours_of_the_catalogue(run, rng):
    """Without contrast changes the page's colours are those of `composite`, to a grey level for its rounder black."""
    bands = {band: rng.normal(0, 1, (100, 100)) + 60 * np.exp(-np.hypot(*np.mgrid[-70:30, -60:40]) / 9) for band in "VYJH"}
    stamps = {"VIS" if band == "V" else band: pixels.astype(np.float32) for band, pixels in bands.items()}
    (pixels,), (unit,) = cutout_pixels({band: image[None] for band, image in stamps.items()}, MER_10)
    image = SubjectImage(pixels, float(unit))
    expected = 255 * composite(stamps, 0.1, 8.0)[::-1]
    np.testing.assert_allclose(painted(run, image, "colour"), expected, atol=2.5)
    sigma = pixels[0][::-1] * unit
    grey = 255 * (np.arcsinh(sigma / 4) - np.arcsinh(-0.4)) / (np.arcsinh(150 / 4) - np.arcsinh(-0.4))
    found = painted(run, image, "VIS")
    np.testing.assert_allclose(found, np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=2), atol=0.6)
    np.testing.assert_array_equal(painted(run, image, "VIS", zoom=2)[::2, ::2], found[20:60, 20:60])


def test_an_outline_encloses_the_arcs(run):
    dark = SubjectImage(np.zeros((4, 80, 80), np.int16), 1.0)
    inside = np.zeros((80, 80), bool)
    inside[10:20, 30:50] = True
    found = painted(run, dark, "VIS", inside.ravel().tolist())[::-1]
    border = inside & ~binary_erosion(inside)
    assert ((found == [86, 180, 233]).all(axis=2) == border).all()


@pytest.mark.parametrize("name", ["asinh", "linear", "log"])
def test_a_stretch_goes_from_black_to_white_and_never_back(run, name):
    sigma = np.linspace(-20, 300, 200)
    grey = np.array(run(f"(sigma) => sigma.map(Stretch.grey('{name}', -1.6, 150))", sigma.tolist()))
    assert (grey[sigma <= -1.6] == 0).all()
    assert (grey[sigma >= 150] == 255).all()
    assert (np.diff(grey) >= 0).all()
    formula = {"asinh": lambda s: np.arcsinh(s / 4), "linear": lambda s: s, "log": lambda s: np.sign(s) * np.log1p(np.abs(s))}[
        name
    ]
    inside = (sigma > -1.6) & (sigma < 150)
    expected = 255 * (formula(sigma) - formula(-1.6)) / (formula(150) - formula(-1.6))
    np.testing.assert_allclose(grey[inside], expected[inside], rtol=1e-9)


def test_the_residual_takes_a_symmetric_galaxy_away(run):
    y, x = np.mgrid[:80, :80]
    # The galaxy's middle is half a pixel from that of the image; the arc is on one side.
    galaxy = 50 * np.exp(-np.hypot(x - 40, (y - 39) * 1.3) / 6)
    arc = 10 * np.exp(-((np.hypot(x - 40, y - 39) - 15) ** 2) / 4) * (x > 50)
    found = run("(band) => [...Stretch.residual(Float32Array.from(band), 80)]", (galaxy + arc).ravel().tolist())
    found = np.array(found).reshape(80, 80)
    partner = np.zeros_like(arc)
    partner[0:79, 1:80] = arc[78::-1, :0:-1]
    inside = np.zeros_like(arc, bool)
    inside[0:79, 1:80] = True
    np.testing.assert_allclose(found[inside], (arc - partner)[inside], atol=1e-4)
    assert (found[~inside] == 0).all()
    assert run("(band) => Stretch.centre(Float32Array.from(band), 80)", (galaxy + arc).ravel().tolist())["x"] == 80


def test_the_same_grades_count_in_page_and_log(run):
    votes = [
        *(vote_of(i, grade="ABCX"[i % 4], subject=f"object:{i % 5}", object_id=i % 5) for i in range(1, 30)),
        *(undo_of(100 + i, i, subject=f"object:{i % 5}", object_id=i % 5) for i in (29, 28, 25, 10, 5)),
        undo_of(200, 129, subject="object:4", object_id=4),
        *(vote_of(i, subject="object:9", object_id=9, graded_at="2026-11-25T00:00:00Z") for i in (302, 303, 301)),
        *(vote_of(i, subject="object:8", object_id=8, is_blind=i < 403) for i in (401, 402, 403)),
        *(vote_of(i, subject="object:7", object_id=7, is_blind=False) for i in (501, 502)),
    ]
    acts = [
        {**json.loads(v.model_dump_json(include={"act_id", "act", "undoes", "graded_at", "is_blind"})), "item": v.subject}
        for v in votes
    ]
    found = run("(acts) => [...Acts.effective(acts)].map(([key, act]) => [key, act.act_id])", acts)
    assert dict(found) == {vote.subject: vote.act_id for vote in effective_votes(votes)}


def test_old_images_make_room_for_new_ones(run):
    found = run(
        """async () => {
          const album = new Album({ images: async (keys) => keys.map((key) => `image ${key}`) });
          const keys = Array.from({ length: Album.MOST + 50 }, (_, i) => `${i}`);
          await album.load(keys);
          const isWhole = keys.every((key) => album.get(key) === `image ${key}`);
          album.forget(new Set(["0", "7"]));
          return [isWhole, album.images.size === Album.MOST, album.has("0"), album.has("7"), album.has("1"), album.has("449")];
        }"""
    )
    assert found == [True, True, True, True, False, True]


def test_many_acts_are_sent_in_small_messages(run):
    """A message must be answered in time by a store that takes a second for each act."""
    sizes = run(
        """async () => {
          const sizes = [];
          const send = async (acts) => {
            sizes.push(acts.length);
            return { stored: acts.map((act) => act.act_id), refused: [] };
          };
          const queue = new Acts.Queue("many", send, () => {});
          for (let i = 0; i < 35; i++) queue.add({ act_id: `${i}` });
          await queue.stored("34");
          return [...sizes, queue.waiting.size, queue.kept.all().length];
        }"""
    )
    assert sizes[0] == 1
    assert max(sizes[:-2]) <= 10
    assert (sum(sizes[:-2]), sizes[-2:]) == (35, [0, 0])


def test_ids_of_acts_are_random(run):
    ids = run("() => Array.from({ length: 1000 }, Acts.newId)")
    assert len(set(ids)) == 1000
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in ids)


def test_tables_of_page_and_program_are_the_same(run):
    # Both write lines that end in CR LF, and a page has no surrogates to lose.
    votes = [vote_of(i, comment=text, grade="X", reason="edge-on", decision_s=0.25) for i, text in enumerate(HOSTILE)]
    votes += [undo_of(100, 3), vote_of(101, is_compound=True, is_blind=False, repeat=1, page_version="=1")]
    rows = [json.loads(vote.model_dump_json()) | {"object_id": str(vote.object_id)} for vote in votes]
    written = run("(rows) => VoteTable.written(rows)", rows)
    assert from_csv("page", written.encode()) == votes
    assert next(row["comment"] for row in csv.DictReader(io.StringIO(written, newline=""))).startswith("'=")
    read = run("(text) => VoteTable.read(text)", as_csv(votes))
    for mine, theirs in zip(rows, read, strict=True):
        assert {name: value for name, value in theirs.items() if name != "graded_at"} == {
            name: value for name, value in mine.items() if name != "graded_at"
        }


def test_a_vote_without_blindness_in_its_row_is_blind(run):
    rows = ["act_id,act,grader,subject,graded_at,is_blind", "1,grade,ann,object:1,2026,", "2,grade,ann,object:1,2026,false"]
    assert [vote["is_blind"] for vote in run("(text) => VoteTable.read(text)", "\r\n".join(rows))] == [True, False]
    without = [{"act_id": "1", "act": "grade", "item": "x", "graded_at": "2026-01-01"}]
    later = [{**without[0], "act_id": "2", "graded_at": "2026-01-02", "is_blind": False}]
    assert run("(acts) => Acts.effective(acts).get('x').act_id", without + later) == "1"


def test_a_file_that_is_no_table_is_an_error(run):
    for text in ("", "x,y\r\n1,2\r\n", 'act_id,act,grader,subject,graded_at\r\n"unclosed'):
        assert "file" in run(
            "(text) => { try { return String(VoteTable.read(text)) } catch (error) { return error.message } }", text
        )
