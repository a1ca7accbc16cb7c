"""Declare the columns of graded objects: what graders say, which never changes `p_lens`."""

import pyarrow as pa

from scanner.catalogue.column import Column

GRADED_COLUMNS = (
    Column(
        "grade",
        pa.string(),
        "",
        "meta.code.qual",
        "Consensus: the median of the graders' grades A, B, C and X; between two grades the better one if p_graded is at least "
        "0.5, else the worse; empty if not graded",
        nullable=False,
    ),
    Column(
        "p_graded",
        pa.float32(),
        "",
        "stat.probability",
        "Probability of a lens from p_lens, where it begins, and all grades, each grader weighted by the grades that they give "
        "to lenses and to others; as if graders erred independently; null if not graded",
    ),
    Column(
        "n_votes",
        pa.int32(),
        "",
        "meta.number",
        "Number of graders whose grade counts: of each one's first view, the last grade that was given blind and not taken "
        "back, or the last of all if none was blind",
        nullable=False,
    ),
    Column(
        "grades",
        pa.string(),
        "",
        "meta.note",
        "These grades, the best first, such as AABX; empty if not graded",
        nullable=False,
    ),
    Column("n_compound", pa.int32(), "", "meta.number", "Number of graders who say that the lens is compound", nullable=False),
    Column(
        "reason",
        pa.string(),
        "",
        "meta.note",
        "Commonest reason of the graders who say that this is no lens; empty if none gave a reason",
        nullable=False,
    ),
)
"""Columns of `query --grades`, beside those of a candidate."""
