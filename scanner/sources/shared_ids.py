"""Check that objects with one id in several tiles are one object: a scan keeps only one of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.sources.survey import Survey, SurveyError
from scanner.sources.tiles import TileCatalogue, read_tile_catalogue

_MOST_APART_ARCSEC = 5.0
_MOST_APART_SHARE = 0.5
"""Share of the common ids of two tiles that may lie apart: an object in an overlap may be measured in either tile."""


def check_ids_in_overlaps(
    catalogues: Sequence[str], ids: Sequence[NDArray[np.int64]], is_own: Sequence[NDArray[np.bool_]], survey: Survey
) -> None:
    """Compare the positions of the objects that two tiles share, in the first pair of tiles that share any.

    If ids were numbers within a tile, most pairs of tiles would share some; so one pair is enough.

    Args:
        catalogues: URIs of the tiles' catalogues.
        ids: Ids in each of them, `[n]`.
        is_own: Flags `[n]` of the objects that the tile owns.
        survey: Survey that the tiles are of.

    Raises:
        SurveyError: most of these objects lie apart, so they are different ones.
        TileError: a catalogue cannot be read.
    """
    first = next((i for i, own in enumerate(is_own) if not own.all()), None)
    if first is None or survey.catalogue is None:
        return
    repeated = ids[first][~is_own[first]]
    other = next(i for i in range(len(ids)) if i != first and np.isin(ids[i], repeated[:1]).any())
    pair = sorted((first, other))
    one, two = (_placed(catalogues[i], survey) for i in pair)
    shared, at_one, at_two = np.intersect1d(one.object_ids, two.object_ids, return_indices=True)
    if not len(shared):
        return
    ra_one, ra_two, dec_one, dec_two = (
        np.radians(a) for a in (one.ra[at_one], two.ra[at_two], one.dec[at_one], two.dec[at_two])
    )
    chord = np.sin((dec_two - dec_one) / 2) ** 2 + np.cos(dec_one) * np.cos(dec_two) * np.sin((ra_two - ra_one) / 2) ** 2
    is_apart = np.degrees(2 * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))) * 3600 > _MOST_APART_ARCSEC
    if is_apart.mean() > _MOST_APART_SHARE:
        files = " and ".join(catalogues[i].rpartition("/")[2] for i in pair)
        raise SurveyError(
            f"survey {survey.name}: {files} share the {survey.catalogue.id} {shared[is_apart][0]} of objects that lie apart; "
            "ids must be of the whole survey. Leave the key catalogue.id out, and ids are made from positions"
        )


def _placed(uri: str, survey: Survey) -> TileCatalogue:
    """Read the objects of a tile that have a position."""
    catalogue = read_tile_catalogue(uri, survey)
    return catalogue.rows(np.flatnonzero(catalogue.has_position))
