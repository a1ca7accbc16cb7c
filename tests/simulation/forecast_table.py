"""The public forecast table, where it is at hand."""

import numpy as np

from tests.shared import SHARED, require_shared

TABLE = "real/tables/lenses_Euclid.txt"


def read_table(min_radius_arcsec=0.4):
    """Rows with an Einstein radius above this, [row, column]; skips the test where there is no table."""
    require_shared(TABLE)
    table = np.loadtxt(SHARED / TABLE)
    return table[table[:, 2] > min_radius_arcsec]
