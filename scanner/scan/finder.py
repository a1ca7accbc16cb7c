"""Score and explain images that a caller in Python gives."""

# PyTorch and matplotlib take seconds to import: only explanations, which need them, import them.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scanner.catalogue.object_table import with_candidates
from scanner.catalogue.rows import Rows
from scanner.networks.card import EnsembleCard
from scanner.networks.cascade import Scorer
from scanner.scan.chosen_objects import ChosenObjects, ObjectsError, read_objects
from scanner.scan.manifest import score_images, score_manifest
from scanner.scan.row_groups import BY_SOME_NETWORKS, MissingBands
from scanner.scan.scoring import CutoutScanner
from scanner.sources.images import open_images
from scanner.vocabulary.network_columns import network_column_name
from scanner.vocabulary.prior import one_in, prior_words
from scanner.vocabulary.probability_text import probability_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scanner.explain.explanation import NetworkMaps
    from scanner.explain.figures import Shown

_MOST_PRINTED = 20


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Rows):
    """Scores of n objects, in the order of the images, as arrays `[n]` and as a table. Numbers of rejected objects are NaN."""

    ensemble: str
    """Name of the ensemble."""
    prevalence: float | None
    """Share of lenses among all objects that `p_lens` assumes; None if `p_lens` is not calibrated."""
    networks: tuple[str, ...]
    """Names of the ensemble's networks."""

    @property
    def p_lens(self) -> NDArray[np.float32]:
        """Probability that the object is a lens, if `prevalence` of all objects are lenses."""
        return self._numbers("p_lens")

    @property
    def is_candidate(self) -> NDArray[np.bool_]:
        """Flags of the rows, true if `p_lens` reaches the ensemble's own default threshold; false if rejected."""
        return np.array(self._table["candidate"].to_pylist(), np.bool_)

    @property
    def p_compound(self) -> NDArray[np.float32]:
        """Probability of a compound lens at the share that the ensemble assumes; NaN if it gives none."""
        return self._numbers("p_compound")

    @property
    def disagreement(self) -> NDArray[np.float32]:
        """Standard deviation of the probabilities that the networks themselves give, before any calibration."""
        return self._numbers("disagreement")

    @property
    def subclass(self) -> list[str]:
        """`nonlens`, `single`, `compound_arc` or `double_ring`; empty if rejected or not separated by the ensemble."""
        return list(self._table["subclass"].to_pylist())

    @property
    def p_networks(self) -> dict[str, NDArray[np.float32]]:
        """Probability of a lens from each network alone, at `prevalence` like `p_lens`."""
        return {name: self._numbers(network_column_name(name)) for name in self.networks}

    @property
    def status(self) -> list[str]:
        """`scored`, or `rejected:` with a code; the column `detail` gives the reason."""
        return list(self._table["status"].to_pylist())

    def _numbers(self, column: str) -> NDArray[np.float32]:
        values: NDArray[np.float32] = self._table[column].fill_null(float("nan")).to_numpy()
        return values

    def __repr__(self) -> str:
        """Return a line for each of the first objects; those that some networks scored alone come last."""
        prior = "not calibrated" if self.prevalence is None else f"if one object in {one_in(self.prevalence)} is a lens"
        more = len(self) - _MOST_PRINTED
        by_some = [BY_SOME_NETWORKS in detail for detail in self._table["detail"].to_pylist()]
        shown = sorted(range(len(self)), key=by_some.__getitem__)[:_MOST_PRINTED]
        rows = [self._line(self[row]) for row in shown]
        return "\n".join([f"p_lens of {self.ensemble}, {prior}:", *rows, *([f"and {more} more"] if more > 0 else [])])

    def _line(self, row: Mapping[str, Any]) -> str:
        p_lens = row["p_lens"]
        if p_lens is None:
            return f"{row['object_id']}: {row['status']} ({row['detail']})"
        by_some = BY_SOME_NETWORKS in row["detail"]
        times = "" if self.prevalence is None else f", {prior_words(p_lens, None if by_some else self.prevalence)}"
        kind = f", {row['subclass']}" if row["subclass"] else ""
        return f"{row['object_id']}: p_lens {probability_text(p_lens)}{times}{kind}"


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Scores of some objects and maps of the pixels that they rest on; a notebook shows them as a figure."""

    object_ids: tuple[str, ...]
    p_lens: NDArray[np.float32]
    """`[n]`, as in `Scores`."""
    maps: dict[str, NetworkMaps]
    """Maps by network: `occlusion`, `cam` and `guided`, each `[n, y, x]`; occlusion is negative where pixels support a lens."""
    rejected: dict[str, str]
    """Reason for each object that is left out because its pixels cannot be used."""
    _shown: Shown = field(repr=False)

    def figure(self) -> Figure:
        """Draw a row for each object. Blue squares support a lens, red ones count against it."""
        from scanner.explain.figures import explanation_figure

        return explanation_figure(self._shown, list(self.maps.values()))

    def save(self, path: str | Path) -> None:
        """Write the figure to a file that ends in .png or .pdf."""
        from scanner.explain.figure_files import write_figure

        write_figure(self.figure(), path)

    def _repr_png_(self) -> bytes:
        from scanner.explain.figure_files import figure_bytes

        return figure_bytes(self.figure(), "png")

    def __repr__(self) -> str:
        return f"Explanation of {', '.join(self.object_ids)} by {', '.join(self.maps)}; save(path) draws it"


class Finder:
    """An ensemble of networks that scores and explains images; `load` makes one."""

    def __init__(self, folder: Path, package: Scorer, known: Sequence[EnsembleCard] = ()) -> None:
        """Take an ensemble, the folder of its package, and the cards of ensembles that errors may recommend."""
        self._folder, self._package, self._known = folder, package, known
        self.name = package.name
        """Name of the ensemble."""

    def score(self, images: Any, *, crop: bool = False, strict: bool = False) -> Scores:
        """Score images, as `lensscan score` does.

        Args:
            images: A dict of band (VIS, Y, J, H) to an array `[n, y, x]`, or `[y, x]` of a single object; one array
                `[n, band, y, x]` or `[band, y, x]` with the bands in that order; the path of a manifest, of a FITS file or of a
                folder of FITS files, or a list of paths; or a dict of band to a FITS reference such as `a.fits#VIS`, or to a
                list of them. Pixels of arrays are 0.1 arcsec wide (the networks of Wilde et al. 2022 read 0.3 arcsec in Y, J
                and H); north is up or not, and the flux unit is free.
            crop: Crop arrays that are larger than the field of the networks about their centre.
            strict: Refuse arrays with a pixel that is NaN, infinite or masked. Without it, up to a tenth of a band's pixels are
                filled with its median, which `detail` says, and an object with more is rejected.

        Raises:
            ValueError: an array has another shape, type or number of objects than the networks read, a band is missing or
                unknown, or, if strict, a pixel is not finite.
            LensscanError: a file cannot be read.
        """
        opened = open_images(images, self._package.geometry, crop=crop, strict=strict)
        scanner = CutoutScanner(self._package)
        if opened.manifest is None:
            table = score_images(opened, scanner)
        else:
            missing = MissingBands(self._package.committee, scanner.batch_size, self._known)
            table = score_manifest(opened.manifest, scanner, missing=missing)
        table = with_candidates(table, self._package.card.candidate_threshold)
        return Scores(table, self.name, self._package.card.assumed_prevalence, self._package.network_names)

    def explain(
        self,
        images: Any,
        *,
        objects: str | int | Sequence[str | int] | None = None,
        networks: str | Sequence[str] | None = None,
        crop: bool = False,
    ) -> Explanation:
        """Return the maps of at most 24 objects: occlusion, Grad-CAM and Guided Grad-CAM of each network.

        Args:
            images: As for `score`, or a folder of tiles or shards.
            objects: Ids of the objects to explain, or one id; by default all. Tiles and shards need them.
            networks: Names of networks, or one name; by default those that read the most bands, at most three.
            crop: As for `score`.

        Raises:
            ValueError: as for `score`.
            LensscanError: there are more objects, none is named or usable, or no such network exists.
        """
        from scanner.explain.explanation import explain
        from scanner.explain.shown_objects import shown_objects

        given = [objects] if isinstance(objects, str | int | np.integer) else objects
        wanted = [str(name) for name in ([] if given is None else given)]
        # A selection that is empty, such as one of a table, means no object, and not all.
        if given is not None and not wanted:
            raise ObjectsError("no object is named")
        read = self._read(images, wanted, crop=crop)
        chosen = [networks] if isinstance(networks, str) else networks
        maps = explain(self._folder, self._package.card, read.stamps, chosen)
        scores = self._package.score(read.stamps)
        shown = shown_objects(read.ids, read.stamps, self._package.card, scores, read.notes)
        by_network = {of.network: of for of in maps}
        return Explanation(tuple(read.ids), scores.p_lens, by_network, read.rejected, shown)

    def _read(self, images: Any, objects: list[str], *, crop: bool) -> ChosenObjects:
        from scanner.explain.figures import MOST_EXPLAINED

        geometry = self._package.geometry
        given = fspath(images) if isinstance(images, str | PathLike) else open_images(images, geometry, crop=crop)
        return read_objects(given, objects, geometry, MOST_EXPLAINED)

    def __repr__(self) -> str:
        return f"Finder of the ensemble {self.name}"
