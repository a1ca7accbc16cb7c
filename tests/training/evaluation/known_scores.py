"""Scores whose distribution is known, and the truth."""

import numpy as np
import pyarrow as pa

from scanner.vocabulary.kinds import KINDS

PREVALENCE = 0.01
SPANS = {
    "einstein_radius1_arcsec": (0.4, 2.0),
    "source1_mag_vis": (22, 27),
    "source1_vis_minus_h": (0, 3),
    "arc_snr": (10, 120),
    "lens_mag_vis": (17, 22),
    "magnification1": (2, 10),
    "arc_to_lens_flux": (0, 2),
    "n_galaxies_inside": (0, 4),
}


def known_tables():
    """Return scores calibrated at a prevalence of 0.01 and the truth; half of the objects are lenses."""
    rng = np.random.default_rng(5)
    n = 4000
    kinds = np.array(KINDS)[rng.choice(4, n, p=[0.5, 0.3, 0.1, 0.1])]
    is_lens = kinds != "nonlens"
    logit = rng.normal(np.where(is_lens, 2.0, -2.0), 2.0) + np.log(PREVALENCE / (1 - PREVALENCE))
    p = 1 / (1 + np.exp(-logit))
    status = np.where(rng.random(n) < 0.02, "rejected:blank", "scored")
    scored = status == "scored"
    scores = {
        "p_A": np.random.default_rng(6).random(n) * p,
        "p_lens": p,
        "p_compound": p * np.where(np.isin(kinds, KINDS[2:]), 0.8, 0.2),
    }
    truth = {name: np.where(is_lens, rng.uniform(*span, n), np.nan) for name, span in SPANS.items()}
    morphology = np.where(is_lens, "arc", np.where(rng.random(n) < 0.3, "twin", "spiral"))
    return (
        pa.table({"status": status, **{k: pa.array(v, mask=~scored) for k, v in scores.items()}}),
        pa.table({"kind": kinds, "morphology": morphology, **{k: pa.array(v, mask=~is_lens) for k, v in truth.items()}}),
    )


def arrays(tables):
    scores, truth = tables
    kept = np.array(scores["status"].to_pylist()) == "scored"
    return {name: scores[name].to_numpy()[kept] for name in ("p_A", "p_lens", "p_compound")}, {
        name: np.array(truth[name].to_pylist(), dtype=object)[kept] for name in truth.column_names
    }


def replaced(tables, p, **truth):
    """Return scored rows with these `p_lens`, and this truth; properties that are not given are unknown."""
    scores, like = (pa.concat_tables([table.slice(0, 1)] * len(p)) for table in tables)
    for name in like.column_names:
        values = pa.array(truth.get(name, [None] * len(p)), like.schema.field(name).type)
        like = like.set_column(like.column_names.index(name), name, values)
    scores = scores.set_column(scores.column_names.index("status"), "status", pa.array(["scored"] * len(p)))
    return scores.set_column(scores.column_names.index("p_lens"), "p_lens", pa.array(p)), like


def natural(at_1_percent, at_5_percent):
    """Return the scores of a hundred non-lenses that set two thresholds."""
    return np.array([at_1_percent] * 2 + [at_5_percent] * 98)
