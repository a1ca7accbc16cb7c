from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.commands.inject import inject
from scanner.sources.manifests import read_manifest
from scanner.vocabulary.bands import EUCLID
from simulation.injection import cutouts as injected_sets
from simulation.injection.arcs import InjectionError
from simulation.injection.cutouts import InjectionSpec, OutputError, inject_into_cutouts
from tests.damaged_parquet import with_damaged_footer
from tests.simulation.injecting import assert_same_truth, contents, lensed_flux, pairs, write_manifest


def test_a_manifest_becomes_pairs_of_hosts_and_lenses(manifest, systems, tmp_path):
    summary = inject_into_cutouts(manifest, str(tmp_path / "out"), seed=1)
    assert summary.n_injected + len(summary.skipped) == len(manifest)
    assert dict(summary.skipped)["7"].startswith("no_zero_point: ")
    found = list(pairs(tmp_path / "out" / "shard-00000.parquet"))
    assert len(found) == len(systems) == summary.n_injected > 3
    for system, (host, lens, host_truth, lens_truth) in zip(systems, found, strict=True):
        assert (host_truth["kind"], host_truth["morphology"]) == ("nonlens", "host")
        assert lens_truth["kind"] != "nonlens"
        assert host_truth["index"] == lens_truth["index"]
        for band in EUCLID:
            added = (lens[band] - host[band].astype(float)).sum()
            assert added == pytest.approx(lensed_flux(system, lens_truth, band), rel=0.1)
    again = inject_into_cutouts(manifest, str(tmp_path / "again"), seed=1)
    assert contents(tmp_path / "again") == contents(tmp_path / "out")
    assert again.n_injected == summary.n_injected


def test_masked_filled_and_padded_pixels_of_cutouts_get_no_arcs(tile, tmp_path):
    def spoil(i, _band, image):
        image[80:90, 110:130] = 0
        image[116:120, 95:105] = np.nan
        return image[40:160, 40:160] if i % 2 else image

    manifest = write_manifest(tile, tmp_path, 8, spoil)
    summary = inject_into_cutouts(manifest, str(tmp_path / "out"), seed=1)
    found = list(pairs(tmp_path / "out" / "shard-00000.parquet"))
    assert {truth["index"] % 2 for _, _, _, truth in found} == {0, 1}, summary.skipped
    for host, lens, _, truth in found:
        for band in EUCLID:
            assert np.all(lens[band][80:90, 110:130] == 0)
            added = lens[band] - host[band]
            assert np.all(added[116:120, 95:105] == 0)
            assert np.count_nonzero(added[91:109, 91:109]) > 300
            if truth["index"] % 2:
                assert np.all(added[:, :40] == 0)
                assert np.all(added[160:] == 0)


def test_a_flaw_in_a_cutouts_corner_does_not_matter(tile, tmp_path):
    def spoil(_i, _band, image):
        image[0, 0] = np.nan
        return image

    (tmp_path / "flawed").mkdir()
    (tmp_path / "whole").mkdir()
    flawed = inject_into_cutouts(write_manifest(tile, tmp_path / "flawed", 8, spoil), str(tmp_path / "a"), seed=1)
    whole = inject_into_cutouts(write_manifest(tile, tmp_path / "whole", 8), str(tmp_path / "b"), seed=1)
    assert flawed.n_injected == whole.n_injected > 3
    both = zip(pairs(tmp_path / "a" / "shard-00000.parquet"), pairs(tmp_path / "b" / "shard-00000.parquet"), strict=True)
    for (host, lens, _, truth), (of_host, of_lens, _, of_truth) in both:
        assert_same_truth(truth, of_truth)
        for band in EUCLID:
            assert lens[band][0, 0] == host[band][0, 0] != of_host[band][0, 0]
            for flawed_image, image in ((host, of_host), (lens, of_lens)):
                np.testing.assert_array_equal(flawed_image[band][1:, 1:], image[band][1:, 1:])


def test_cutouts_on_other_pixels_are_skipped(tile, tmp_path):
    manifest = write_manifest(tile, tmp_path, 3, scale=0.12)
    with pytest.raises(InjectionError, match=r"0 of 3 .* the first, 0: VIS: pixels must be 0\.1 arcsec, got 0\.12"):
        inject_into_cutouts(manifest, str(tmp_path / "out"), seed=1)


def test_shards_are_written_when_full_and_killed_runs_resume(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(injected_sets, "ROWS_PER_SHARD", 4)
    whole = inject_into_cutouts(manifest, str(tmp_path / "whole"), seed=1)
    assert len(whole.files) > 1
    out = tmp_path / "out"

    def stop(done, _total):
        if len(list(out.glob("*.parquet"))) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inject_into_cutouts(manifest, str(out), seed=1, progress=stop)
    assert [path.name for path in out.iterdir()] == ["shard-00000.parquet"]
    with pytest.raises(OutputError, match=r"shard-00000\.parquet was not made from these images with seed 2"):
        inject_into_cutouts(manifest, str(out), seed=2)
    seen = []
    resumed = inject_into_cutouts(manifest, str(out), seed=1, progress=lambda *report: seen.append(report))
    assert contents(out) == contents(tmp_path / "whole")
    assert (resumed.n_injected, resumed.skipped) == (whole.n_injected, whole.skipped)
    assert seen[0][0] > 0
    assert seen[-1] == (8, 8)


def test_the_same_injection_again_changes_nothing_and_another_is_refused(manifest, psf_file, tmp_path):
    out = tmp_path / "out"
    first = inject_into_cutouts(manifest, str(out), seed=1)
    before = contents(out)
    again = inject_into_cutouts(manifest, str(out), seed=1)
    assert (again, contents(out)) == (first, before)
    other = replace(manifest, pixel_scales=[0.1] * len(manifest))
    for images, seed, psf in ((manifest, 2, None), (other, 1, None), (manifest, 1, psf_file)):
        with pytest.raises(OutputError, match="was not made from these images"):
            inject_into_cutouts(images, str(out), seed, psf)
    (out / "shard-00000.parquet").rename(out / "shard-00003.parquet")
    with pytest.raises(OutputError, match=r"shard-00003\.parquet was not made"):
        inject_into_cutouts(manifest, str(out), seed=2)
    shard = out / "shard-00003.parquet"
    for content in (with_damaged_footer(shard.read_bytes()), b"no shard"):
        shard.write_bytes(content)
        with pytest.raises(OutputError, match=r"shard-00003\.parquet was not made"):
            inject_into_cutouts(manifest, str(out), seed=1)


def test_another_release_changes_the_injection_spec():
    spec = InjectionSpec(images_sha256="a", seed=1)
    assert spec != InjectionSpec(images_sha256="a", seed=1, release="0.0.0")
    assert spec.digest() != InjectionSpec(images_sha256="a", seed=1, n=1).digest()


def test_a_contact_sheet_of_other_shards_is_refused(manifest, tmp_path):
    out = tmp_path / "out"
    said = inject(str(tmp_path / "manifest.csv"), str(out), 10, 1, None, lambda *_: None)
    assert said["injected"] + said["skipped"] == said["asked_for"] == len(manifest)
    assert "1 x no_zero_point" in said["because"]
    assert Path(said["contact_sheet"]).exists()
    assert inject(str(tmp_path / "manifest.csv"), str(out), 10, 1, None, lambda *_: None) == said
    (out / "shard-00000.parquet").unlink()
    with pytest.raises(OutputError, match=r"contact_sheet\.png shows shards that are gone"):
        inject(str(tmp_path / "manifest.csv"), str(out), 10, 2, None, lambda *_: None)


def test_files_get_the_arcs_of_their_manifest(manifest, tmp_path):
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    (tmp_path / "one.csv").write_text("\n".join(lines[:2]))
    shards = []
    for images in ("one.csv", "0.fits"):
        said = inject(str(tmp_path / images), str(tmp_path / f"{images} out"), 10, 1, None, lambda *_: None)
        assert (said["injected"], said["asked_for"]) == (1, 1)
        shards.append(pq.read_table(tmp_path / f"{images} out" / "shard-00000.parquet"))
    assert shards[0]["VIS"].equals(shards[1]["VIS"])


def test_cutouts_without_hosts_are_an_error(tmp_path):
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"object_id": ["a"], "VIS": ["nowhere.fits"]}), empty)
    with pytest.raises(InjectionError, match=r"^0 of 1 cutouts could host arcs; the first, a: missing_file: VIS"):
        inject_into_cutouts(read_manifest(str(empty)), str(tmp_path), seed=1)
