import numpy as np
import pytest

from scanner.sources.shards import TRUTH_FIELDS
from scanner.vocabulary.bands import VIS
from simulation.products.truth import MIN_ARC_SNR, ArcTruth, Visibility, total_mag, truth_row, visibility
from simulation.systems import Mass, Sed, Sersic, System

SED = Sed(24.0, 23.5, 23.2, 23.0)
SKY = VIS.noise_electrons_per_pixel / VIS.electrons_per_adu_per_s


def patch(n_bright, level):
    """Return a 60x60 image with `n_bright` pixels at `level`."""
    image = np.zeros((60, 60), np.float32)
    image.ravel()[1000 : 1000 + n_bright] = level
    return image


def light(vis_mag):
    return Sersic(0.0, 0.0, 0.3, 1.0, 0.8, 0.0, Sed(vis_mag, vis_mag - 1, vis_mag - 1.2, vis_mag - 1.4))


def lens(**changes):
    values = {
        "kind": "single", "lookalike": None, "z_lens": 0.5, "z_source1": 1.5, "z_source2": None,
        "masses": (Mass(0.5, 0.0, 0.0, 220.0, 0.8, 0.0),), "galaxy": (light(20.0),), "source1": (light(24.0), light(24.0)),
        "source2": (), "neighbours": (), "velocity_dispersion_km_s": 220.0, "detector_angle_deg": 10.0,
    }  # fmt: skip
    return System(**{**values, **changes})


SEEN = Visibility(30.0, 50, is_visible=True)


def test_signal_to_noise_counts_the_pixels_above_the_noise():
    level = 4 * SKY
    shown = visibility([patch(100, level)], np.zeros((60, 60), np.float32))
    # The noise is that of the sky and of the source's own electrons.
    variance = SKY**2 + level / VIS.electrons_per_adu_per_s
    assert shown.arc_snr == pytest.approx(np.sqrt(100 * level**2 / variance), rel=1e-4)
    assert shown.n_pix_source == 100
    assert shown.is_visible


@pytest.mark.parametrize(("n_pixels", "sigmas", "visible"), [(21, 8, True), (20, 8, False), (30, 0.9, False), (25, 2, False)])
def test_arcs_are_seen_in_more_than_twenty_bright_pixels(n_pixels, sigmas, visible):
    shown = visibility([patch(n_pixels, sigmas * SKY)], np.zeros((60, 60), np.float32))
    assert shown.is_visible == visible
    assert (shown.arc_snr > MIN_ARC_SNR) == (sigmas == 8)


def test_arcs_drown_in_the_light_of_the_galaxy():
    arcs = patch(200, 20 * SKY)
    assert visibility([arcs], arcs / 0.13).is_visible
    assert not visibility([arcs], arcs / 0.11).is_visible


def test_every_source_must_be_seen():
    none = np.zeros((60, 60), np.float32)
    assert not visibility([patch(200, 20 * SKY), patch(200, 0.1 * SKY)], none).is_visible


@pytest.mark.parametrize(
    ("arcs", "is_lens"),
    [
        (ArcTruth((1.7,), SEEN, 2, "arc"), True),
        (ArcTruth((1.6,), SEEN, 2, "arc"), False),
        (ArcTruth((1.7,), SEEN, 0, "arc"), False),
        (ArcTruth((1.7,), Visibility(30.0, 20, is_visible=True), 2, "arc"), False),
    ],
)
def test_the_challenges_label_rule(arcs, is_lens):
    assert truth_row(lens(), arcs)["is_challenge_lens"] is is_lens


def test_truth_of_a_single_lens():
    row = truth_row(lens(), ArcTruth((5.0,), SEEN, 4, "quad"))
    assert (row["kind"], row["morphology"], row["n_source_im"]) == ("single", "quad", 4)
    assert row["source1_mag_vis"] == pytest.approx(24 - 2.5 * np.log10(2))
    assert row["source1_vis_minus_h"] == pytest.approx(1.4)
    assert row["magnification2"] is None
    assert row["einstein_radius2_arcsec"] is None


def test_light_of_a_group_counts_and_is_described_so():
    alone, group = (
        truth_row(lens(galaxy=galaxy), ArcTruth((5.0,), SEEN, 4, "quad")) for galaxy in ((light(20),), (light(20),) * 2)
    )
    assert group["lens_mag_vis"] == pytest.approx(20 - 2.5 * np.log10(2))
    assert group["arc_to_lens_flux"] == pytest.approx(alone["arc_to_lens_flux"] / 2)
    described = {field.name: field.metadata[b"description"] for field in TRUTH_FIELDS}
    assert all(b"lens galaxy and its group" in described[name] for name in ("lens_mag_vis", "arc_to_lens_flux"))


def test_a_compound_lens_has_its_kind_as_morphology():
    arcs = ArcTruth((5.0, 3.0), SEEN, 2, "ring")
    system = lens(kind="double_ring", z_source2=3.0, source2=(light(25.0),))
    assert truth_row(system, arcs)["morphology"] == "double_ring"


def test_truth_of_a_galaxy_that_lenses_nothing():
    row = truth_row(lens(kind="nonlens", lookalike="spiral", z_source1=None, masses=(), source1=()), None)
    assert (row["kind"], row["morphology"], row["is_challenge_lens"]) == ("nonlens", "spiral", False)
    assert {row[name] for name in ("arc_snr", "magnification1", "einstein_radius1_arcsec", "source1_mag_vis")} == {None}


def test_magnitudes_add_as_fluxes():
    assert total_mag((light(20.0), light(20.0)), "H") == pytest.approx(18.6 - 2.5 * np.log10(2))
    assert total_mag((), "VIS") is None
