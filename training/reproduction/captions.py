"""Captions of the page's figures, and reasons for those that are missing."""

from collections.abc import Mapping
from types import MappingProxyType

from training.reproduction.known import KnownLenses

_OBJECTS = "The number above an object is its index in the data set `paper`"
_CHOSEN = "chosen by OU-200's output: of each kind the two highest, then the two lowest"
CAPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "4": "Accuracy of the networks of {} while they were trained; a dot marks the epoch whose weights are kept.",
        "5": "Loss of the networks of {} while they were trained.",
        "6": (
            "ROC of every network on the data set `paper`, single lenses against non-lenses. The paper also draws "
            "that of its training data, which are not at hand."
        ),
        "9": (
            "Outputs of the seven networks, embedded by t-SNE: each point is an object of the data set `paper`, "
            "single lenses and non-lenses alone. The paper embeds its training set."
        ),
        "Selection": (
            "Recall of compound lenses minus that of matched single lenses, where each network passes 5 % of the "
            "non-lenses. Left of 0 a network selects against compound lenses. Bold: all networks together."
        ),
        "Reliability": "Share of compound lenses among lenses against the stated probability; on the dashed line "
        "they are equal.",
        "11": (
            f"Occlusion maps of single lenses and non-lenses by {{}}, {_CHOSEN}. Blue: hiding these pixels makes a "
            f"lens less likely. Red: more likely. Each map has a scale of its own, whose ends (change of the "
            f"log-odds) stand above it with p(lens). Lines: where VIS is 7 and 23 times the noise. {_OBJECTS}."
        ),
        "12": f"Occlusion maps of compound arcs and double rings by {{}}, {_CHOSEN}; colours and lines as in figure 11.",
        "13": ("Occlusion maps of known compound lenses by {}: those that were given{}; colours and lines as in figure 11."),
        "17": (
            "Guided Grad-CAM of OU-200 of {}: bright pixels raise the score. Two single lenses, compound arcs and "
            "double rings with the highest output, then the known compound lenses that were given."
        ),
        "14": (
            "Kernels of {1} of {0} that the paper shows: an image generated to activate the kernel, {2} steps, "
            "and beside it the object among the first 100 that activates it most. Colour: H, J, Y in red, green, "
            "blue; grey: VIS. Objects have a square-root stretch."
        ),
        "15": "The same for {1} of {0}, {2} steps.",
        "16": (
            "{1} of {0}: class generated images from noise, {2} steps (the paper: 5000), then Deep Dreams of the "
            "non-lens and of the single lens with the highest output, {3} steps (the paper: 1000), with a "
            "square-root stretch."
        ),
    }
)
ONE_IMAGE = ", with one image for all four bands"
PUBLISHED_HISTORY = "The history of the published networks is not published."
NO_HISTORY = "the package of our networks holds no history of its training."
NO_TSNE = "t-SNE needs more single lenses and non-lenses; simulate more objects."
NO_KNOWN = "no images of known compound lenses were given (`--compound FOLDER`)."


def of_figure_13(ensemble: str, known: KnownLenses) -> str:
    """Return the caption of figure 13, which says of which lenses one image stands in for all bands."""
    named = "" if known.of_one_image == known.names else f" of {', '.join(known.of_one_image)}"
    return CAPTIONS["13"].format(ensemble, f"{ONE_IMAGE}{named}" if known.of_one_image else "")
