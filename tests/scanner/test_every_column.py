"""Every column of candidates, in the catalogue and in its publication, against numbers that are known or computed otherwise.

One tile is scanned, of galaxies and arcs with known light, place and colour, whose bands have different zero points and PSFs.
"""

import math
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

import lensscan
from infra.provenance import code_version
from scanner.catalogue.known_lenses import read_known
from scanner.catalogue.map_columns import EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.query import query
from scanner.hats.publish import publish
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_scorer
from scanner.scan.request import ScanRequest
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.network_columns import KIND_P, network_column_name
from scanner.workers.run import scan_night
from tests.scanner.healpix import cell_of
from tests.tiles import MER_BANDS, header

N, SIDE = 4, 200
"""Number of objects, one above the other in the mosaics, and pixels along each one's square."""
PACKAGE = SHIPPED_DIR / "mer3-cascade"
FWHM_ARCSEC, SIGMA_PER_FWHM = 1.2, 1 / math.sqrt(8 * math.log(2))
ZERO_POINTS = {"VIS": 24.0, "Y": 28.5, "J": 29.0, "H": 30.0}
SKY_UJY = {"VIS": 0.002, "Y": 0.006, "J": 0.007, "H": 0.008}
GALAXY_MAG = {"VIS": 20.4, "Y": 19.5, "J": 19.2, "H": 19.0}
ARC_MAG = {"VIS": 22.0, "Y": 21.8, "J": 21.7, "H": 21.6}
SHIFT_ARCSEC = 0.4
"""Shift of H in the last object."""
IDS, FLUXES, FLAGS = -np.arange(11, 11 + N), 1.5 + np.arange(N), np.arange(N)
NIGHT = "2026-11-24"


def unit_of_ujy(band):
    return 10 ** (0.4 * (ZERO_POINTS[band] - 23.9))


def stamp(mosaic, i):
    return mosaic[i * SIDE + 50 : i * SIDE + 150, 50:150]


def light_ujy(band, *, has_arc):
    """Return a galaxy, with a sixth of a ring about it or without, in microjansky, through the band's PSF, `[y, x]`."""
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    radius = np.hypot(y, x) * 0.1
    galaxy = np.exp(-(radius**2) / (2 * (FWHM_ARCSEC * SIGMA_PER_FWHM) ** 2))
    arc = ((radius > 1.6) & (radius < 2.2) & (x > 0.866 * np.hypot(y, x))).astype(float)
    parts = [(galaxy, GALAXY_MAG), (arc, ARC_MAG)][: 1 + has_arc]
    ujy = sum(part / part.sum() * 10 ** (-0.4 * (mags[band] - 23.9)) for part, mags in parts)
    return gaussian_filter(ujy, EUCLID[band].psf_fwhm_arcsec * SIGMA_PER_FWHM / 0.1)


def write_sky(folder):
    """Write mosaics and catalogue, and return the mosaics and positions."""
    rng, mosaics = np.random.default_rng(7), {}
    folder.mkdir()
    hdu_header = header(SIDE, 150.0012, 2.0007)
    hdu_header["CRPIX2"] = (N * SIDE + 1) / 2
    for band, name in MER_BANDS.items():
        squares = [light_ujy(band, has_arc=i < N - 1) for i in range(N)]
        if band == "H":
            squares[-1] = np.roll(squares[-1], round(SHIFT_ARCSEC / 0.1), axis=1)
        ujy = np.concatenate(squares) + rng.normal(0, SKY_UJY[band], (N * SIDE, SIDE))
        mosaics[band] = (ujy * unit_of_ujy(band)).astype(np.float32)
        hdu_header["MAGZERO"] = ZERO_POINTS[band]
        file = folder / f"EUC_MER_BGSUB-MOSAIC-{name}_TILE000000007-ABC123_20260101T000000.000000Z_00.00.fits"
        fits.PrimaryHDU(mosaics[band], hdu_header).writeto(file, checksum=True)
    x, y = np.full(N, (SIDE - 1) / 2), SIDE * (np.arange(N) + 0.5) - 0.5
    ra, dec = WCS(hdu_header).pixel_to_world_values(x, y)
    columns = {"OBJECT_ID": ("K", IDS, None), "RIGHT_ASCENSION": ("D", ra, "deg"), "DECLINATION": ("D", dec, "deg")}
    columns |= {"FLUX_VIS_PSF": ("D", FLUXES, "uJy"), "SPURIOUS_FLAG": ("J", FLAGS, None)}
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, form, unit, array=of) for name, (form, of, unit) in columns.items()]
    )
    table.writeto(folder / "EUC_MER_FINAL-CAT_TILE000000007-ABC123_20260101T000000.000000Z_00.00.fits")
    return mosaics, ra, dec


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Return mosaics, positions, summary, and the columns of file, query and publication, ordered as IDS."""
    folder = tmp_path_factory.mktemp("columns")
    mosaics, ra, dec = write_sky(folder / "tiles")
    asked = {
        "night": date.fromisoformat(NIGHT),
        "package": PACKAGE,
        "candidate_threshold": 0.0,
        "engine": "torch",
        "exact": True,
    }
    summary = scan_night(ScanRequest(input_uri=str(folder / "tiles"), **asked), str(folder / "root"))
    (folder / "known.csv").write_text(f"name,ra,dec,grade,reference\nKnown,{ra[0]:.9f},{dec[0] + 1 / 3600:.9f},A,Paper 2026\n")
    publish(str(folder / "root"), str(folder / "collection"), known=read_known(str(folder / "known.csv")))
    (leaf,) = (folder / "collection").glob("*/dataset/**/*.parquet")
    tables = [pq.read_table(summary.candidates_uri), query(str(folder / "root")), pq.read_table(leaf)]
    columns = {}
    for table in tables:
        for name in table.column_names:
            values = dict(zip(table["object_id"].to_pylist(), table[name].to_pylist(), strict=True))
            in_order = [values[i] for i in IDS]
            assert columns.setdefault(name, in_order) == in_order, f"{name} differs between catalogue, query and publication"
    return mosaics, ra, dec, summary, columns


def mag(flux_ujy):
    return 23.9 - 2.5 * math.log10(flux_ujy)


def mag_in_circle(band, diameter_arcsec):
    """Return the magnitude of the galaxy, a Gaussian, within a circle."""
    sigma_arcsec = math.hypot(FWHM_ARCSEC, EUCLID[band].psf_fwhm_arcsec) * SIGMA_PER_FWHM
    return GALAXY_MAG[band] + mag(1 - math.exp(-((diameter_arcsec / 2) ** 2) / (2 * sigma_arcsec**2))) - 23.9


def photometry_of_truth():
    """Return expected values with their tolerances; the last object has no arc, and its H lies elsewhere."""
    expected = {}
    for band in EUCLID:
        expected[f"sky_sigma_{band.lower()}_ujy"] = [SKY_UJY[band]] * N, 0.1 * SKY_UJY[band]
        for diameter in (1, 2):
            n_shifted = band == "H"
            values = [*[mag_in_circle(band, diameter)] * (N - n_shifted), *[math.nan] * n_shifted]
            expected[f"mag_{band.lower()}_{diameter}arcsec"] = values, 0.02
    for band in ("VIS", "Y"):
        expected[f"lens_{band.lower()}_minus_h"] = [*[GALAXY_MAG[band] - GALAXY_MAG["H"]] * (N - 1), math.nan], 0.02
    # Ellipses take some light of the arc for the galaxy's, in H more than in VIS.
    expected["arc_vis_minus_h"] = [*[ARC_MAG["VIS"] - ARC_MAG["H"]] * (N - 1), None], 0.1
    n_pixels = math.pi / 6 * (2.2**2 - 1.6**2) / 0.1**2
    snr = 10 ** (-0.4 * (ARC_MAG["VIS"] - 23.9)) / SKY_UJY["VIS"] / math.sqrt(n_pixels)
    expected["arc_snr_vis"] = [*[snr] * (N - 1), 0.0], 0.25 * snr
    expected["bands_shift_arcsec"] = [*[0.0] * (N - 1), SHIFT_ARCSEC], 0.02
    return expected


def scores_of(stamps):
    """Return what the networks say of stamps, in memory, with what follows from the definitions of the columns."""
    scores = lensscan.load("mer3-cascade").score(stamps)
    card = read_card(PACKAGE)
    log_odds = np.log(scores.p_lens / (1 - scores.p_lens))
    of_cuts = [(cut.p_lens, cut.credible_purity) for cut in card.cuts if cut.is_reached]
    cuts = np.array([(math.log(p / (1 - p)), *map(math.log, (of.value, of.low, of.high))) for p, of in of_cuts])
    between = [np.exp(np.interp(log_odds, cuts[:, 0], np.maximum.accumulate(cuts[:, i]))) for i in (1, 2, 3)]
    # Below the lowest cut nothing was measured.
    purity = [[value if at >= cuts[0, 0] else None for at, value in zip(log_odds, of, strict=True)] for of in between]
    rank = np.argsort(np.argsort(-scores.p_lens)) + 1
    reference = load_file(PACKAGE / card.feature_reference.file)
    features = load_scorer(PACKAGE, "torch", features=True).committee.score(stamps).features.astype(float)
    embedding = np.sign(features) * np.sqrt(np.abs(features)) @ reference["projection"].astype(float)
    objects = reference["objects"] / 64
    distances = cdist((embedding - reference["centre"]) @ reference["scaling"], objects)
    return {
        **{network_column_name(name): (p, 1e-4) for name, p in scores.p_networks.items()},
        "p_lens": (scores.p_lens, 1e-4),
        "p_compound": (scores.p_compound, 1e-4),
        "disagreement": (scores.disagreement, 1e-4),
        "rank": (rank, 0),
        **dict(
            zip(("expected_purity", "expected_purity_low", "expected_purity_high"), ((of, 1e-3) for of in purity), strict=True)
        ),
        "anomaly": (np.sort(distances)[:, 4] / reference["usual_distance"], 0.02),
        "embedding": (embedding, 1 / 32),
    }


def in_sky_sigma(mosaics, i):
    """Return the middle 8 arcsec of an object, `[band, y, x]`, in sigma of the sky."""
    return np.stack([stamp(mosaics[band], i)[10:90, 10:90] / (SKY_UJY[band] * unit_of_ujy(band)) for band in EUCLID])


def test_every_column_has_the_expected_value(sky):
    mosaics, ra, dec, summary, columns = sky
    stamps = {band: np.stack([stamp(of, i) for i in range(N)]) for band, of in mosaics.items()}
    card = read_card(PACKAGE)
    kinds = np.array([columns[name] for name in KIND_P])
    place = SkyCoord(ra, dec, unit="deg")
    names = [
        f"EUCL J{at.ra.to_string('hour', sep='', pad=True, precision=5)[:9]}"
        f"{at.dec.to_string('deg', sep='', pad=True, alwayssign=True, precision=5)[:9]}"
        for at in place
    ]
    exact = {
        "object_id": IDS.tolist(),
        "candidate_id": names,
        "ra": ra.tolist(),
        "dec": dec.tolist(),
        "tile": ["000000007"] * N,
        "night": [NIGHT] * N,
        "status": ["scored"] * N,
        "detail": [*[""] * (N - 1), f"misregistered: H {SHIFT_ARCSEC:.2f} arcsec from VIS"],
        # Where half of the objects are lenses, one with `p_lens` of the prevalence is as likely a lens as not.
        "subclass": [
            ["single", "compound_arc", "double_ring"][best] if p_lens >= card.assumed_prevalence else "nonlens"
            for best, p_lens in zip(kinds.argmax(axis=0), columns["p_lens"], strict=True)
        ],
        "stage": [2] * N,
        "precision": ["float32"] * N,
        "ensemble": ["mer3-cascade"] * N,
        "plan_id": [summary.plan_id] * N,
        "ensemble_sha256": [card.sha256] * N,
        "code_version": [code_version()] * N,
        "_healpix_29": [cell_of(*at, 29) for at in zip(ra, dec, strict=True)],
        "cat_flux_vis_psf": FLUXES.tolist(),
        "cat_spurious_flag": FLAGS.tolist(),
        "known_name": ["Known", *[""] * (N - 1)],
        "known_grade": ["A", *[""] * (N - 1)],
        "known_reference": ["Paper 2026", *[""] * (N - 1)],
    }
    near = {
        **photometry_of_truth(),
        **scores_of(stamps),
        "known_separation_arcsec": ([1.0, *[None] * (N - 1)], 1e-3),
    }
    assert {name: columns[name] for name in exact} == exact
    for name, (values, tolerance) in near.items():
        for found, value in zip(columns[name], values, strict=True):
            if value is None or not np.isnan(value).any():
                assert found == (value if value is None else pytest.approx(value, abs=tolerance, rel=tolerance)), name
    assert kinds.sum(axis=0) == pytest.approx(1, abs=1e-6)
    p_compound = np.array(columns["p_lens"]) * kinds[1:].sum(axis=0)
    assert p_compound == pytest.approx(np.array(columns["p_compound"]), abs=1e-7)
    assert set(columns) == {*exact, *near, *KIND_P, *(column.name for column in (*EXPLANATION_COLUMNS, *MAP_COLUMNS))}
    assert [name for name, values in columns.items() if values == [None] * N] == []


@pytest.mark.parametrize("i", range(N))
def test_maps_show_the_pixels_and_where_the_evidence_lies(sky, i):
    mosaics, _, _, _, columns = sky
    row = {name: values[i] for name, values in columns.items()}
    sigmas = np.reshape(row["cutout_sigma"], (4, 80, 80)) * row["cutout_step"]
    np.testing.assert_allclose(sigmas, in_sky_sigma(mosaics, i), rtol=0.1, atol=0.3)
    vis, y, j, h = sigmas
    colours = np.stack([0.55 * h, 0.35 * (y + j), vis], axis=-1)
    shown = 255 * np.clip(0.08 + 0.92 * np.arcsinh(colours / 4) / math.asinh(150 / 4), 0, 1)
    np.testing.assert_allclose(np.reshape(row["cutout_rgb"], (80, 80, 3)), shown, atol=2)
    guided, cam = np.reshape(row["map_guided"], (40, 40)) / 255, np.reshape(row["map_cam"], (20, 20))
    assert guided.max() * 255 == cam.max() == 255
    at = (np.arange(40) - 19.5) * 0.2
    radius = np.hypot(at[:, None], at)
    for name, chosen in (("core", radius < 0.5), ("arc", (radius >= 0.5) & (radius < 3))):
        assert row[f"attribution_{name}"] == pytest.approx(guided[chosen].sum() / guided.sum(), abs=0.06)
    assert row["attribution_peak_arcsec"] == pytest.approx(radius.ravel()[guided.argmax()])
    assert sum(row[f"attribution_{band.lower()}"] for band in EUCLID) == pytest.approx(1, abs=1e-6)
    assert row["attribution_agreement"] == pytest.approx(0.6, abs=0.3), "networks look at the same arc"
    changes = np.reshape(row["map_occlusion"], (8, 8)) * row["occlusion_step"]
    assert row["occlusion_drop"] == pytest.approx(-changes.min(), rel=1e-3)
    if i < N - 1:
        # The arc lies on the side of higher columns.
        assert (guided.sum(axis=0) * at).sum() / guided.sum() > 0.5
