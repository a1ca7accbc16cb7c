"""Real galaxies that are no lenses, as Euclid would see them: those of an HSC field, on blank sky of Euclid cutouts.

The field is in the source distribution of `deepdisc` 0.1.1 (docs/howto/train.md): three bands of HSC, seeing 0.6 arcsec. Its
pixels of 0.168 arcsec are read as 0.06 to 0.15, so that galaxies look smaller and sharper than they are. A disturbed galaxy is
two or three of them within 2.5 arcsec: a merger or a blend, with the colours of each. The left half of the field is to report,
the right half for training. Near-infrared images continue the optical colours.

`python -m tests.benchmarks.real_galaxies deepdisc-0.1.1.tar.gz` draws a contact sheet of each half.
"""

import hashlib
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter, label, map_coordinates
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from scanner.preprocess.colour_picture import composite
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.bands import EUCLID
from simulation.products.contact_sheet import Cell, sheet_png
from tests.benchmarks.probe_stamps import PIXEL_ARCSEC, SIDE_PIXELS, Stamp, blanks, cut, lens_distance
from tests.benchmarks.realism import REAL, Field, read_field, robust_sky
from tests.shared import EUCLID_FIELDS

SHA256 = "289837550084fed8f188a728bba1fd1680cd880b8513c9e288dbbcb61f113b5c"
IMAGES = {band: f"hsc/{band.upper()}-10054-0,2-c1_scarlet_img.fits" for band in "gri"}
HALVES = ("report", "train")
N_SINGLE, N_DISTURBED = 300, 150
"""Numbers of stamps of each half."""
VIS_MAGS, FAINTER_MAG = (18.0, 22.5), 1.5
"""Magnitudes of the galaxy in the middle; largest difference to a partner."""
PIXELS_ARCSEC, SEPARATIONS_ARCSEC = (0.06, 0.15), (0.5, 2.5)
MIN_SNR, MIN_AREA_PIXELS, MAX_SIDE_PIXELS = 60.0, 80, 160
"""Of a galaxy that is cut out, in the i band: the noise of HSC then stays below that of Euclid."""
NIR_OF_OPTICAL = {"Y": (2.13, -1.42), "J": (3.23, -2.86), "H": (4.52, -4.56)}
"""Flux over that in i, `a + b g / i`: I-Y, Y-J, J-H are 0.55, 0.35, 0.30 mag at a g-i of 1.2, and 0.15, 0.10, 0.10 at 0.4."""
SEED = 6101

Images = dict[str, NDArray[np.float64]]


def read_hsc(archive: Path) -> Images:
    """Read the field's `[y, x]` images, by band, in flux units of one zero point.

    Raises:
        ValueError: the file is another one.
    """
    content = archive.read_bytes()
    if (got := hashlib.sha256(content).hexdigest()) != SHA256:
        raise ValueError(f"{archive}: must be deepdisc-0.1.1.tar.gz with the SHA-256 {SHA256}, got {got}")
    with tarfile.open(fileobj=BytesIO(content)) as tar:
        files = {member.name: member for member in tar}
        found = {
            band: tar.extractfile(next(of for name, of in files.items() if name.endswith(f"test_data/{ending}")))
            for band, ending in IMAGES.items()
        }
        return {band: fits.getdata(BytesIO(file.read())).astype(float) for band, file in found.items() if file}


def cut_out(field: Images) -> dict[str, list[Images]]:
    """Cut the bright and resolved galaxies of each half out of their sky, with their footprint."""
    sky = {band: robust_sky(image) for band, image in field.items()}
    light = {band: image - sky[band][0] for band, image in field.items()}
    smooth = gaussian_filter(light["i"], 1.2)
    noise = robust_sky(smooth)[1]
    logarithm = np.log(np.maximum(smooth, noise))
    peaks, _ = label(h_maxima(logarithm, np.log(1.5)).astype(bool) & (smooth > 4 * noise))
    footprints = watershed(-logarithm, peaks, mask=smooth > 1.5 * noise)
    halves: dict[str, list[Images]] = {half: [] for half in HALVES}
    for number, box in enumerate(find_objects(footprints), 1):
        inside = footprints[box] == number
        snr = light["i"][box][inside].sum() / (sky["i"][1] * np.sqrt(inside.sum()))
        if (
            inside.sum() < MIN_AREA_PIXELS
            or snr < MIN_SNR
            or max(inside.shape) > MAX_SIDE_PIXELS
            or _is_cut_off(box, field["i"])
        ):
            continue
        # A star is a point: half of its light lies in a few pixels.
        bright = np.sort(light["i"][box][inside])[::-1].cumsum() / light["i"][box][inside].sum()
        if (bright < 0.5).sum() < 20:
            continue
        soft = gaussian_filter(np.pad(inside.astype(float), 6), 1.5)
        galaxy = {band: np.pad(image[box], 6) * soft for band, image in light.items()}
        halves[HALVES[box[1].start > field["i"].shape[1] // 2]].append(galaxy)
    return halves


def _is_cut_off(box: tuple[slice, slice], image: NDArray[np.float64]) -> bool:
    return any(of.start == 0 or of.stop == n for of, n in zip(box, image.shape, strict=True))


def galaxy_stamps(field: Images, skies: Mapping[str, Field], half: str) -> Iterator[Stamp]:
    """Yield the stamps of a half, as `real galaxy` and `disturbed galaxy`.

    Args:
        field: Images of HSC.
        skies: Euclid cutouts with blank sky, by name.
        half: `report` or `train`.
    """
    galaxies = cut_out(field)[half]
    rng = np.random.default_rng([SEED, HALVES.index(half)])
    places = [(name, y, x) for name, of in skies.items() for y, x in blanks(of, rng)]
    for number in range(N_SINGLE + N_DISTURBED):
        n_galaxies = 1 if number < N_SINGLE else int(rng.integers(2, 4))
        name, y, x = places[int(rng.integers(len(places)))]
        light = _light([galaxies[i] for i in rng.choice(len(galaxies), n_galaxies, replace=False)], rng)
        group = "real galaxy" if n_galaxies == 1 else "disturbed galaxy"
        yield _on_sky(group, f"{half} {number}", light, skies[name], (y, x), rng)


def _light(galaxies: Sequence[Images], rng: np.random.Generator) -> Images:
    """Return the light of galaxies about the first, in ADU/s and pixels of Euclid's images."""
    mag = float(rng.uniform(*VIS_MAGS))
    total = {band: np.zeros((SIDE_PIXELS, SIDE_PIXELS)) for band in EUCLID}
    for number, galaxy in enumerate(galaxies):
        away = float(rng.uniform(*SEPARATIONS_ARCSEC)) / PIXEL_ARCSEC if number else 0.0
        turn = rng.uniform(0, 2 * np.pi)
        of_mag = mag + (float(rng.uniform(0, FAINTER_MAG)) if number else 0.0)
        for band, image in _seen(galaxy, of_mag, (away * np.sin(turn), away * np.cos(turn)), rng).items():
            total[band] += image
    return total


def _seen(galaxy: Images, mag: float, yx_pixels: tuple[float, float], rng: np.random.Generator) -> Images:
    """Return a galaxy at a place, turned, in each of Euclid's bands."""
    scale, turn = PIXEL_ARCSEC / float(rng.uniform(*PIXELS_ARCSEC)), rng.uniform(0, 2 * np.pi)
    axis = np.arange(SIDE_PIXELS) - (SIDE_PIXELS - 1) / 2
    y, x = np.meshgrid(axis - yx_pixels[0], axis - yx_pixels[1], indexing="ij")
    weights = np.maximum(galaxy["i"], 0)
    middle = [float((index * weights).sum() / weights.sum()) for index in np.indices(weights.shape)]
    at = [middle[0] + scale * (np.cos(turn) * y + np.sin(turn) * x), middle[1] + scale * (np.cos(turn) * x - np.sin(turn) * y)]
    optical = {band: map_coordinates(image, at, order=1, mode="constant") for band, image in galaxy.items()}
    images = {"VIS": (optical["r"] + optical["i"]) / 2}
    blurred = {
        band: gaussian_filter(image, EUCLID["H"].psf_fwhm_arcsec / 2.3548 / PIXEL_ARCSEC) for band, image in optical.items()
    }
    for band, (a, b) in NIR_OF_OPTICAL.items():
        # A pixel bluer than any galaxy keeps a third of its light.
        images[band] = np.maximum(a * blurred["i"] + b * blurred["g"], blurred["i"] / 3)
    flux = 10 ** (0.4 * (EUCLID["VIS"].zero_point_ab_mag - mag)) / images["VIS"].sum()
    steps = {band: 10 ** (0.4 * (of.zero_point_ab_mag - EUCLID["VIS"].zero_point_ab_mag)) for band, of in EUCLID.items()}
    return {band: image * flux * steps[band] for band, image in images.items()}


def _on_sky(group: str, name: str, light: Images, sky: Field, place: tuple[int, int], rng: np.random.Generator) -> Stamp:
    """Add light to a blank part of a field, turned and mirrored."""
    turns, is_mirrored = int(rng.integers(4)), bool(rng.integers(2))
    made = {}
    for band, image in cut(sky, *place).items():
        assert image.outside is not None
        pixels, outside = (np.rot90(array, turns)[:, :: -1 if is_mirrored else 1] for array in (image.pixels, image.outside))
        made[band] = BandImage((pixels + light[band]).astype(np.float32), PIXEL_ARCSEC, outside.copy())
    return Stamp(group, name, made, lens_distance(sky, *place))


def main(archive: Path) -> None:
    """Write `real_galaxies_report.png` and `real_galaxies_train.png` into the working folder."""
    skies = {
        path.stem: field for path in sorted(REAL.glob(EUCLID_FIELDS)) if len((field := read_field(path))["VIS"]) >= SIDE_PIXELS
    }
    for half in HALVES:
        stamps = list(galaxy_stamps(read_hsc(archive), skies, half))
        shown = [*stamps[:80], *stamps[-80:]]
        cells = [Cell(stamp.name.split()[1], [_picture(stamp)], 10.0) for stamp in shown]
        rows = [(f"{shown[first].group}".replace(" ", "\n"), cells[first : first + 16]) for first in range(0, len(cells), 16)]
        Path(f"real_galaxies_{half}.png").write_bytes(sheet_png(rows))


def _picture(stamp: Stamp) -> NDArray[np.float64]:
    return composite({band: image.pixels for band, image in stamp.bands.items()}, PIXEL_ARCSEC, 10.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
