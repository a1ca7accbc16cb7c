"""Made scores of made objects, for tests that need no networks."""

import numpy as np
import pyarrow as pa

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import network_column_name
from training.reproduction.reproduce import PAPER
from training.reproduction.results import Picture, Reproduction
from training.reproduction.sample import ScoredSample
from training.reproduction.selection import calibrations, data_set, selections
from training.reproduction.tables import architectures, table_5, table_6, table_7

OURS, FLAGSHIP = "ou7-sim", "mer3-cascade"
N = 600


def card_of(name):
    return read_card(SHIPPED_DIR / name)


def made_truth(n=N, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(KINDS, n, p=[0.4, 0.2, 0.2, 0.2])
    is_lens = kinds != "nonlens"
    spans = {"einstein_radius1_arcsec": (0.5, 2.0), "arc_snr": (20, 200), "lens_mag_vis": (18, 21)}
    columns = {name: np.where(is_lens, rng.uniform(*span, n), np.nan) for name, span in spans.items()}
    return pa.table({"kind": kinds, "index": np.arange(n), **columns})


def made_scores(truth, name, seed=1):
    """Return scores that rise with lenses; a network of a committee has no output for every fifth object."""
    rng = np.random.default_rng(seed)
    kinds, n = np.array(truth["kind"].to_pylist()), len(truth)
    card = card_of(name)

    def p(shift=0.0):
        return 1 / (1 + np.exp(-rng.normal(np.where(kinds == "nonlens", -1.0, 1.0) + shift, 1.5)))

    is_unseen = np.arange(n) % 5 == 0
    outputs = {
        network_column_name(network.name): pa.array(p(), mask=is_unseen if card.first and network in card.networks else None)
        for network in card.all_networks
    }
    p_lens = p(-7.0)
    return pa.table(
        {
            "status": ["scored"] * n,
            **outputs,
            "p_lens": p_lens,
            "p_compound": p_lens * rng.uniform(0, 0.1, n),
            "subclass": rng.choice(KINDS, n),
        }
    )


def made_sample(*names, n=N):
    truth = made_truth(n)
    scores = {name: made_scores(truth, name, seed) for seed, name in enumerate(names, 1)}
    return ScoredSample.of(truth, scores, {name: card_of(name) for name in names})


def made_results():
    """Return the results of two made data sets, with a figure and without one."""
    samples = {PAPER: made_sample(OURS), "own": made_sample(OURS, FLAGSHIP)}
    rng = np.random.default_rng(0)
    return Reproduction(
        n=N,
        seed=3,
        command="lensscan reproduce wilde2022 --n 600",
        code_version="0",
        ensembles={name: card_of(name).sha256 for name in (OURS, FLAGSHIP)},
        geometries={name: card_of(name).geometry for name in (OURS, FLAGSHIP)},
        ours=OURS,
        counts_compound=True,
        known=(),
        known_of_one_image=(),
        data={name: data_set(sample, "wilde2022", "challenge") for name, sample in samples.items()},
        architectures=architectures(),
        tables=(table_5(samples[PAPER], [OURS], rng)[0], table_6(samples[PAPER], [OURS]), table_7(None, [OURS])),
        selection=tuple(s for name, sample in samples.items() for s in selections(sample, name)),
        calibration={name: calibrations(sample, rng) for name, sample in samples.items()},
        pictures=(
            Picture(figure="4", file="a.png", text="Learning."),
            Picture(figure="13", file=None, text="no images were given."),
        ),
    )
