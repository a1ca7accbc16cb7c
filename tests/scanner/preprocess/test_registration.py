"""Shift bands of analytic galaxies by known amounts and measure the shift; real and simulated objects have the right flags."""

import re

import numpy as np
import pytest
from astropy.io import fits

from scanner.preprocess.registration import LIMIT_ARCSEC, registration_notes, registration_offsets
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES, MER_10
from simulation.products.dataset import DatasetSpec, simulate_at
from tests.scanner.shifted import stamps_of
from tests.shared import EUCLID_FIELDS, REAL


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, 0.0), (-0.34, 0.57), (2.6, -0.6), (0.0, -3.3)])
def test_a_known_shift_is_measured(geometry, shift, rng):
    offsets = registration_offsets(stamps_of(geometry, rng, shift), geometry)
    assert set(offsets) == {"Y", "J", "H"}
    for band, found in offsets.items():
        expected = shift if band == "H" else (0.0, 0.0)
        assert (found.dx_arcsec[0], found.dy_arcsec[0]) == pytest.approx(expected, abs=0.03)
        assert found.is_misregistered[0] == (np.hypot(*expected) > LIMIT_ARCSEC)


def test_the_note_names_each_shifted_band_with_its_distance(rng):
    stamps = stamps_of(MER_10, rng, (0.0, 0.6))
    stamps["J"] = stamps_of(MER_10, rng, (-1.5, 0.0), band="J")["J"]
    clean = stamps_of(MER_10, rng)
    both = {band: np.concatenate([clean[band], images]) for band, images in stamps.items()}
    assert registration_notes(both, MER_10) == ["", "misregistered: J 1.50, H 0.60 arcsec from VIS"]


@pytest.mark.parametrize(
    ("peak", "shift"),
    [pytest.param(0.0, (0.0, 0.0), id="noise"), pytest.param(1.0, (0.6, 0.0), id="too faint to tell")],
)
def test_faint_objects_have_no_note(peak, shift, rng):
    for _ in range(10):
        assert registration_notes(stamps_of(MER_10, rng, shift, peak), MER_10) == [""]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param([("VIS", 1.0, 0.0, 0.2, 200.0)], id="a blue arc beside the galaxy"),
        pytest.param([("H", -1.2, 0.4, 0.3, 250.0)], id="a red neighbour"),
        pytest.param([("VIS", 0.4, 0.0, 0.1, 2000.0)], id="a cosmic ray"),
    ],
)
def test_light_that_one_band_lacks_is_no_shift(extra, rng):
    assert registration_notes(stamps_of(MER_10, rng, extra=extra), MER_10) == [""]


def test_a_masked_object_is_not_judged(rng):
    """A mask across one half of the galaxy moves its light."""
    stamps = stamps_of(MER_10, rng, (0.6, 0.0))
    stamps["VIS"][0, :, 44:50] = 0
    assert registration_notes(stamps, MER_10) == [""]
    assert registration_offsets(stamps, MER_10)["H"].correlation.tolist() == [0.0]


QUANTA = [pytest.param(1 / 16, id="compressed"), pytest.param(0.02, id="finely"), pytest.param(0.5, id="integers")]
"""Steps of quantised values, in units of the noise: `quantize_level=16` in FITS, a finer step, and integers."""


def quantised(stamps, step):
    return {band: (np.round(images / step) * step).astype(np.float32) for band, images in stamps.items()}


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("step", QUANTA)
def test_zeros_of_quantised_sky_are_no_mask(geometry, step, rng):
    for shift, note in [((0.6, 0.0), r"misregistered: H 0\.[56]\d arcsec from VIS"), ((0.0, 0.0), "")]:
        stamps = quantised(stamps_of(geometry, rng, shift), step)
        assert re.fullmatch(note, registration_notes(stamps, geometry)[0])
        assert registration_offsets(stamps, geometry)["H"].is_certain[0]


@pytest.mark.parametrize("step", [pytest.param(None, id="not quantised"), *QUANTA])
@pytest.mark.parametrize(
    "place",
    [
        pytest.param((slice(45, 55), slice(45, 55)), id="in the middle"),
        pytest.param((slice(0, 10), slice(0, 10)), id="at the edge"),
        pytest.param((slice(52, 58), slice(47, 53)), id="small"),
        pytest.param((slice(None), slice(50, 51)), id="a dead column"),
        pytest.param((slice(50, 51), slice(None)), id="a dead row"),
    ],
)
def test_masks_of_all_shapes_are_found(step, place, rng):
    stamps = stamps_of(MER_10, rng, (0.6, 0.0))
    stamps = stamps if step is None else quantised(stamps, step)
    stamps["H"][0, *place] = 0
    assert registration_notes(stamps, MER_10) == [""]
    assert registration_offsets(stamps, MER_10)["H"].correlation.tolist() == [0.0]


def test_scattered_masked_pixels_count_unless_quantised(rng):
    stamps = stamps_of(MER_10, rng, (0.6, 0.0))
    stamps["H"][0, ::10, ::10] = 0
    assert registration_notes(stamps, MER_10) == [""]


def test_constant_images_and_no_objects_are_accepted():
    for n in (0, 2):
        flat = {band: np.ones((n, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
        assert registration_notes(flat, CHALLENGE) == [""] * n


def test_offsets_do_not_depend_on_the_other_objects(rng):
    objects = [stamps_of(MER_10, rng, tuple(shift)) for shift in rng.uniform(-1, 1, (5, 2))]
    together = registration_offsets({band: np.concatenate([one[band] for one in objects]) for band in objects[0]}, MER_10)
    for i, alone in enumerate(registration_offsets(one, MER_10) for one in objects):
        for band, found in alone.items():
            numbers = [[getattr(offset, name)[at] for name in vars(offset)] for offset, at in ((found, 0), (together[band], i))]
            assert numbers[0] == numbers[1]


def test_simulated_objects_are_flagged_only_if_shifted():
    spec = DatasetSpec(n=1000, seed=77, geometry="mer10")
    objects = [simulate_at(spec, index).stamps for index in range(40)]
    stamps = {band: np.stack([one[band] for one in objects]).astype(np.float32) for band in EUCLID}
    assert registration_notes(stamps, MER_10) == [""] * 40
    shifted = registration_notes({**stamps, "H": np.roll(stamps["H"], 6, axis=1)}, MER_10)
    flagged = [note for note in shifted if note]
    assert len(flagged) >= 25
    assert all(note.startswith("misregistered: H 0.") for note in flagged)


@pytest.mark.needs_shared("real")
def test_one_real_field_is_misregistered():
    """Its VIS image lies 2.7 arcsec off the other bands; the peaks of its brightest galaxy say so too."""
    notes = {}
    for path in sorted(REAL.glob(EUCLID_FIELDS)):
        with fits.open(path) as hdus:
            images = {hdu.name: np.asarray(hdu.data, np.float32) for hdu in hdus if hdu.data is not None}
        stamps = {}
        for band, prefix in {"VIS": "VIS", "Y": "NIR_Y", "J": "NIR_J", "H": "NIR_H"}.items():
            image = images.get(f"{prefix}_FLUX", images.get(f"{prefix}_BGSUB"))
            low = (len(image) - 100) // 2
            stamps[band] = image[None, low : low + 100, low : low + 100]
        notes[path.stem.split("_")[0]] = (registration_notes(stamps, MER_10)[0], stamps)
    note, stamps = notes.pop("102022474")
    assert re.fullmatch(r"misregistered: Y 2\.6[678], J 2\.6[678], H 2\.6[678] arcsec from VIS", note)
    vis, h = (np.array(np.unravel_index(stamps[band][0].argmax(), (100, 100))) for band in ("VIS", "H"))
    assert np.hypot(*(h - vis)) * 0.1 == pytest.approx(2.67, abs=0.15)
    assert {note for note, _ in notes.values()} == {""}
