"""Open a collection with hats and lsdb, as a program that prints what they find as JSON.

In a process of its own, because numba compiles hats' loops for half a minute unless NUMBA_DISABLE_JIT is set before it starts.
"""

import json
import sys
import warnings

import pandas as pd

CIRCLE = {"ra": 1.5, "dec": 1.0, "radius_arcsec": 0.6 * 3600}
KNOWN = {"name": ["one", "far"], "ra": [60.0001, 200.0], "dec": [1.0, -40.0]}


def main(collection):
    # lsdb sets an option that pandas 3 has deprecated, and dask warns of small tasks.
    warnings.simplefilter("ignore")
    import lsdb
    from hats.io.validation import is_valid_collection

    catalogue = lsdb.open_catalog(collection)
    rows = catalogue.compute(progress_bar=False)
    whole = lsdb.open_catalog(collection, columns="all").compute(progress_bar=False)
    cone = catalogue.cone_search(**CIRCLE).compute(progress_bar=False)
    known = lsdb.from_dataframe(pd.DataFrame(KNOWN), margin_threshold=10)
    matched = catalogue.crossmatch(known, radius_arcsec=1, suffixes=("", "_known")).compute(progress_bar=False)
    found = {
        "is_valid": bool(is_valid_collection(collection, strict=True)),
        "columns": list(catalogue.columns),
        "ids": sorted(map(int, rows["object_id"])),
        "healpix": list(map(int, rows.index)),
        "all_columns": list(whole.columns),
        "n_maps": int(whole["map_occlusion"].notna().sum()),
        "known": {str(ra): name for ra, name in sorted(set(zip(rows["ra"], rows["known_name"], strict=True)))},
        "in_cone": sorted(map(int, cone["object_id"])),
        "matched": sorted(map(int, matched["object_id"])),
        "names": sorted(set(matched["name_known"])),
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
