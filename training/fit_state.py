"""The state of one fit, in memory and in the files of its folder: the last epoch, the best weights and the history."""

from pathlib import Path

import torch
from torch import nn

from training.checkpoint import EpochRecord, load_checkpoint, save_checkpoint, save_history, save_weights
from training.errors import TrainingError


class FitState:
    """Network, optimiser and history of a fit; of several workers that share its folder, one writes the files."""

    def __init__(
        self, folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, fit_id: str, *, writes: bool
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.best = folder / "best.safetensors"
        """File with the weights of the lowest deciding loss."""
        self.history: list[EpochRecord] = []
        self._last, self._history_file = folder / "last.safetensors", folder / "history.json"
        self._network, self._optimiser, self._fit_id, self._writes = network, optimiser, fit_id, writes

    def resume(self, n_epochs: int) -> None:
        """Restore network, optimiser and history from the checkpoint, if there is one.

        Raises:
            TrainingError: the checkpoint is damaged, belongs to another fit, or holds more than `n_epochs`.
        """
        self.history = load_checkpoint(self._last, self._network, self._optimiser, self._fit_id)
        n_done = len(self.history)
        if n_done > n_epochs:
            raise TrainingError(f"{self._last}: holds {n_done} epochs; epochs must be >= {n_done}, got {n_epochs}")
        if self.history and self._writes:
            # A kill may have come between the checkpoint and the history.
            save_history(self._history_file, self.history)

    def add(self, record: EpochRecord) -> None:
        """Add an epoch, and save its weights if they are the best, then the checkpoint, then the history."""
        is_best = all(record.deciding_loss < earlier.deciding_loss for earlier in self.history)
        self.history.append(record)
        if self._writes:
            if is_best:
                save_weights(self.best, self._network)
            save_checkpoint(self._last, self._network, self._optimiser, self.history, self._fit_id)
            save_history(self._history_file, self.history)
