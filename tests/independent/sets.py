"""Sets of stamps of the independent simulator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.independent.render import render
from tests.independent.scenes import LENSES, OTHERS, Class, draw_scene

_MAX_TRIES = 60


@dataclass(frozen=True)
class IndependentSet:
    """Stamps by band, `[object, y, x]`, and the class of each object."""

    stamps: dict[str, NDArray[np.float32]]
    classes: NDArray[np.str_]

    @property
    def is_lens(self) -> NDArray[np.bool_]:
        return np.isin(self.classes, LENSES)


def independent_set(n_of_each: int, seed: int, classes: tuple[Class, ...] = (*LENSES, *OTHERS)) -> IndependentSet:
    """Draw `n_of_each` objects of every class; object i of a class depends on the seed, the class and i alone."""
    stamps, names = [], []
    for of_class in classes:
        for index in range(n_of_each):
            stamps.append(_visible(of_class, np.random.default_rng([seed, *of_class.encode(), index])))
            names.append(of_class)
    return IndependentSet({band: np.stack([stamp[band] for stamp in stamps]) for band in stamps[0]}, np.array(names))


def _visible(of_class: Class, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    for _ in range(_MAX_TRIES):
        if (made := render(draw_scene(of_class, rng), rng)) is not None:
            return made
    raise RuntimeError(f"no visible {of_class} in {_MAX_TRIES} draws")
