"""Check that the skipped rows of a unit are those that its plan does not select, and the carried columns those of the plan."""

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import LensscanError
from scanner.catalogue.columns import carried_fields
from scanner.catalogue.outcomes import SKIPPED
from scanner.catalogue.plan import Plan
from scanner.catalogue.units import Unit, id_digest


class SelectionError(LensscanError):
    """The skipped rows of a table, or its carried columns, are not those of its plan."""


def check_source_selection(table: pa.Table, unit: Unit, plan: Plan) -> None:
    """Check which rows of a unit are skipped, and which columns of the tile's catalogue they carry.

    Raises:
        SelectionError: a selected row is skipped, another row is not, or the carried columns differ from the plan's.
    """
    planned = [column.field for column in plan.columns]
    if not pa.schema(carried_fields(table.schema)).equals(pa.schema(planned)):
        names = [field.name for field in carried_fields(table.schema)]
        raise SelectionError(f"must carry the columns {[field.name for field in planned]} of its plan's types, has {names}")
    is_skipped = pc.equal(table["status"], SKIPPED)
    n_skipped = pc.sum(is_skipped, min_count=0).as_py()
    if n_skipped != unit.n_skipped:
        raise SelectionError(f"must skip {unit.n_skipped} rows, skips {n_skipped}")
    if unit.selected is None:
        return
    if id_digest(table["object_id"].filter(pc.invert(is_skipped)).to_numpy()) != unit.selected.id_digest:
        raise SelectionError("the rows that it skips are not those that its plan does not select")
