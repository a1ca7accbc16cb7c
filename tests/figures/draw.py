"""Draw the figures of README.md and docs/maps.md: candidates, explanations of real images, class generated images.

    OMP_NUM_THREADS=1 python -m tests.figures.draw --published DIR --real DIR --out docs/figures

`--published` is a folder with the authors' weights and their noise, `--real` one with the Euclid cutouts and the Jackpot;
neither is in the repository. The class generated images of OU-200 take about eight minutes; `--only jackpot` draws one figure.
"""

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from scanner.explain.explanation import explain
from scanner.explain.feature_figures import page, picture
from scanner.explain.feature_visualisation import probabilities, towards_classes
from scanner.explain.figure_files import pages_bytes
from scanner.explain.figures import explanation_figure
from scanner.explain.gradient_ascent import CLASS_GENERATION, noise
from scanner.explain.shown_objects import shown_objects
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network, load_package
from scanner.networks.published import import_published
from scanner.scan.chosen_objects import read_objects
from scanner.vocabulary.geometry import GEOMETRIES, Stamps
from tests.figures.candidates import ENSEMBLE, Column, candidates_figure, simulated_columns
from tests.shared import EUCLID_FIELDS

FLAGSHIP = SHIPPED_DIR / "mer3-sim"
BANDS = {"VIS": "VIS", "Y": "NIR_Y", "J": "NIR_J", "H": "NIR_H"}
SHIFTED, SHIFT_YX_PIXELS = "102022474", (6, -26)
"""A file in which only the VIS image was shifted, as its header records: drawn unchanged and with all bands shifted alike."""
JACKPOT_PIXEL_ARCSEC = 0.05


def class_generated(published: Path, work: Path, name: str, start: NDArray[np.float32]) -> list[Figure]:
    """Draw the class generated images of a network, one row for each class, NISP and VIS."""
    import_published(published, work / "published", "wilde2022")
    card = next(card for card in read_card(work / "published").networks if card.name == name)
    network = load_network(work / "published", card)
    images = towards_classes(network, card, start, CLASS_GENERATION)
    p = probabilities(network, images)
    cells = [[(f"{of}: p = {p[i, i]:.3f}", picture(images[i], card.channels))] for i, of in enumerate(card.classes)]
    return [page(f"{name}: class generated images, NISP (R = H, G = J, B = Y) and VIS", cells, inches=2.4)]


def class_generated_ou200(published: Path, _real: Path, work: Path) -> list[Figure]:
    """Draw the class generated images of OU-200 from the authors' own noise."""
    start = np.load(published / "class_generation_noise_ou200.npy").astype(np.float32)
    return class_generated(published, work, "OU-200", start)


def class_generated_ou66(published: Path, _real: Path, work: Path) -> list[Figure]:
    """Draw the class generated images of OU-66 from our noise: the authors' is not published."""
    return class_generated(published, work, "OU-66", noise(4, 66, np.random.default_rng(0)))


def real_fields(_published: Path, real: Path, work: Path) -> list[Figure]:
    """Draw the flagship's explanations of every Euclid file."""
    rows = []
    for path in sorted(real.glob(EUCLID_FIELDS)):
        rows.append((path.stem.split("_")[0].split("+")[0], _references(path)))
        if path.stem.startswith(SHIFTED):
            rows.append((f"{SHIFTED} aligned", _references(_aligned(path, work))))
    lines = [f"{name},{','.join(references)}," for name, references in rows]
    return [_explained(_manifest(work, lines), FLAGSHIP, None)]


def jackpot(published: Path, real: Path, work: Path) -> list[Figure]:
    """Draw explanations by the paper's networks and the flagship of one HST image in all bands (Wilde et al. 2022, 2.3)."""
    import_published(published, work / "published", "wilde2022")
    references = [str((real / "jackpot" / "data.fits").resolve())] * len(BANDS)
    manifest = _manifest(work, [f"J0946+1006,{','.join(references)},{JACKPOT_PIXEL_ARCSEC}"])
    return [_explained(manifest, work / "published", ["OU-66", "OU-200"]), _explained(manifest, FLAGSHIP, None)]


def candidates(_published: Path, real: Path, work: Path) -> list[Figure]:
    """Draw Euclid files whose bands are aligned beside simulated lenses, with the maps that a scan stores."""
    paths = [path for path in sorted(real.glob(EUCLID_FIELDS)) if not path.stem.startswith(SHIFTED)]
    lines = [f"{path.stem.split('_')[0].split('+')[0]},{','.join(_references(path))}," for path in paths]
    ids, stamps = _stamps(_manifest(work, lines), ENSEMBLE)
    columns = [
        Column(f"Euclid Q1\n{name}", {band: images[i : i + 1] for band, images in stamps.items()}) for i, name in enumerate(ids)
    ]
    return [candidates_figure([*columns, *simulated_columns()])]


def _references(path: Path) -> list[str]:
    """Return `FILE#EXTENSION` for each band."""
    return [f"{path.resolve()}#{prefix}_FLUX" for prefix in BANDS.values()]


def _aligned(path: Path, work: Path) -> Path:
    """Write a copy with the NISP images shifted as VIS was; return its path."""
    with fits.open(path) as hdus:
        for prefix in ("NIR_Y", "NIR_J", "NIR_H"):
            hdus[f"{prefix}_FLUX"].data = np.roll(hdus[f"{prefix}_FLUX"].data, SHIFT_YX_PIXELS, (0, 1))
        hdus.writeto(work / "aligned.fits", overwrite=True)
    return work / "aligned.fits"


def _manifest(work: Path, lines: Sequence[str]) -> str:
    path = work / "manifest.csv"
    path.write_text("\n".join([f"object_id,{','.join(BANDS)},pixel_scale_arcsec", *lines]) + "\n")
    return str(path)


def _explained(manifest: str, folder: Path, names: Sequence[str] | None) -> Figure:
    package = load_package(folder)
    ids, stamps = _stamps(manifest, folder)
    maps = explain(folder, package.card, stamps, names)
    shown = shown_objects(ids, stamps, package.card, package.score(stamps))
    return explanation_figure(shown, maps)


def _stamps(manifest: str, folder: Path) -> tuple[list[str], Stamps]:
    geometry = GEOMETRIES[read_card(folder).geometry]
    found = read_objects(manifest, [], geometry, 24)
    if found.rejected:
        raise SystemExit(f"every object must be usable, got rejected ones: {found.rejected}")
    return found.ids, found.stamps


def smaller(png: bytes) -> bytes:
    """Encode a PNG with 16 steps per colour: noise takes most of a file's bytes, and its last bits are invisible."""
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB"))
    sink = io.BytesIO()
    Image.fromarray(np.round(pixels / 17).astype(np.uint8) * 17).save(sink, "png", optimize=True)
    return sink.getvalue()


def as_jpeg(png: bytes, quality: int) -> bytes:
    """Encode a PNG as JPEG."""
    sink = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(sink, "jpeg", quality=quality, optimize=True)
    return sink.getvalue()


FIGURES = {draw.__name__: draw for draw in (candidates, class_generated_ou200, class_generated_ou66, real_fields, jackpot)}
JPEGS = {candidates.__name__: 88, real_fields.__name__: 64, jackpot.__name__: 75}
"""Quality of the figures that are JPEG files, which must stay below 300 kB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--published", type=Path, required=True, help="folder of the authors' weights and noise")
    parser.add_argument("--real", type=Path, required=True, help="folder of the real images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as work:
            pages = FIGURES[name](arguments.published, arguments.real, Path(work))
        png = pages_bytes(pages, "png")
        if name in JPEGS:
            (arguments.out / f"{name}.jpg").write_bytes(as_jpeg(png, JPEGS[name]))
        else:
            (arguments.out / f"{name}.png").write_bytes(smaller(png))


if __name__ == "__main__":
    main()
