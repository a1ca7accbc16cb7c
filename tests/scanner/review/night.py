"""A night with pictures, and texts that a stranger could have put into files, for the tests of pages."""

import numpy as np
import pyarrow as pa

from scanner.catalogue.carried import CarriedColumn
from scanner.catalogue.columns import unit_schema
from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.units import InputFile, Unit, id_digest
from tests.scanner.catalogue_parts import NETWORKS, NIGHT, EnsembleName, purity_table, scores, with_maps

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'-alert(3)-'<svg/onload=alert(3)>",
    "</title></style></script><script>alert(4)</script>",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;",
    "javascript:alert(5)//\u202e<a href=javascript:alert(5)>x</a>",
)
"""Names, details and values that would run or make an element if a page took them for HTML."""
CARRIED = "<img src=y onerror=alert(6)>"
"""Name of a carried column."""
KINDS = ("single", "double_ring", "compound_arc")


def hostile_night(root, n=8, n_maps=6, night=NIGHT, carried=CARRIED):
    """Commit a night of one tile with `n` candidates, whose texts are hostile, two rejected rows and a low score; show it.

    Candidate i has `p_lens` 0.95 - i / 100 and the id 100 + i; the first `n_maps` have pixels.
    """
    ids = [*range(100, 100 + n), 1, 2, 3]
    p_lens = [*(0.95 - i / 100 for i in range(n)), None, None, 1e-7]
    text = [HOSTILE[i % len(HOSTILE)] for i in range(len(ids))]
    is_scored = [p is not None for p in p_lens]
    away = np.array([np.random.default_rng(i).uniform(-0.02, 0.02, 2) for i in ids])
    table = scores(
        ids,
        p_lens,
        candidate_id=[f"EUCL {i} {name}" for i, name in enumerate(text)],
        tile=text,
        detail=text,
        night=[night] * len(ids),
        subclass=[KINDS[i % 3] if scored else "" for i, scored in enumerate(is_scored)],
        ra=(52.9 + away[:, 0]).tolist(),
        dec=(-28.1 + away[:, 1]).tolist(),
        status=["scored" if scored else "rejected:not_finite" for scored in is_scored],
    )
    column = CarriedColumn(name=carried, type="string")
    table = table.append_column(column.field, pa.array(text))
    table = with_maps(table, set(range(n_maps)))
    schema = unit_schema(NETWORKS, maps=True, carried=[column.field])
    files = {"catalogue": InputFile(uri=f"/data/{HOSTILE[0]}/tiles/a.fits", size=1, etag="1")}
    unit = Unit(unit_id="a", kind="tile", files=files, n_rows=len(ids), id_digest=id_digest(ids))
    plan = make_plan(night, EnsembleName(HOSTILE[1]), ScanConfig(maps_per_unit=n_maps), [unit], columns=(column,))
    freeze(plan, root)
    publish(pa.Table.from_arrays(table.select(schema.names).columns, schema=schema), plan.units[0], plan, root, "try")
    seal(plan, root)
    show(plan, root, purity=purity_table(0.25))
    return plan
