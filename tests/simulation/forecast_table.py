"""Read the public forecast table, if it is available."""

import numpy as np

from tests.shared import SHARED, require_shared

TABLE = "real/tables/lenses_Euclid.txt"


def read_table(min_radius_arcsec=0.4):
    """Return rows with an Einstein radius above this, [row, column]; skip the test if there is no table."""
    require_shared(TABLE)
    table = np.loadtxt(SHARED / TABLE)
    return table[table[:, 2] > min_radius_arcsec]
