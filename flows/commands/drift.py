"""`lensscan drift`: how far nights have moved from the reference, in words."""

from collections.abc import Iterator, Sequence

from flows.commands.words import counted
from infra.progress import Progress
from infra.settings import Settings
from infra.store.storage import absolute
from scanner.review.embeddings.drift import Drift, night_drifts

_WORDS = {"p_lens": "the scores", "anomaly": "the anomalies", "axis_1": "the first axis of the embeddings"}
_WORDS |= {"axis_2": "the second axis of the embeddings", "axis_3": "the third axis of the embeddings"}


def drifts_of(root_uri: str, night: str | None, progress: Progress) -> list[Drift]:
    """Return how far nights and their tiles have moved; arguments and errors as for `night_drifts`."""
    return night_drifts(absolute(root_uri), night, Settings.read().ensembles_dir, progress)


def rows_of(found: Sequence[Drift], columns: Sequence[str], *, all_tiles: bool) -> list[dict[str, str]]:
    """Return a row of texts with these columns for each quantity of each night, and of the tiles that differ, or of all."""
    shown = [of for of in found if of.tile is None or all_tiles or of.differs]
    return [dict(zip(columns, cells, strict=True)) for of in shown for cells in _cells(of)]


def sentences_of(found: Sequence[Drift]) -> Iterator[str]:
    """Yield whether each night differs from the reference, and how many of its tiles do."""
    for night in (of for of in found if of.tile is None):
        tiles = [of for of in found if of.tile is not None and of.night == night.night and of.ensemble == night.ensemble]
        n_differ = sum(of.differs for of in tiles)
        moved = [_WORDS[of.quantity] for of in night.quantities if of.differs]
        told = f"differs from the reference of {night.ensemble} in {', '.join(moved)}"
        like = f"is like the reference of {night.ensemble}"
        yield f"Night {night.night} {told if moved else like}; {n_differ} of {counted(len(tiles), 'tile')} differ."


def _cells(of: Drift) -> Iterator[tuple[str, ...]]:
    for quantity in of.quantities:
        yield (
            of.night,
            of.tile or "all",
            quantity.quantity,
            str(quantity.n),
            f"{quantity.index:.3f}",
            f"{quantity.expected:.3f}",
            f"{quantity.p_chance:.2g}",
            "yes" if quantity.differs else "no",
        )
