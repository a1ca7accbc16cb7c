"""Numbers of Wilde et al. (2022), MNRAS 512, 3464, by the number of the table that they stand in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TEST_SHARE_STATED = 0.71
"""Share of lenses in the test set as section 2.1 states it: about 71 000 of 100 000."""
TSNE = "OU-T-SNE"


@dataclass(frozen=True)
class Layer:
    """A layer with weights in table 3 or 4."""

    number: int
    shape: tuple[int, ...]
    """Shape of its output, without the batch: channels, rows, columns, or neurons."""
    n_parameters: int


TABLE_3 = (
    Layer(0, (50, 64, 64), 1850),
    Layer(4, (50, 30, 30), 22550),
    Layer(7, (50, 28, 28), 22550),
    Layer(10, (50, 26, 26), 22550),
    Layer(13, (40, 24, 24), 18040),
    Layer(17, (40, 10, 10), 14440),
    Layer(20, (40, 8, 8), 14440),
    Layer(23, (40, 6, 6), 14440),
    Layer(26, (30, 4, 4), 10830),
    Layer(30, (500,), 60500),
    Layer(32, (2,), 1002),
)
TABLE_3_TOTAL = 203192
TABLE_4 = (
    Layer(0, (50, 196, 196), 5050),
    Layer(4, (40, 94, 94), 50040),
    Layer(8, (30, 45, 45), 10830),
    Layer(12, (20, 20, 20), 5420),
    Layer(16, (20, 8, 8), 3620),
    Layer(19, (20, 6, 6), 3620),
    Layer(22, (350,), 252350),
    Layer(24, (2,), 702),
)
TABLE_4_TOTAL = 331632

METRICS = ("F 0.03", "precision", "recall", "AUROC", "accuracy")
"""Columns of table 5."""
TABLE_5: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        name: MappingProxyType(dict(zip(METRICS, values, strict=True)))
        for name, values in {
            "OU-66": (0.9727, 0.9758, 0.2180, 0.617, 0.3308),
            "OU-200": (0.9687, 0.9697, 0.4423, 0.695, 0.5143),
            TSNE: (0.9423, 0.9431, 0.4846, 0.666, 0.5371),
        }.items()
    }
)
"""Metrics at a threshold of 0.5 on the test set."""

_NETWORKS_OF_6 = ("OU-H", "OU-J", "OU-Y", "OU-JYH", "OU-VIS", "OU-66", "OU-200")
TABLE_6: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        data: MappingProxyType(dict(zip(_NETWORKS_OF_6, values, strict=True)))
        for data, values in {
            "train data": (0.4476, 0.3636, 0.2585, 0.3170, 0.2597, 0.3807, 0.4004),
            "test data": (0.4772, 0.3989, 0.2752, 0.3555, 0.2495, 0.2180, 0.4423),
            "arcs": (0.0706, 0.5111, 0.4083, 0.7771, 0.1684, 0.6291, 0.7505),
            "double rings": (0.0908, 0.5393, 0.4667, 0.7461, 0.1618, 0.4742, 0.5567),
        }.items()
    }
)
"""Recall at a threshold of 0.5. The table prints "44.23" for OU-200 on the test data; table 5 has 0.4423."""
KIND_OF_DATA = MappingProxyType({"test data": "single", "arcs": "compound_arc", "double rings": "double_ring"})
"""Kind of our lenses for each row of table 6 that our simulations can repeat."""

TABLE_7: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "SL2S J02176-0513": MappingProxyType({"OU-66": 0.9993, "OU-200": 0.9852}),
        "HSC J142449-005322": MappingProxyType({"OU-66": 0.9302, "OU-200": 0.7104}),
        "SDSS J1148+1930": MappingProxyType({"OU-66": 1.0000, "OU-200": 0.9953}),
        "SDSS J0946+1006": MappingProxyType({"OU-66": 0.6873, "OU-200": 0.8228}),
    }
)
"""Lens probability of known compound lenses."""


def paper_lens(object_id: str) -> str | None:
    """Return the known compound lens of table 7 that an object's id names by its coordinates; None if it is another object."""
    written = _letters(object_id)
    return next((name for name in TABLE_7 if _letters(name.split()[-1].lstrip("J")) in written), None)


def _letters(text: str) -> str:
    """Return a designation without spaces and signs, which authors write in several ways."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


def share_implied(precision: float, recall: float, accuracy: float) -> float:
    """Return the share of lenses at which a precision, a recall and an accuracy belong together.

    From accuracy = share * recall + (1 - share) * (1 - f) and precision = share * recall / (share * recall + (1 - share) * f),
    where f is the share of non-lenses that are called lenses.
    """
    return (1 - accuracy) / (1 - recall * (2 - 1 / precision))
