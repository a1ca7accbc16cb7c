"""Draw the picture of the README: Euclid Q1 lens candidates and simulated lenses, with the maps that a scan stores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure

from infra.settings import Settings
from scanner.explain.candidate_maps import CandidateMaps, candidate_mapper
from scanner.explain.map_grid import SHOWN_ARCSEC
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_scorer
from scanner.sources.shards import Shard, decode_shard, encode_shard
from scanner.vocabulary.geometry import Stamps
from scanner.vocabulary.probability_text import probability_text
from simulation.products.dataset import dataset_spec, simulate_shard

ENSEMBLE = SHIPPED_DIR / Settings.model_fields["ensemble"].default
"""The ensemble that commands use by default, so that the figure shows what a reader's own commands print."""
KINDS = ("single", "compound_arc", "double_ring")
SEED, N_DRAWN = 20261127, 12
LEAST_ARC_SNR = 60
"""The first object of a kind with a brighter arc is shown, whatever its `p_lens`."""
EDGES_ARCSEC = (-SHOWN_ARCSEC / 2, SHOWN_ARCSEC / 2) * 2


@dataclass(frozen=True)
class Column:
    """One object of the figure: its title, and stamps `[1, y, x]` for each band."""

    title: str
    stamps: Stamps


def simulated_columns() -> list[Column]:
    """Simulate a lens of each kind, the first of its seed whose arcs are bright."""
    columns = []
    for kind in KINDS:
        spec = dataset_spec(N_DRAWN, SEED, kinds=kind, geometry="mer10")
        shard = decode_shard(encode_shard(simulate_shard(spec, 0)))
        columns.append(Column(f"simulated\n{kind.replace('_', ' ')}", _one(shard, _first_bright(shard))))
    return columns


def candidates_figure(columns: Sequence[Column]) -> Figure:
    """Draw a column for each object: colour picture, Guided Grad-CAM and occlusion map, as a scan stores them."""
    package = load_scorer(ENSEMBLE)
    mapper = candidate_mapper(ENSEMBLE, package.card)
    figure = Figure(figsize=(1.72 * len(columns) + 0.5, 5.75), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(columns), squeeze=False)
    for column, (picture, guided, occlusion) in zip(columns, axes.T, strict=True):
        p_lens = float(package.score(column.stamps).p_lens[0])
        picture.set_title(f"{column.title}\np_lens {probability_text(p_lens)}", fontsize=9)
        _draw(mapper.maps(column.stamps), picture, guided, occlusion)
    for axis, label in zip(axes[:, 0], ("H, Y + J, VIS", "Guided Grad-CAM", "occlusion"), strict=True):
        axis.set_ylabel(label, fontsize=9)
    return figure


def _first_bright(shard: Shard) -> int:
    return int(np.argmax(np.array(shard.truth["arc_snr"]) > LEAST_ARC_SNR))


def _one(shard: Shard, place: int) -> Stamps:
    return {band: images[place : place + 1] for band, images in shard.stamps.items()}


def _draw(maps: CandidateMaps, picture: Axes, guided: Axes, occlusion: Axes) -> None:
    picture.imshow(maps.cutout_rgb[0], origin="lower", extent=EDGES_ARCSEC)
    picture.plot([-3.6, -2.6], [-3.6, -3.6], color="white", linewidth=1.5)
    guided.imshow(maps.map_guided[0], origin="lower", extent=EDGES_ARCSEC, cmap="magma")
    changes = maps.occlusion_step[0] * maps.map_occlusion[0]
    occlusion.imshow(changes, origin="lower", extent=EDGES_ARCSEC, cmap="bwr", norm=CenteredNorm())
    for axis in (picture, guided, occlusion):
        axis.set_xticks([])
        axis.set_yticks([])
