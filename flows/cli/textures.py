"""The `textures` command."""

from flows.cli.app import AboveZero, app


@app.command
def textures(
    *images: str,
    out: str,
    pixel_scale: AboveZero | None = None,
    seeing: AboveZero | None = None,
    source: str = "",
    licence: str = "",
    json: bool = False,
) -> None:
    """Cut galaxies out of real images, for `lensscan simulate --textures` to draw pictures of, and draw a sheet of them.

    It takes galaxies of late type that are bright, alone, larger than a star and other than smooth ellipses, and removes noise
    and neighbours. An image may be of any telescope, and its sky may have any level. Do not take images that you will
    evaluate networks on.

    For example: `lensscan textures cutouts/*.fits --seeing 0.16 --out textures.parquet`

    Args:
        images: FITS files, or extensions of them, such as `a.fits#VIS_FLUX`; by default a file's first image.
        out: File to write: a path or an `s3://` URI.
        pixel_scale: Side of a pixel in arcsec; by default that of each image's header.
        seeing: FWHM of stars in arcsec; by default measured, for which each image needs some stars.
        source: Words on where the images are from, kept in the file.
        licence: Licence of the images, kept in the file.
        json: Print JSON instead of text.
    """
    from flows.commands.textures import cut_textures
    from flows.terminal import print_json, print_lines, terminal_progress

    with terminal_progress("cutting", quiet=json) as report:
        result = cut_textures(images, out, report, pixel_scale, seeing, source, licence)
    print_json(result) if json else print_lines(result)
