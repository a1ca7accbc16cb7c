"""The images that a command is given: manifests, FITS files, and folders of FITS files."""

from collections.abc import Sequence

import pyarrow as pa

from infra.store.storage import absolute, exists, is_s3, list_files, local_path
from scanner.sources.cutout_files import ARRAY_SUFFIXES, FITS_SUFFIXES, objects_of_files, with_guessed_bands
from scanner.sources.manifests import MANIFEST_SUFFIXES, Manifest, read_manifest
from scanner.sources.object_tables import ManifestError
from scanner.sources.tiles import is_tile_file


def names_cutouts(argument: str) -> bool:
    """Return whether an argument names a manifest, a FITS file, or a folder that holds FITS files and no tiles."""
    if names_file(argument):
        return True
    names = [file.uri for file in list_files(argument)] if _is_folder(argument) else []
    return any(_is_fits(name) for name in names) and not any(is_tile_file(name) for name in names)


def names_file(argument: str) -> bool:
    """Return whether an argument names a manifest, a FITS file or a file of arrays, and no folder."""
    return argument.lower().endswith((*MANIFEST_SUFFIXES, *FITS_SUFFIXES, *ARRAY_SUFFIXES)) and not _is_folder(argument)


def read_images(arguments: Sequence[str]) -> Manifest:
    """Return the objects of all arguments: those of manifests first, then those of FITS files and folders.

    Raises:
        ManifestError: an argument names no images, or a manifest cannot be read.
    """
    files: list[str] = []
    named: set[str] = set()
    manifests: list[Manifest] = []
    for argument in arguments:
        if _is_folder(argument):
            files += _fits_files(argument)
        elif _is_fits(argument):
            if not exists(argument):
                raise ManifestError(f"{argument}: no such file")
            files.append(absolute(argument))
            named.add(files[-1])
        elif argument.lower().endswith(ARRAY_SUFFIXES):
            raise ManifestError(f"{argument}: name the bands of its planes in order, such as --bands VIS,Y,J,H")
        else:
            manifest = read_manifest(argument)
            manifests.append(with_guessed_bands(manifest) if manifest.files else manifest)
    if files:
        manifests.append(objects_of_files(list(dict.fromkeys(files)), named))
    return manifests[0] if len(manifests) == 1 else _joined(manifests)


def _is_fits(name: str) -> bool:
    return name.lower().endswith(FITS_SUFFIXES)


def _is_folder(argument: str) -> bool:
    if is_s3(argument):
        return not argument.lower().endswith((*MANIFEST_SUFFIXES, *FITS_SUFFIXES))
    return local_path(argument).is_dir()


def _fits_files(folder: str) -> list[str]:
    names = [file.uri for file in list_files(folder)]
    if any(is_tile_file(name) for name in names):
        raise ManifestError(f"{folder}: holds tiles: use lensscan scan, or --tiles {folder} with a table of positions")
    found = [name for name in names if _is_fits(name)]
    if not found:
        raise ManifestError(f"{folder}: holds no FITS files, whose names end in {', '.join(FITS_SUFFIXES)}")
    return found


def _joined(manifests: Sequence[Manifest]) -> Manifest:
    """Return the objects of several manifests in one; ids become text unless all of them are integers."""
    kinds = {manifest.object_ids.type for manifest in manifests}
    kind = kinds.pop() if len(kinds) == 1 else pa.string()
    tables = [pa.table({"": pa.nulls(len(manifest)), **manifest.others}) for manifest in manifests]
    mixed = _mixed(tables)
    others = pa.concat_tables([_as_text(table, mixed) for table in tables], promote_options="default")

    def padded(values: list[float | None], manifest: Manifest) -> list[float | None]:
        return values or [None] * len(manifest)

    def texts(values: list[str], manifest: Manifest) -> list[str]:
        return values or [""] * len(manifest)

    return Manifest(
        object_ids=pa.concat_arrays([manifest.object_ids.cast(kind) for manifest in manifests]),
        references={
            band: [cell for manifest in manifests for cell in manifest.references[band]] for band in manifests[0].references
        },
        pixel_scales=[scale for manifest in manifests for scale in manifest.pixel_scales],
        ra=[value for manifest in manifests for value in padded(manifest.ra, manifest)],
        dec=[value for manifest in manifests for value in padded(manifest.dec, manifest)],
        others={name: others[name] for name in others.column_names if name},
        notes=[note for manifest in manifests for note in texts(manifest.notes, manifest)],
        faults=[fault for manifest in manifests for fault in texts(manifest.faults, manifest)],
        skipped=[uri for manifest in manifests for uri in manifest.skipped],
    )


def _mixed(tables: Sequence[pa.Table]) -> set[str]:
    """Return the columns whose types differ between tables."""
    types: dict[str, set[pa.DataType]] = {}
    for field in (field for table in tables for field in table.schema):
        types.setdefault(field.name, set()).add(field.type)
    return {name for name, kinds in types.items() if len(kinds) > 1}


def _as_text(table: pa.Table, names: set[str]) -> pa.Table:
    return pa.table({name: table[name].cast(pa.string()) if name in names else table[name] for name in table.column_names})
