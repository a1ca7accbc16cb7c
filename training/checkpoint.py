"""The state of one fit in one safetensors file, replaced atomically: a kill leaves the state of the epoch before."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from infra.store.files import replace_whole
from training.errors import TrainingError

_NETWORK = "network/"
_OPTIMISER = "optimiser/"


@dataclass(frozen=True)
class EpochRecord:
    """A row of the history (Wilde et al. 2022, figures 4 and 5)."""

    epoch: int
    time_s: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    calibrated_loss: float | None = None
    """Validation loss of calibrated logits, which decides the epoch that is kept; None in histories of earlier versions."""

    @property
    def deciding_loss(self) -> float:
        """Loss by which the epoch is chosen; that of validation in histories of earlier versions."""
        return self.validation_loss if self.calibrated_loss is None else self.calibrated_loss


def save_weights(path: Path, network: nn.Module) -> None:
    """Save the state dict, float32, from the CPU."""
    _save(path, {name: tensor.detach() for name, tensor in network.state_dict().items()}, {})


def save_history(path: Path, history: list[EpochRecord]) -> None:
    """Save the history as JSON, a list of objects with the fields of `EpochRecord`."""
    with replace_whole(path) as part:
        part.write_text(json.dumps([asdict(record) for record in history], indent=1) + "\n", encoding="utf-8")


def load_history(path: Path) -> list[EpochRecord]:
    """Load what `save_history` wrote; return an empty list if there is no file yet."""
    return [EpochRecord(**record) for record in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def save_checkpoint(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, history: list[EpochRecord], fit_id: str
) -> None:
    """Save weights, the optimiser's moments, and the history so far."""
    tensors = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{index}/{key}": value for key, value in state.items()}
    _save(path, tensors, {"fit_id": fit_id, "history": json.dumps([asdict(record) for record in history])})


def load_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, fit_id: str) -> list[EpochRecord]:
    """Restore network and optimiser in place; return the history so far, empty if there is no checkpoint yet.

    Raises:
        TrainingError: the checkpoint is damaged, or belongs to a fit with another configuration or other data.
    """
    if not path.exists():
        return []
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path}: not a readable checkpoint ({error}); delete it to start this network over") from error
    if metadata.get("fit_id") != fit_id:
        raise TrainingError(
            f"{path}: belongs to a fit with another configuration, other data or, if bfloat16 is not set, another kind of "
            "processor; use another work folder"
        )
    network.load_state_dict({n.removeprefix(_NETWORK): t for n, t in tensors.items() if n.startswith(_NETWORK)})
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMISER):
            index, key = name.removeprefix(_OPTIMISER).split("/")
            states.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    return [EpochRecord(**record) for record in json.loads(metadata["history"])]


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    with replace_whole(path) as part:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, part, metadata)
