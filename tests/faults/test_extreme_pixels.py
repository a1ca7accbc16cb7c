"""A row of any pixels has finite scores or a code, and they do not depend on the row's position in a batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scanner.catalogue.plan import ScanConfig
from scanner.networks.architectures import NetworkSpec
from scanner.preprocess.channel import channels
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.sources.cutouts import Cutout, to_cutout
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.ensembles import write_test_package
from tests.scanner.scanned import score_rows

BANDS = tuple(MER_10.grids)
SPECS = (
    NetworkSpec("min-max", "ou66", channels("min_max", *BANDS)),
    NetworkSpec("sky", "ou66", (*channels("sky_asinh", *BANDS), *channels("detail", "VIS"))),
    NetworkSpec("centre", "ou66", (*channels("centre_asinh", *BANDS), *channels("detail", *BANDS))),
)
SCORES = ("p_min_max", "p_sky", "p_centre", "p_lens", "disagreement")
CODES = {RejectCode.NOT_FINITE, RejectCode.CONSTANT, RejectCode.BLANK}

VALUES = (0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e30, 1e-44, 65535.0, -1e6)
"""Values of masked, missing, overflown, underflown and saturated pixels."""


@pytest.fixture(scope="module")
def scanner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "pack"
    write_test_package(folder, SPECS, geometry="mer10")
    return open_scanner(folder, ScanConfig(engine="openvino", sweep=False, batch_size=8))


def noise(seed, n=100):
    return np.random.default_rng(seed).normal(size=(n, n)).astype(np.float32)


def painted(seed, scale, offset, patches):
    """Return noise of any scale and offset, with patches, rows and single pixels of one value each."""
    image = noise(seed).astype(np.float64) * scale + offset
    for (y, x, height, width), value in patches:
        image[y : y + height, x : x + width] = value
    with np.errstate(over="ignore"):
        return image.astype(np.float32)


SIDES = st.sampled_from([1, 2, 9, 30, 70, 100])
BOXES = st.tuples(st.integers(0, 99), st.integers(0, 99), SIDES, SIDES)
IMAGES = st.one_of(
    st.builds(
        painted,
        st.integers(0, 9),
        st.sampled_from([1.0, 1e-30, 1e-20, 1e-3, 1e6, 1e20, 1e29, 1e38]),
        st.sampled_from([0.0, 1.0, -1.0, 1e5, 1e30, -1e-20]),
        st.lists(st.tuples(BOXES, st.sampled_from(VALUES)), max_size=4),
    ),
    hnp.arrays(np.float32, (100, 100), elements=st.floats(width=32), fill=st.sampled_from(VALUES)),
    st.builds(lambda value: np.full((100, 100), value, np.float32), st.sampled_from(VALUES)),
)
OBJECTS = st.builds(
    lambda image, band, seed: {b: image if b == band else noise(seed + i) for i, b in enumerate(BANDS)},
    IMAGES,
    st.sampled_from(BANDS),
    st.integers(0, 9),
)


def row(images):
    try:
        return to_cutout({band: BandImage(image, 0.1) for band, image in images.items()}, MER_10)
    except Rejection as rejection:
        return rejection


def scored(scanner, rows, batch_size):
    return score_rows(CutoutScanner(scanner._ensemble, batch_size), rows).to_pylist()


def check(scanner, objects):
    rows = [row(images) for images in objects]
    found = score_rows(scanner, rows).to_pylist()
    for given_row, got in zip(rows, found, strict=True):
        if isinstance(given_row, Cutout):
            assert got["status"] == "scored"
            assert all(np.isfinite(got[name]) and 0 <= got[name] <= 1 for name in SCORES)
        else:
            assert given_row.code in CODES
            assert got["status"] == f"rejected:{given_row.code}"
            assert all(got[name] is None for name in SCORES)
    # Score the rows alone, and at other positions in other batches.
    one_by_one = scored(scanner, rows, 1)
    turned = scored(scanner, [*rows[::-1], row({band: noise(77) for band in BANDS})], 3)
    assert one_by_one == found
    assert turned[:-1][::-1] == found
    return found


def one(image):
    return {band: image if band == "J" else noise(i) for i, band in enumerate(BANDS)}


def with_values(value, n_rows):
    image = noise(5)
    image[:n_rows] = value
    return image


NAMED = {
    "zero": (np.zeros((100, 100), np.float32), "rejected:blank"),
    "constant": (np.full((100, 100), 7, np.float32), "rejected:constant"),
    "not a number": (np.full((100, 100), np.nan, np.float32), "rejected:not_finite"),
    "infinite": (np.full((100, 100), -np.inf, np.float32), "rejected:not_finite"),
    "a tenth missing": (with_values(np.nan, 10), "scored"),
    "more than a tenth missing": (with_values(np.inf, 11), "rejected:not_finite"),
    "half masked": (with_values(0, 50), "scored"),
    "all but a row masked": (with_values(0, 99), "scored"),
    "saturated": (with_values(65535, 60), "scored"),
    "all but a row saturated": (with_values(65535, 99), "scored"),
    "overflown": (with_values(3e38, 1), "rejected:not_finite"),
    "nearly overflown everywhere, and infinite in places": (
        np.where(noise(1) > 3, np.inf, np.float32(3e38)).astype(np.float32),
        "rejected:not_finite",
    ),
    "underflown": (noise(2) * np.float32(1e-38), "rejected:constant"),
    "one pixel": (np.where(np.arange(10_000).reshape(100, 100) == 5050, 1, 0).astype(np.float32), "scored"),
    "huge": (noise(3) * np.float32(1e28), "scored"),
    "tiny": (noise(3) * np.float32(1e-28), "scored"),
}


@pytest.mark.fault(24)
def test_each_kind_of_extreme_pixels_has_its_status(scanner, measured):
    found = check(scanner, [one(image) for image, _ in NAMED.values()])
    assert {name: row["status"] for name, row in zip(NAMED, found, strict=True)} == {name: s for name, (_, s) in NAMED.items()}
    measured(runs=len(NAMED))


@pytest.mark.fault(24)
@settings(max_examples=12)
@given(st.lists(OBJECTS, min_size=1, max_size=3))
def test_any_pixels_give_finite_scores_or_a_code(scanner, objects):
    check(scanner, objects)


N_EXAMPLES = 200


@pytest.mark.faults
@pytest.mark.fault(24)
def test_hundreds_of_images_give_finite_scores_or_a_code(scanner, measured):
    @settings(max_examples=N_EXAMPLES)
    @given(st.lists(OBJECTS, min_size=1, max_size=5))
    def each(objects):
        check(scanner, objects)

    each()
    measured(
        runs=N_EXAMPLES, note="batches of any pixels: finite scores or a code, bitwise the same at any place and batch size"
    )
