"""`lensscan textures`: a file of real galaxies for the simulator, and a sheet to look at."""

from collections.abc import Sequence
from typing import Any

from infra.progress import Progress
from infra.store.storage import CreateOutcome, absolute, create_if_absent, exists
from simulation.products.texture_sheet import texture_sheet_png
from simulation.textures.images import specimens_of_images
from simulation.textures.library import TextureError, encode_textures


def cut_textures(
    images: Sequence[str],
    out: str,
    report: Progress,
    pixel_scale_arcsec: float | None = None,
    seeing_arcsec: float | None = None,
    source: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """Write the galaxies of images to the file `out`, and a picture of them beside it; return their number and the files.

    Raises:
        TextureError: an image cannot be read, no galaxy is suitable, `out` or its picture exists with other content, or the
            picture exists without `out`.
    """
    if not images:
        raise TextureError("textures needs images: name at least one FITS file")
    out = absolute(out)
    sheet = out.removesuffix(".parquet") + ".png"
    if exists(sheet) and not exists(out):
        raise TextureError(f"{sheet} shows textures of another file; remove it, or choose another file")
    specimens = specimens_of_images(
        [absolute(image) for image in images],
        report,
        pixel_scale_arcsec=pixel_scale_arcsec,
        seeing_arcsec=seeing_arcsec,
        source=source,
        licence=licence,
    )
    if not specimens:
        wanted = "of late type, bright, alone, larger than a star and other than smooth ellipses"
        raise TextureError(f"{len(images)} images hold 0 galaxies that are {wanted}")
    if create_if_absent(out, encode_textures(specimens), "textures") is CreateOutcome.EXISTS:
        raise TextureError(f"{out} exists with other content; remove it, or choose another file")
    if create_if_absent(sheet, texture_sheet_png(specimens), "textures") is CreateOutcome.EXISTS:
        raise TextureError(f"{sheet} exists with other content; remove it, or choose another file")
    return {"textures": len(specimens), "images": len(images), "file": out, "sheet": sheet}
