"""Sentences of the page: what was done, and why our numbers differ from the paper's."""

from collections.abc import Mapping, Sequence

from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES

PUBLISHED = "published"
"""Name of the ensemble of the authors' weights."""

UNUSED_SEED = 2022
"""Seed that no shipped ensemble was trained with: the default of the command."""

INTRODUCTION = """\
[Wilde et al. 2022](https://arxiv.org/abs/2202.12776) (MNRAS 512, 3464) train seven networks to find lenses and ask
whether they also find compound lenses, which none of them was trained on. This page repeats their tables and figures
on simulations of lensscan. Brackets hold 95 % intervals: Wilson's for fractions; bootstrap percentiles for AUROC,
precision, F and accuracy; and the mirrored bootstrap of `lensscan evaluate` for calibration errors."""

DATA = """\
Neither the Euclid challenge's images nor the authors' 20 000 compound lenses are public. In their place stand two
data sets:

- `paper`: the lenses of the preset `wilde2022` (section 2.2 and table 1 of the paper) in the paper's stamps of 20″. A
  single lens is a compound arc without its middle galaxy, a non-lens is the galaxy of a compound lens without its
  arcs.
- `own`: the lenses and look-alikes of the preset `euclid`, from a forecast for Euclid, in stamps of MER mosaics of
  20″. Each ensemble reads the part for which it was trained: {parts}."""

WHY = {
    3: "Our network is built from this table.",
    4: "Our network is built from this table.",
    5: (
        "The test images differ: the challenge's come from another simulator, have other galaxies in the field "
        "and many kinds of non-lens; ours have lens galaxies alone, with and without arcs, so that the arcs are "
        "all that tells them apart. The published weights meet images of a kind that they never saw. They were "
        "trained on 45 000 images of the challenge, for 250 epochs; `{ours}` has the same architectures, and its card "
        "says which objects it was trained on, and for how many epochs."
    ),
    6: (
        "The compound lenses of both columns follow the same table 1, but the paper's sources and colours come "
        "from the challenge's catalogue, which is not public, its PSF is a Gaussian, and its positions need not "
        "give more than one image; ours take only positions that lens, and arcs that are visible. Single lenses "
        "are ours in place of the challenge's. The paper's networks were trained without compound lenses; "
        "{compound}. The first row cannot be repeated: the images that the published weights were trained on are "
        "not public, and the package of `{ours}` does not hold its own."
    ),
    7: (
        "{images} In brackets is the range over the eight orientations of a lens, because one lens has no sampling "
        "error: where it is wide, the number says little. Lenses without a value have no image at hand."
    ),
}
"""Reasons by table; `why` fills in what depends on the run."""


def data(geometries: Mapping[str, str]) -> str:
    """Return what the data sets are, and which part of the stamps each ensemble reads by its geometry."""
    names: dict[float, list[str]] = {}
    for name, geometry in geometries.items():
        names.setdefault(GEOMETRIES[geometry].grids["VIS"].side_arcsec, []).append(name)
    whole = CHALLENGE.grids["VIS"].side_arcsec
    words = [f"{', '.join(of_side)} the {'whole' if side == whole else 'middle'} {side:g}″" for side, of_side in names.items()]
    return DATA.format(parts="; ".join(words))


def why(table: int, ours: str, known: Sequence[str], of_one_image: Sequence[str], *, counts_compound: bool | None) -> str:
    """Return why our numbers in a table differ from the paper's.

    Args:
        table: Number of the table.
        ours: Name of our ensemble of the paper's networks.
        known: Names of the known lenses that were given.
        of_one_image: Names of those of which one image stands in for all bands.
        counts_compound: Whether the card of `ours` counts compound lenses among the objects of its training; None if it
            counts no objects.
    """
    compound = {
        True: f"`{ours}` was trained with them",
        False: f"the card of `{ours}` counts none for its own",
        None: f"the card of `{ours}` does not count the objects of its training",
    }[counts_compound]
    return WHY[table].format(ours=ours, compound=compound, images=_images(known, of_one_image))


def _images(known: Sequence[str], of_one_image: Sequence[str]) -> str:
    """Return which images of known lenses are at hand."""
    if not known:
        return "No images of known lenses were given (`--compound FOLDER`)."
    if not of_one_image:
        return "The images at hand need not be of the filters that the paper combines."
    named = "each lens" if len(of_one_image) == len(known) else ", ".join(of_one_image)
    return (
        f"The paper combines images of several filters; of {named}, one image stands in for all four bands, so the "
        "networks see no colour."
    )


SHARE = (
    "Precision, F and accuracy depend on the share of lenses. Section 2.1 of the paper states {stated:.0%}, but "
    "its precision, recall and accuracy belong together only at {implied:.0%}, the same in all three rows; our "
    "values are for that share. OU-T-SNE was fitted on one half of the objects, {references} at most, and tested "
    "on the others. The table shows single lenses and non-lenses."
)

ANSWER = """\
The paper concludes from the recall of compound lenses that its networks do not select against them. Recall alone
mixes two things: compound lenses also have brighter arcs than single ones. Here compound arcs and double rings are
compared with single lenses that are alike in Einstein radius, S/N and magnitude, for each network and for all of an
ensemble together. "Against": the 95 % interval of the difference of recalls lies below 0; "for": above 0; "neither":
it holds 0, because there is no selection or because there are too few lenses to see one."""

SELECTION = """\
Does a network select against compound lenses? Their recall alone does not say: their arcs may be brighter, or their
rings wider, which makes any lens easier to find. So each compound lens is compared with the single lenses of the same
data set in the same cell of Einstein radius (of source 1, cells of 25 %: a single lens has no other), S/N of all arcs
in VIS (cells of 40 %) and VIS magnitude of the lens galaxy (cells of 1 mag). Lenses in cells without the other kind
are left out (coarsened exact matching). This is the simplest method that assumes no form of the dependence; what it
leaves of the differences is in the first table. The intervals are Newcombe's for a difference of two fractions, with
the effective number of weighted single lenses. "against" and "for" mark those that exclude 0; among {n} comparisons
at 95 %, some {chance} do so by chance. Two thresholds: the paper's p = 0.5, and the one that {rate:.0%} of the
non-lenses exceed, where all networks are equally strict (its own uncertainty is not in the intervals). A calibrated
`p_lens` of an ensemble is restated to the share of lenses in the data set; the networks' outputs are not. An output
that the first stage of a cascade made superfluous counts as 0. The JSON beside this page also has {strict:.0%}."""

SNR_REMARK = """\
The S/N counts the light of both sources together. A compound lens and a single one with equal S/N thus have equally
much lensed light, but in the compound lens it is spread over two sets of images."""

CALIBRATION = """\
`p_compound` assumes that a share of the lenses is compound: {share}. Among the lenses of these data sets {here} are;
p(compound | lens) is restated to that share (Saerens et al. 2002) before its error is measured. "Recalibrated" is the
error on one half of the lenses after a logistic curve of the log-odds, slope times x plus offset, was fitted to the
other half: what a user who knows such lenses could reach. The published weights separate only lenses from non-lenses,
so they have neither `p_compound` nor `subclass`."""

NO_WEIGHTS = "The published weights were not given (`--published FOLDER`), so their columns are missing."
