"""The rows of a small tile as cutouts and rejections, all in memory."""

from scanner.sources.cutouts import Cutout
from scanner.sources.tile_batches import tile_batches
from scanner.vocabulary.rejections import Rejection


def tile_cutouts(tile, catalogue, geometry):
    """Return each source's cutout or rejection, in the catalogue's order."""
    n = len(catalogue.object_ids)
    found = {}
    try:
        for batch in tile_batches(tile, catalogue, geometry, batch_size=64):
            for i, row in enumerate(batch.rows):
                found[int(row)] = Cutout({band: stamps[i] for band, stamps in batch.stamps.items()}, batch.notes[i])
            found.update(batch.rejected)
    except Rejection as rejection:
        return [rejection] * n
    return [found[row] for row in range(n)]
