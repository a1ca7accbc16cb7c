"""A mapper that is made beside the scan: it imports torch, which takes a second, while a worker scores its first unit."""

from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from scanner.networks.card import EnsembleCard
from scanner.networks.engines import ResolvedEngineName
from scanner.vocabulary.geometry import Stamps

if TYPE_CHECKING:
    from scanner.explain.candidate_maps import CandidateMapper, CandidateMaps


class LateMapper:
    """Maps candidates of an ensemble package as soon as its networks are loaded."""

    def __init__(self, package: Path, card: EnsembleCard, engine: ResolvedEngineName, threads: int | None) -> None:
        """Begin to load the networks; `engine` and `threads` are those that score."""
        self._mapper: Future[CandidateMapper] = Future()
        Thread(target=self._make, args=(package, card, engine, threads), daemon=True).start()

    def maps(self, stamps: Stamps) -> "CandidateMaps":
        """Return the maps of each candidate on its own, from stamps `[batch, y, x]` by band.

        Raises:
            PackageError: the weights of the package cannot be used.
        """
        return self._mapper.result().maps(stamps)

    def _make(self, package: Path, card: EnsembleCard, engine: ResolvedEngineName, threads: int | None) -> None:
        try:
            self._mapper.set_result(_mapper(package, card, engine, threads))
        except BaseException as error:  # noqa: BLE001 - raised again by `maps`, in the thread that needs them
            self._mapper.set_exception(error)


def _mapper(package: Path, card: EnsembleCard, engine: ResolvedEngineName, threads: int | None) -> "CandidateMapper":
    import torch

    from scanner.explain.candidate_maps import candidate_mapper

    if engine == "torch" or threads is None:
        return candidate_mapper(package, card)
    # Torch makes maps only, and faster with one thread for each of several objects.
    torch.set_num_threads(1)
    return candidate_mapper(package, card, threads)
