"""The gate on nights of real tiles: what is stored, which night is the reference, and who may promote what."""

import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from infra.store.storage import list_files
from scanner.catalogue.injected import write_injected
from scanner.catalogue.paths import measured_uri, quality_uri, seal_uri
from scanner.catalogue.verdicts import Check, newest_verdict, record_verdict
from scanner.catalogue.visible import selected_plans
from scanner.quality.assess import assess
from scanner.quality.errors import QualityError
from scanner.quality.limits import QualityLimits
from scanner.quality.measures import stored_measures
from scanner.quality.promote import promote
from tests.scanner.injected_parts import injected_into
from tests.scanner.quality.scanned import N_OBJECTS, N_TILES, scanned, write_night

NIGHTS = ("2026-01-01", "2026-01-02", "2026-01-05")
LIMITS = QualityLimits()


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    for seed, night in enumerate(NIGHTS):
        write_night(folder / night, seed)
    return folder


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def judged(root, tiles, i, **options):
    plan = scanned(root, tiles / NIGHTS[i], NIGHTS[i], seed=i)
    return plan, assess(plan, root, LIMITS, **options)


def test_good_nights_pass_and_the_nearest_promoted_is_the_reference(root, tiles):
    first, verdict = judged(root, tiles, 0)
    assert verdict.is_passed, verdict.why
    assert verdict.reference_plan_id is None
    promote(first, root, "ann")
    second, verdict = judged(root, tiles, 1)
    assert verdict.is_passed, verdict.why
    assert (verdict.reference_night, verdict.reference_plan_id) == (NIGHTS[0], first.plan_id)
    # The second night is nearer to the third, and readers do not see it yet.
    third, verdict = judged(root, tiles, 2)
    assert verdict.reference_night == NIGHTS[0]
    promote(second, root, "ann")
    assert assess(third, root, LIMITS).reference_night == NIGHTS[1]
    assert assess(third, root, LIMITS, NIGHTS[0]).reference_night == NIGHTS[0]


def test_a_reference_of_another_version_is_named(root, tiles, caplog):
    first, _ = judged(root, tiles, 0)
    promote(first, root, "ann")
    uri = measured_uri(root, first.plan_id)
    stored = Path(uri).read_bytes()
    found = stored_measures(root, first.plan_id)
    Path(uri).write_text(found.model_copy(update={"version": found.version - 1}).model_dump_json())
    second, verdict = judged(root, tiles, 1)
    assert verdict.reference_plan_id is None
    assert f"`lensscan qa {root} --night {NIGHTS[0]}` makes them" in caplog.text
    caplog.clear()
    assess(first, root, LIMITS)
    assert Path(uri).read_bytes() == stored
    assert assess(second, root, LIMITS).reference_night == NIGHTS[0]
    assert not caplog.text


def test_injected_lenses_of_another_scan_are_told(root, tiles):
    plan, _ = judged(root, tiles, 0)
    promote(plan, root, "ann")

    def recovered():
        return [check for check in assess(plan, root, LIMITS).checks if check.name == "recovered"]

    assert recovered() == []
    write_injected(injected_into(root, night=NIGHTS[0]), root)
    (measured,) = recovered()
    assert measured.value is not None
    write_injected(injected_into(root, night=NIGHTS[0], shown=(("f" * 64, 0.5),)), root)
    (unknown,) = recovered()
    assert (unknown.value, unknown.is_good) == (None, True)
    assert "the night's injected lenses belong to another scan of it" in unknown.text


def test_the_same_question_stores_nothing_new(root, tiles):
    plan, verdict = judged(root, tiles, 0)
    before = {file.uri: file.modified for file in list_files(root)}
    assert assess(plan, root, LIMITS) == verdict
    assert {file.uri: file.modified for file in list_files(root)} == before
    names = [file.uri.rpartition("/")[2] for file in list_files(quality_uri(root, plan.plan_id))]
    assert names == ["measured.json", "verdict-00000001.json"]
    found = stored_measures(root, plan.plan_id)
    assert found.n_sampled == found.n_chosen == N_TILES * N_OBJECTS
    assert sum(found.log_odds) == N_TILES * N_OBJECTS


@pytest.mark.parametrize(
    ("band", "change", "check"),
    [
        ("NIR-J", "zero point", ("zero_point", "J")),
        ("NIR-J", "no zero point", ("zero_point", "J")),
        ("VIS", "blur", ("psf_width", "VIS")),
        ("NIR-Y", "sky", ("sky_level", "Y")),
        ("NIR-H", "noise", ("sky_noise", "H")),
    ],
)
def test_a_change_of_one_band_fails_its_check(root, tiles, tmp_path, rng, band, change, check):
    first, _ = judged(root, tiles, 0)
    promote(first, root, "ann")
    bad = shutil.copytree(tiles / NIGHTS[1], tmp_path / "bad")
    for path in bad.glob(f"*MOSAIC-{band}_*"):
        altered(path, change, rng)
    plan = scanned(root, bad, NIGHTS[1])
    verdict = assess(plan, root, LIMITS)
    assert check in {(found.name, found.band) for found in verdict.checks if not found.is_good}
    # A change of the image of one band is no fault of the others.
    assert {found.band for found in verdict.checks if not found.is_good} == {check[1]}
    assert newest_verdict(root, plan.plan_id) == verdict
    with pytest.raises(QualityError, match=f"night {NIGHTS[1]} has failed its quality gate: {check[1]}: "):
        promote(plan, root, "ann")


def altered(path, change, rng):
    from scipy.ndimage import gaussian_filter

    with fits.open(path) as hdus:
        pixels, header = hdus[0].data.astype(float), hdus[0].header
    sigma = 0.01
    if change == "zero point":
        header["MAGZERO"] += 0.5
    elif change == "no zero point":
        del header["MAGZERO"]
    elif change == "blur":
        # The sky keeps its noise, so that the width alone changes.
        pixels = gaussian_filter(pixels, 3) + rng.normal(0, sigma, pixels.shape)
    elif change == "sky":
        pixels += 0.8 * sigma
    else:
        pixels += rng.normal(0, 1.5 * sigma, pixels.shape)
    fits.PrimaryHDU(pixels.astype("f4"), header).writeto(path, overwrite=True, checksum=True)


def test_a_failed_night_is_overruled_with_a_stored_reason(root, tiles):
    plan = scanned(root, tiles / NIGHTS[0], NIGHTS[0])
    with pytest.raises(QualityError, match="night 2026-01-01 was not judged: `lensscan qa"):
        promote(plan, root, "ann")
    verdict = assess(plan, root, QualityLimits(reject_share=0))
    assert verdict.is_passed
    strict = assess(plan, root, QualityLimits(sky_noise_ratio=1.2))
    assert strict.number == 2
    with pytest.raises(QualityError, match="--overrule needs a reason"):
        promote(plan, root, "ann", "  ")
    done = promote(plan, root, "ann", "moonlight")
    assert done.is_new
    # The gate had passed, so there was nothing to overrule.
    assert (done.promotion.by, done.promotion.verdict, done.promotion.overruled_because) == ("ann", 2, None)


def test_an_overruled_night_is_no_reference(root, tiles):
    plan, verdict = judged(root, tiles, 0)
    bad = Check(name="reject_share", value=1, limit=0, is_good=False, text="clouds")
    record_verdict(verdict.model_copy(update={"checks": (bad,)}), root)
    assert promote(plan, root, "ann", "wanted anyhow").promotion.overruled_because == "wanted anyhow"
    _, verdict = judged(root, tiles, 1)
    assert verdict.reference_night is None


def test_a_second_promotion_changes_nothing(root, tiles):
    plan, _ = judged(root, tiles, 0)
    promote(plan, root, "ann")
    before = {file.uri: file.modified for file in list_files(root)}
    again = promote(plan, root, "bob", "no need")
    assert not again.is_new
    assert again.promotion.by == "ann"
    assert {file.uri: file.modified for file in list_files(root)} == before
    assert [one.plan_id for one in selected_plans(root)] == [plan.plan_id]


def test_an_unsealed_plan_is_neither_judged_nor_promoted(root, tiles):
    plan = scanned(root, tiles / NIGHTS[0], NIGHTS[0])
    Path(seal_uri(root, plan.plan_id)).unlink()
    for act in (lambda: assess(plan, root, LIMITS), lambda: promote(plan, root, "ann", "any")):
        with pytest.raises(QualityError, match="is not sealed"):
            act()


def test_lost_tiles_fail_the_sample(root, tiles, tmp_path):
    gone = shutil.copytree(tiles / NIGHTS[0], tmp_path / "gone")
    plan = scanned(root, gone, NIGHTS[0])
    shutil.rmtree(gone)
    verdict = assess(plan, root, LIMITS)
    assert [check.name for check in verdict.checks if not check.is_good] == ["sample"]
