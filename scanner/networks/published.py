"""Import the weights that Wilde et al. published: the only module that reads `.pt` files, without unpickling code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from scanner.networks.architectures import PAPER_NETWORKS, NetworkSpec
from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import MeanCombiner
from scanner.networks.errors import PackageError
from scanner.networks.network_card import check_name
from scanner.networks.package import draft_network_card, write_package
from scanner.networks.training_data_card import TrainingDataCard
from scanner.vocabulary.geometry import CHALLENGE

LIMITS = (
    "Not calibrated: p_lens is the mean of seven raw network outputs, not a probability.",
    "Fails on real Euclid data: on 14 lenses and 33 galaxies of Q1 OU-200 has AUROC 0.70 and calls 58 % of the latter lenses.",
    "Trained on simulations of the Euclid Strong Lensing Challenge, whose blurring and noise are not those of MER mosaics.",
    "Separates only lenses from non-lenses: no p_compound, no subclass.",
)
CITATION = (
    "Wilde J., Serjeant S., Bromley J. M., Dickinson H., Koopmans L. V. E., Metcalf R. B., 2022, MNRAS, 512, 3464, "
    "Detecting gravitational lenses using machine learning: exploring interpretability and sensitivity to rare lensing "
    "configurations"
)


def weights_file(spec: NetworkSpec) -> str:
    """Return the published file name, `OU_J_Weights.pt` for OU-J."""
    return f"{spec.name.replace('-', '_')}_Weights.pt"


def import_published(folder: Path, out: Path, name: str) -> EnsembleCard:
    """Turn the seven published files in `folder` into the package `out`.

    Raises:
        PackageError: a file is missing or damaged, or its tensors are not those of the architecture.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise PackageError(str(error)) from error
    card = EnsembleCard(
        format_version=2,
        name=name,
        description="The seven networks published with Wilde et al. 2022, unchanged; combined by their mean.",
        licence="MIT",
        geometry=CHALLENGE.name,
        networks=tuple(draft_network_card(spec, CHALLENGE.name, {}) for spec in PAPER_NETWORKS),
        combiner=MeanCombiner(kind="mean", networks=tuple(spec.name for spec in PAPER_NETWORKS)),
        training_data=TrainingDataCard(
            description="45 000 images of the Euclid Strong Lensing Challenge (COMP set), trained by the authors",
            digest=None,
            n_objects={},
        ),
        metrics={},
        calibration="None: the mean of the networks' outputs.",
        assumed_prevalence=None,
        limits=LIMITS,
        citation=CITATION,
    )
    return write_package(out, card, {spec.name: read_published(folder, spec) for spec in PAPER_NETWORKS})


def read_published(folder: Path, spec: NetworkSpec) -> dict[str, Tensor]:
    """Read one published state dict and name its tensors as the architecture does.

    The files name their tensors differently (`layer.0.weight`, `VIS_layer.0.weight`), but in the order of the architecture.

    Raises:
        PackageError: the file is missing or damaged, or its shapes are not those of the architecture.
    """
    path = folder / weights_file(spec)
    published = _load(path)
    expected = spec.build().state_dict()
    if len(published) != len(expected):
        raise PackageError(f"{path}: {spec.name} has {len(expected)} tensors, got {len(published)}")
    state: dict[str, Tensor] = {}
    for (name, tensor), (published_name, values) in zip(expected.items(), published.items(), strict=True):
        if not isinstance(values, Tensor) or values.shape != tensor.shape:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise PackageError(f"{path}: {published_name} must have the shape {tuple(tensor.shape)}, got {got}")
        if not torch.isfinite(values).all():
            raise PackageError(f"{path}: {published_name} must be finite")
        state[name] = values.to(torch.float32)
    return state


def _load(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        raise PackageError(
            f"{path}: missing; the published ensemble has seven files, {weights_file(PAPER_NETWORKS[0])} and so on"
        )
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # the loader raises many types for damaged files, unpickling errors among them
        raise PackageError(f"{path}: damaged or not a state dict ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise PackageError(f"{path}: must hold a state dict, got {type(content).__name__}")
    return content
