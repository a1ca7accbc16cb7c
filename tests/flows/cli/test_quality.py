"""`lensscan scan --gate`, `qa`, `promote` and `status` as people run them, on scanned tiles with real faults."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits

from tests.scanner.quality.scanned import scanned, write_night

FIRST, SECOND = "2026-01-01", "2026-01-02"


@pytest.fixture(scope="module")
def good(lensscan, tmp_path_factory):
    """Return the tiles of two nights, and a catalogue that has promoted the first one."""
    folder = tmp_path_factory.mktemp("gate")
    for seed, night in enumerate((FIRST, SECOND)):
        write_night(folder / "tiles" / night, seed)
    root = folder / "catalogue"
    scan(lensscan, folder / "tiles" / FIRST, root, FIRST)
    assert json.loads(ran(lensscan, "status", root, "--json"))[0]["state"] == "to be judged"
    ran(lensscan, "qa", root)
    assert json.loads(ran(lensscan, "status", root, "--json"))[0]["state"] == "to be promoted"
    ran(lensscan, "promote", root, "--night", FIRST)
    assert json.loads(ran(lensscan, "status", root, "--json"))[0]["state"] == "shown"
    return folder / "tiles", root


def ran(lensscan, *words, code=0):
    done = lensscan(*map(str, words))
    assert done.returncode == code, done
    return done.stdout if code < 2 else done.stderr


def scan(lensscan, tiles, root, night, *options, code=0):
    words = ("--out", root, "--night", night, "--maps", "0", "--workers", "1", "--gate", "--json", *options)
    summary = json.loads(ran(lensscan, "scan", tiles, *words, code=code))
    assert summary["awaits_gate"]
    assert summary["published"] is None
    return summary


def copied(good, folder):
    """Return copies of the second night's tiles and of the catalogue."""
    return shutil.copytree(good[0] / SECOND, folder / "tiles"), shutil.copytree(good[1], folder / "catalogue")


def check_refused(lensscan, root, check, why):
    verdict = json.loads(ran(lensscan, "qa", root, "--night", SECOND, "--json", code=1))
    assert not verdict["is_passed"]
    assert check in {found["name"] for found in verdict["checks"] if not found["is_good"]}
    assert why in " ".join(ran(lensscan, "promote", root, "--night", SECOND, code=2).split())


def without_band(tiles):
    for path in tiles.glob("*MOSAIC-NIR-J*"):
        path.unlink()


def with_zero_tile(tiles):
    for path in tiles.glob("*MOSAIC-VIS_TILE000000002*"):
        with fits.open(path) as hdus:
            header = hdus[0].header
        fits.PrimaryHDU(np.zeros((620, 620), "f4"), header).writeto(path, overwrite=True, checksum=True)


def test_a_faulty_night_stays_away_until_it_is_overruled(lensscan, good, tmp_path):
    tiles, root = copied(good, tmp_path)
    without_band(tiles)
    why = "2 tiles lack a band (J in 2): 000000001, 000000002 (limit 0)"
    scan(lensscan, tiles, root, SECOND, "--publish-to", tmp_path / "collection", code=1)
    check_refused(lensscan, root, "missing_bands", why)
    told = ran(lensscan, "status", root)
    assert "refused" in told
    assert why in told
    assert "not shown before it passes its gate" in ran(lensscan, "seal", root, "--night", SECOND)
    nights = {row["night"] for row in json.loads(ran(lensscan, "query", root, "--sql", "from scores", "--json"))}
    assert nights == {FIRST}
    # A scan without the option does not go around the gate.
    again = ("scan", tiles, "--out", root, "--night", SECOND, "--maps", 0, "--workers", 1, "--json")
    assert json.loads(ran(lensscan, *again, code=1))["awaits_gate"]
    ran(lensscan, "promote", root, "--night", SECOND, "--overrule", "engineering night", "--by", "Ann Lens")
    assert "Ann Lens has overruled its quality gate: engineering night" in ran(lensscan, "status", root)
    nights = {row["night"] for row in json.loads(ran(lensscan, "query", root, "--sql", "from scores", "--json"))}
    assert nights == {FIRST, SECOND}
    # A late scan of the promoted night changes nothing.
    summary = json.loads(ran(lensscan, *again, "--gate", code=1))
    assert not summary["awaits_gate"]
    assert summary["units_by_outcome"] == {"already_committed": 2}


def test_a_tile_of_zeros_is_refused(lensscan, good, tmp_path):
    tiles, root = copied(good, tmp_path)
    with_zero_tile(tiles)
    scan(lensscan, tiles, root, SECOND, code=1)
    check_refused(lensscan, root, "blank_tiles", "1 tile holds nothing but zeros or one value: 000000002 (limit 0)")


def test_a_good_night_passes_against_the_first(lensscan, good, tmp_path):
    """Both nights have the scores of one ensemble."""
    root = tmp_path / "catalogue"
    for seed, night in enumerate((FIRST, SECOND)):
        scanned(str(root), good[0] / night, night, seed)
    ran(lensscan, "qa", root, "--night", FIRST)
    ran(lensscan, "promote", root, "--night", FIRST)
    told = ran(lensscan, "qa", root, "--reference-night", FIRST)
    assert f"night {SECOND} has passed its quality gate, compared with night {FIRST}" in told
    assert f"Readers do not see it yet; `lensscan promote {root} --night {SECOND}` shows it." in " ".join(told.split())
    for check in ("psf_width", "the stability index of the scores is"):
        assert check in told
    assert "readers see it from now on" in ran(lensscan, "promote", root)
    assert "nothing to do" in ran(lensscan, "promote", root, "--night", SECOND)
    assert "Readers do not see it yet" not in ran(lensscan, "qa", root, "--night", SECOND)


def test_a_limit_can_be_set_in_a_file(lensscan, good, tmp_path):
    limits = tmp_path / "limits.toml"
    limits.write_text("psf_width_ratio = 0.9\n")
    refused = ran(lensscan, "qa", good[1], "--night", FIRST, "--limits", limits, code=2)
    assert refused.startswith(f"lensscan: {limits}: psf_width_ratio: Input should be greater than 1, got 0.9; the limits are ")
