"""Tests of `lensscan explain --portrait`."""

import json

import numpy as np
import pytest
from astropy.io import fits

import flows.commands.portray
import scanner.explain.feature_visualisation
from flows.cli.main import app
from flows.commands.portray import portray_to_file
from infra.errors import LensscanError
from scanner.scan.chosen_objects import ObjectsError
from scanner.vocabulary.geometry import MER_10

N_OBJECTS = 26
"""More objects than one figure of `lensscan explain` shows."""


def portray(images, out, objects=(), ensemble="mer3-sim", networks=("equivariant-sky",), n_steps=1, steps=None):
    told = [] if steps is None else steps
    return portray_to_file(
        images, out, list(objects), ensemble, networks, n_steps, lambda done, total: told.append((done, total))
    )


@pytest.fixture(autouse=True)
def one_kernel_a_layer(monkeypatch):
    """Draw one kernel a layer: kernels take most of the time."""
    monkeypatch.setattr(scanner.explain.feature_visualisation, "KERNELS_A_LAYER", 1)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Write a manifest of objects that differ in VIS, and one whose file is missing."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(4)
    for name in [*(f"vis{i}" for i in range(N_OBJECTS)), "nisp"]:
        fits.PrimaryHDU(rng.normal(size=(120, 120)).astype(np.float32)).writeto(folder / f"{name}.fits")
    lines = [f"o{i},0.1,vis{i}.fits,nisp.fits,nisp.fits,nisp.fits" for i in range(N_OBJECTS)]
    lines += ["bad,0.1,gone.fits,nisp.fits,nisp.fits,nisp.fits"]
    (folder / "m.csv").write_text("\n".join([f"object_id,pixel_scale_arcsec,{','.join(MER_10.grids)}", *lines]) + "\n")
    return str(folder / "m.csv")


def test_a_portrait_names_objects_of_a_long_manifest(manifest, tmp_path):
    steps = []
    found = portray(manifest, tmp_path / "p.png", steps=steps)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "missing_file" in found["rejected"]["bad"]
    said = found["networks"]["equivariant-sky"]
    assert list(said["class_generated"]) == ["nonlens", "single", "compound_arc", "double_ring"]
    ids = {f"o{i}" for i in range(N_OBJECTS)}
    assert {kernel["object"] for kernel in said["kernels"]} <= ids
    least, most = said["deep_dreams"]
    assert least["p_lens"] < most["p_lens"]
    # One step each for the classes, the nine layers and the Deep Dreams.
    assert steps == [(i + 1, 11) for i in range(11)]


def test_the_command_needs_no_images_and_draws_the_same_again(tmp_path, capsys):
    command = ["explain", "--portrait", "--networks", "equivariant-sky", "--ensemble", "mer3-sim", "--steps", "1", "--json"]
    app([*command, "--out", str(tmp_path / "p.pdf")], result_action="return_value")
    found = json.loads(capsys.readouterr().out)
    said = found["networks"]["equivariant-sky"]
    assert said["deep_dreams"] == []
    assert {kernel["object"] for kernel in said["kernels"]} == {None}
    assert len({kernel["layer"] for kernel in said["kernels"]}) == 9
    content = (tmp_path / "p.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    again = portray(None, tmp_path / "again.pdf")["networks"]["equivariant-sky"]
    assert again["class_generated"] == pytest.approx(said["class_generated"], rel=1e-3)
    assert (tmp_path / "again.pdf").read_bytes() == content


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"out": "p.txt"}, r"file must end in \.png or \.pdf"),
        ({"n_steps": 0}, "--steps must be at least 1, got 0"),
        ({"ensemble": "nosuch"}, "nosuch: no ensemble of that name"),
        ({"networks": ["x"]}, "has no network x"),
        ({"objects": ["77"]}, "has no object 77"),
        ({"objects": ["o1"], "images": None}, "--objects needs images"),
        ({"images": "gone.csv"}, "no such file"),
        ({"objects": ["bad"]}, "no usable object: bad: missing_file"),
    ],
)
def test_mistakes_give_one_line_and_write_no_file(manifest, tmp_path, change, says):
    options = {"out": "p.png", "images": manifest} | change
    out = tmp_path / options.pop("out")
    with pytest.raises(LensscanError, match=says) as told:
        portray(options.pop("images"), out, **options)
    assert "\n" not in str(told.value)
    assert not out.exists()


def test_too_many_objects_are_refused(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(flows.commands.portray, "MOST_OBJECTS", 20)
    monkeypatch.setattr(flows.commands.portray, "load_network", None)
    with pytest.raises(ObjectsError, match="has 27 such objects, more than the limit of 20: choose some"):
        portray(manifest, tmp_path / "p.png")
    # The folder is not read: the ids alone are too many.
    with pytest.raises(ObjectsError, match="21 objects are named, more than the limit of 20"):
        portray(str(tmp_path), tmp_path / "p.png", [str(i) for i in range(21)])
