"""Objects of FITS files that no manifest lists: their bands are guessed, and each row says how."""

import posixpath
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD
from scanner.files.fits_centre import centre_position
from scanner.files.fits_file import open_fits
from scanner.files.fits_hdus import Hdu
from scanner.files.fits_image import MAX_FILE_BYTES
from scanner.sources.band_names import band_of_image, shows_no_sky, split_file_name
from scanner.sources.manifests import BANDS, Manifest
from scanner.sources.object_tables import ManifestError
from scanner.vocabulary.rejections import Rejection

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz")
"""Endings of the names of FITS files, in lower case."""
ARRAY_SUFFIXES = (".npy", ".npz")
"""Endings of the names of files of NumPy arrays, in lower case."""
_SHOWN = 8
"""Largest number of extensions that a message names."""


@dataclass(frozen=True)
class _Image:
    """A two-dimensional image of a file."""

    name: str
    """Name of its extension, or its number."""
    band: str | None
    """Band by the name of the extension or by FILTER."""
    centre: tuple[float, float] | None


@dataclass(frozen=True)
class _File:
    uri: str
    images: tuple[_Image, ...]
    """Images in the file's order; none if the file cannot be read, which its row then reports."""
    is_readable: bool = True
    other_shapes: tuple[tuple[int, ...], ...] = ()
    """Shapes of the arrays that have more than two dimensions."""

    @property
    def stem(self) -> str:
        name = posixpath.basename(self.uri)
        ending = max((suffix for suffix in FITS_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
        return name[: len(name) - len(ending)]

    @property
    def by_band(self) -> dict[str, _Image]:
        """Return the first image of each band that extension or FILTER names."""
        found: dict[str, _Image] = {}
        for image in self.images:
            if image.band is not None:
                found.setdefault(image.band, image)
        return found


@dataclass
class _Object:
    """An object: for each band, the reference and the words of the guess."""

    name: str
    references: dict[str, str] = field(default_factory=dict)
    guesses: dict[str, str] = field(default_factory=dict)
    centre: tuple[float, float] | None = None
    stems: list[str] = field(default_factory=list)
    fault: str = ""
    """Reason for which it has no image."""
    file_name: str = ""
    """Name of its file, if the file is of unknown band: its id if another object has the shorter one."""

    def add(self, file: _File, band: str, image: _Image, guess: str) -> None:
        self.references[band], self.guesses[band] = f"{file.uri}#{image.name}", guess
        self.stems += [file.stem]
        if image.centre is not None and (self.centre is None or band == BANDS[0]):
            self.centre = image.centre

    @property
    def object_id(self) -> str:
        """Return the name of its only file, or what the names of its files share."""
        return self.stems[0] if len(set(self.stems)) == 1 else self.name

    @property
    def note(self) -> str:
        guesses = [f"{band} = {self.guesses[band]}" for band in BANDS if band in self.guesses]
        return f"guessed: {', '.join(guesses)}" if guesses else ""


def objects_of_files(uris: Sequence[str], named: Collection[str]) -> Manifest:
    """Return the objects of FITS files, with the band of each image guessed.

    A file with images in several bands, by the names of its extensions or by FILTER in their headers, is one object, named as
    the file. Files whose own names differ in the band only, such as `17_VIS.fits` and `17_NIR-H.fits`, are one object together,
    named as the rest of the name. An object that cannot be read or guessed keeps its row, to be rejected with the reason.
    Files without images, and files named as PSFs, noise maps or masks, are skipped, but those that the user `named` keep a row.

    Args:
        uris: The files.
        named: Those among them that the user named; the others were found in folders.

    Raises:
        ManifestError: the bands of no file can be guessed.
    """
    files = list(map_ahead(_read, uris, N_AHEAD))
    objects: dict[tuple[str, str], _Object] = {}
    skipped: list[str] = []
    for file in files:
        if len(file.by_band) < 2 and _fault(file) and file.uri not in named:
            skipped.append(file.uri)
        else:
            _add_file(objects, file)
    if not any(found.guesses for found in objects.values()) and all(file.is_readable for file in files):
        raise ManifestError(_unknown(files))
    return replace(_manifest(list(objects.values())), skipped=skipped)


def with_guessed_bands(manifest: Manifest) -> Manifest:
    """Return a manifest with a column of files as one with references: each row has the images of its file, by guessed band."""
    known = {uri: _guessed(uri) for uri in dict.fromkeys(filter(None, manifest.files))}
    found = [_Object("", fault="no file is named") if uri is None else known[uri] for uri in manifest.files]
    references = {band: [row.references.get(band) for row in found] for band in BANDS}
    return replace(manifest, references=references, notes=[row.note for row in found], faults=[row.fault for row in found])


def _guessed(uri: str) -> _Object:
    objects: dict[tuple[str, str], _Object] = {}
    _add_file(objects, _read(uri))
    (found,) = objects.values()
    return found


def _read(uri: str) -> _File:
    try:
        file = open_fits(uri, MAX_FILE_BYTES)
    except Rejection:
        return _File(uri, (), is_readable=False)
    names = [hdu.name for hdu in file.hdus]
    images = tuple(_image(hdu, names) for hdu in file.hdus if len(hdu.shape) == 2)
    return _File(uri, images, other_shapes=tuple(tuple(hdu.shape) for hdu in file.hdus if len(hdu.shape) > 2))


def _fault(file: _File) -> str:
    """Return why a file shows no object; an empty text if it may show one."""
    name = posixpath.basename(file.uri)
    if shows_no_sky(file.stem):
        return f"{name}: by its name a PSF, a noise map or a mask"
    return f"{name}: {_no_image(file)}" if file.is_readable and not file.images else ""


def _no_image(file: _File) -> str:
    """Say that a file has no image; a cube may hold bands, of which nothing tells which is which."""
    if not file.other_shapes:
        return "has no two-dimensional image"
    shape = "x".join(map(str, file.other_shapes[0]))
    return f"has no two-dimensional image, but an array of {shape}: name its bands in order, such as --bands VIS,Y,J,H"


def _image(hdu: Hdu, names: Sequence[str]) -> _Image:
    name = hdu.name if hdu.name and names.count(hdu.name) == 1 else str(hdu.index)
    return _Image(name, band_of_image(hdu.name, hdu.header), centre_position(hdu.header, hdu.shape))


def _add_file(objects: dict[tuple[str, str], _Object], file: _File) -> None:
    """Add a file: an object of its own, if it has several bands or shows no sky, or else a piece of one."""
    if len(file.by_band) >= 2:
        found = objects.setdefault((file.uri, ""), _Object(file.stem))
        for band, image in file.by_band.items():
            found.add(file, band, image, image.name)
    elif fault := _fault(file):
        objects[file.uri, ""] = _Object(file.stem, stems=[file.stem], fault=fault)
    else:
        _add_piece(objects, file)


def _add_piece(objects: dict[tuple[str, str], _Object], file: _File) -> None:
    """Add a file of at most one known band: a piece of the object that the rest of its name names, or an object of its own."""
    folder = file.uri.rpartition("/")[0]
    named, rest = split_file_name(file.stem)
    images = list(file.by_band.values()) or [image for image in file.images if not shows_no_sky(image.name)]
    band = next(iter(file.by_band), named)
    name = rest or posixpath.basename(folder) if band is not None and named == band else file.stem
    key, column = (folder, name), band or BANDS[0]
    # A file of unknown band takes no band's place among files that others name alike.
    if band is None or (key in objects and column in objects[key].references):
        key, name = (file.uri, ""), file.stem
    found = objects.setdefault(key, _Object(name))
    if band is None or not images:
        # The reader will name what the file has, or why it cannot be read.
        found.references[column] = f"{file.uri}#{column}" if file.is_readable else file.uri
        found.stems += [file.stem]
        found.file_name = posixpath.basename(file.uri) if band is None else ""
        return
    found.add(file, band, images[0], images[0].name if file.by_band else posixpath.basename(file.uri))


def _manifest(objects: Sequence[_Object]) -> Manifest:
    centres = [found.centre or (None, None) for found in objects]
    n_named = Counter(found.object_id for found in objects)
    ids = [found.file_name if found.file_name and n_named[found.object_id] > 1 else found.object_id for found in objects]
    return Manifest(
        object_ids=pa.array(ids, pa.string()),
        references={band: [found.references.get(band) for found in objects] for band in BANDS},
        pixel_scales=[None] * len(objects),
        ra=[ra for ra, _ in centres],
        dec=[dec for _, dec in centres],
        notes=[found.note for found in objects],
        faults=[found.fault for found in objects],
    )


def _unknown(files: Sequence[_File]) -> str:
    """Return a message that lists the images of the first file and shows the manifest that names their bands."""
    file = files[0]
    name = posixpath.basename(file.uri)
    if not file.images:
        table = "" if file.other_shapes else "; a table of positions needs --tiles, a folder of tiles"
        return f"{name}: {_no_image(file)}{table}"
    has = ", ".join(image.name for image in file.images[:_SHOWN])
    cells = [f"{name}#{image.name}" for image in file.images[: len(BANDS)]]
    line = ",".join([file.stem, *cells, *[""] * (len(BANDS) - len(cells))])
    which = f"no image of {name}" if len(files) == 1 else f"no image of {len(files)} files, such as {name},"
    return (
        f"{which} can be given to a band: name its extensions as the bands ({', '.join(BANDS)}), or write a manifest, a file "
        f"m.csv with the lines 'object_id,{','.join(BANDS)}' and, for example, '{line}'; its extensions are {has}"
    )
