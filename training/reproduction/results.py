"""Everything that a reproduction states: the page is made from it, and it is stored beside the page as JSON."""

from infra.frozen import Frozen
from scanner.purity import ValueWithInterval
from training.evaluation.compound_calibration import CompoundCalibration
from training.evaluation.compound_selection import Balance, MatchedRecall


class LayerRow(Frozen):
    """A layer with weights, in the paper and here."""

    number: int
    paper_shape: tuple[int, ...]
    shape: tuple[int, ...]
    paper_parameters: int
    n_parameters: int


class Architecture(Frozen):
    """Table 3 or 4."""

    table: int
    network: str
    layers: tuple[LayerRow, ...]
    paper_total: int
    total: int


class Row(Frozen):
    """A number of the paper, and ours."""

    what: tuple[str, ...]
    """Words that identify the number in its table."""
    paper: float | None
    ours: dict[str, ValueWithInterval]
    """Our values, by ensemble; empty if there is none."""


class Table(Frozen):
    """A table of the paper with our values beside it."""

    number: int
    keys: tuple[str, ...]
    """Headings of the words in `what`."""
    ensembles: tuple[str, ...]
    """Ensembles with a column, in order."""
    rows: tuple[Row, ...]
    missing: str | None = None
    """Why there is no table; None if there is one."""


class Selection(Frozen):
    """One score at one threshold: recall by kind, and of compound against matched single lenses."""

    data: str
    """Name of the data set."""
    ensemble: str
    score: str
    """Name of the network, or `ensemble`."""
    at: str
    """Words for the threshold."""
    threshold: float
    false_positives: ValueWithInterval
    recall: dict[str, ValueWithInterval]
    """Recall by kind of lens."""
    matched: dict[str, MatchedRecall]
    """By kind of compound lens; a kind of which none is matched is left out."""


class DataSet(Frozen):
    """Simulated objects that were scored."""

    preset: str
    geometry: str
    n_objects: dict[str, int]
    """Number of objects by kind."""
    balance: dict[str, Balance]
    """By kind of compound lens: what was matched."""


class Picture(Frozen):
    """A figure of the page."""

    figure: str
    """Number of the figure in the paper, such as `11`, or a name of our own."""
    file: str | None
    """File in the folder `figures`; None if there is none."""
    text: str
    """Caption of the figure, or the reason that there is none."""


class Reproduction(Frozen):
    """All results of one run."""

    n: int
    """Number of objects of each data set."""
    seed: int
    command: str
    code_version: str
    ensembles: dict[str, str]
    """Digest by name of the ensemble."""
    geometries: dict[str, str]
    """Geometry of the stamps that each ensemble reads, by its name."""
    ours: str
    """Name of the ensemble of the paper's networks that we trained."""
    counts_compound: bool | None
    """Whether the card of `ours` counts compound lenses among the objects of its training; None if it counts no objects."""
    known: tuple[str, ...]
    """Names of the known lenses that were given."""
    known_of_one_image: tuple[str, ...]
    """Names of those of which one image stands in for all bands."""
    data: dict[str, DataSet]
    architectures: tuple[Architecture, ...]
    tables: tuple[Table, ...]
    selection: tuple[Selection, ...]
    calibration: dict[str, dict[str, CompoundCalibration]]
    """By data set, then by ensemble that tells compound from single lenses."""
    pictures: tuple[Picture, ...]
