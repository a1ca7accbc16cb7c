"""The method of Wilde et al. 2022: four FITS files per object, scikit-image and eager float32 networks, without additions."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import numpy as np
import torch
from astropy.io import fits
from numpy.typing import NDArray
from skimage.transform import resize
from torch import nn

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from scanner.vocabulary.geometry import Stamps
from tests.benchmarks.rates import seconds_of
from tests.benchmarks.sizes import CORES

BATCH = 64
N_WARM = 8
LAYOUTS = {"as_written": torch.contiguous_format, "channels_last": torch.channels_last}
"""Memory layouts of tensors: the one that the paper's code uses, and the one that is faster on CPUs."""


class PaperLoop:
    """The loop with the networks of a package, in one process with all threads."""

    def __init__(self, package: str, files: Sequence[dict[str, Path]], layout: str) -> None:
        """Load the networks; `files` maps band to file for each object, see `write_cutouts`."""
        folder, self._layout = SHIPPED_DIR / package, LAYOUTS[layout]
        self._networks: dict[str, nn.Module] = {}
        self._card = read_card(folder)
        for network in self._card.networks:
            self._networks[network.name] = load_network(folder, network).to(memory_format=self._layout)
        self._files = files

    def rate(self) -> float:
        """Return the cutouts per second, once warm."""
        self.warm_up()
        return len(self._files) / seconds_of(self.score_all)

    def warm_up(self) -> None:
        self.score(self._files[:N_WARM])

    def score_all(self) -> None:
        self.score(self._files)

    def score(self, files: Sequence[dict[str, Path]]) -> dict[str, NDArray]:
        """Return the probability of a lens, `[n]`, for each network."""
        found: dict[str, list[NDArray]] = {name: [] for name in self._networks}
        sizes = sorted({network.input_pixels for network in self._card.networks})
        for start in range(0, len(files), BATCH):
            batch = [_read(of_object) for of_object in files[start : start + BATCH]]
            with torch.inference_mode():
                for n_pixels in sizes:
                    scaled = [_prepared(bands, n_pixels) for bands in batch]
                    for network in (n for n in self._card.networks if n.input_pixels == n_pixels):
                        order = [channel.band for channel in network.channels]
                        inputs = torch.from_numpy(np.stack([np.stack([bands[band] for band in order]) for bands in scaled]))
                        logits = self._networks[network.name](inputs.contiguous(memory_format=self._layout))
                        found[network.name].append(torch.softmax(logits, 1)[:, 1].numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}


class PaperLoops:
    """The loop in one process per core with one thread each, side by side, until the `with` block ends."""

    def __init__(self, package: str, files: Sequence[dict[str, Path]], layout: str) -> None:
        """Start the processes; `files` as for `PaperLoop`, in shares that differ by one object at most."""
        self._n = len(files)
        # A fork would inherit locks that threads of torch and Ray hold.
        started = get_context("spawn")
        shares = [files[core::CORES] for core in range(min(CORES, len(files)))]
        self._processes = [ProcessPoolExecutor(1, started, _begin, (package, share, layout)) for share in shares]
        self._in_all(_warm_up)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self._processes:
            process.shutdown()

    def rate(self) -> float:
        """Return the cutouts per second, once warm, from the common start of all processes until the last ends."""
        self._in_all(_warm_up)
        return self._n / seconds_of(lambda: self._in_all(_score_all))

    def _in_all(self, work: Callable[[], None]) -> None:
        for running in [process.submit(work) for process in self._processes]:
            running.result()


_loops: list[PaperLoop] = []
"""The loop of this process, if the process is one of `PaperLoops`."""


def _begin(package: str, files: Sequence[dict[str, Path]], layout: str) -> None:
    torch.set_num_threads(1)
    _loops.append(PaperLoop(package, files, layout))


def _warm_up() -> None:
    _loops[0].warm_up()


def _score_all() -> None:
    _loops[0].score_all()


def write_cutouts(folder: Path, stamps: Stamps) -> list[dict[str, Path]]:
    """Write one file per object and band, as the challenge distributed them; return band to file for each object."""
    files = []
    for i in range(len(stamps["VIS"])):
        of_object = {band: folder / f"EUC_{band}" / f"imageEUC_{band}-{i:06d}.fits" for band in stamps}
        for band, path in of_object.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fits.PrimaryHDU(stamps[band][i]).writeto(path, overwrite=True)
        files.append(of_object)
    return files


def _read(of_object: dict[str, Path]) -> dict[str, NDArray]:
    bands = {}
    for band, path in of_object.items():
        with fits.open(path) as hdus:
            bands[band] = np.array(hdus[0].data)
    return bands


def _prepared(bands: dict[str, NDArray], n_pixels: int) -> dict[str, NDArray]:
    resized = {b: image if len(image) == n_pixels else resize(image, (n_pixels, n_pixels)) for b, image in bands.items()}
    return {band: ((x - x.min()) / (x.max() - x.min())).astype(np.float32) for band, x in resized.items()}
