"""Injected lenses of nights that nothing was injected into, for the tests of what reads them."""

import numpy as np

from infra.provenance import code_version
from scanner.catalogue.injected import (
    Injected,
    InjectionArguments,
    InjectionFacts,
    injected_table,
    shown_state,
)
from scanner.catalogue.shown import shown_plans
from tests.scanner.catalogue_parts import NIGHT

KINDS = ("single", "compound_arc", "double_ring")


def injected_rows(n, seed=0):
    """Return rows of the file; every third lens is of the same kind, and those of even number have `p_lens` 0.9."""
    rng = np.random.default_rng(seed)
    return [
        {
            "object_id": 10_000_000 + i,
            "tile": "injected-tile",
            "kind": KINDS[i % 3],
            "einstein_radius_arcsec": float(rng.uniform(0.4, 2)),
            "einstein_radius2_arcsec": None if i % 3 == 0 else 1.0,
            "arc_snr": float(rng.uniform(15, 150)),
            "source_vis_minus_h": float(rng.normal(1, 0.3)),
            "source_mag_vis": 25.0,
            "lens_mag_vis": float(rng.uniform(18, 22)),
            "lens_vis_minus_h": 1.5,
            "sky_sigma_vis_ujy": float(rng.uniform(0.01, 0.02)),
            "p_lens": 0.9 if i % 2 == 0 else 0.1,
            "p_compound": 0.2,
            "subclass": "single",
            "is_recovered": i % 2 == 0,
        }
        for i in range(n)
    ]


def injected_into(root, n=60, night=NIGHT, label=None, realism=None, n_real=0, **changes):
    """Return injected lenses that belong to what a night shows now."""
    shown = shown_plans(root, label or night)[label or night]
    arguments = {
        "night": night,
        "shown": shown_state(shown),
        "ensemble_name": "test",
        "ensemble_sha256": "e" * 64,
        "threshold": 0.5,
        "n": n,
        "seed": 1,
        "most_units": 5,
        "code_version": code_version(),
    }
    facts = {"units": ("a",), "n_units": 1, "n_hosts": 30, "n_failed": 0, "hosts": "by hand", "psf": "none"}
    return Injected(
        injected_table(injected_rows(n)),
        InjectionArguments(**{**arguments, **changes}),
        InjectionFacts(**facts, realism=realism, n_real=n_real),
    )
