"""The part of a card that names the data which the networks of an ensemble were trained and calibrated on."""

from collections.abc import Iterable
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from infra.frozen import Frozen
from scanner.networks.network_card import Sha256


class DataSets(NamedTuple):
    """Data sets, as cards list them."""

    digests: tuple[Sha256, ...] = ()
    simulations: tuple[str, ...] = ()
    """Description of each simulated one, as its shards state it."""


_NONE = DataSets()


class TrainingDataCard(Frozen, allow_inf_nan=False):
    """Data that the networks were trained and calibrated on."""

    description: str
    digest: Sha256 | None
    """Digest of the shards; None where unknown."""
    n_objects: dict[str, int]
    """Split and kind to number of objects; empty where unknown."""
    data_sets: tuple[Sha256, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Digest of each data set that networks were trained or calibrated on; empty on cards that do not list them."""
    simulations: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Description of each simulated data set among them, as its shards state it; empty on cards that do not list them."""
    calibrated_on: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Those of `data_sets` and `simulations` that served calibration alone: the networks may be calibrated on them again.

    Empty on cards that do not tell them from the data of the training."""

    @model_validator(mode="after")
    def _calibrated_on_is_listed(self) -> Self:
        if unlisted := set(self.calibrated_on) - {*self.data_sets, *self.simulations}:
            raise ValueError(f"calibrated_on must be among data_sets and simulations, got {min(unlisted)}")
        return self

    @property
    def known_data_sets(self) -> tuple[Sha256, ...]:
        """Digests of the data sets, or of the shards where the card lists no data sets; empty where unknown."""
        return self.data_sets or ((self.digest,) if self.digest else ())

    @property
    def trained_on(self) -> DataSets:
        """Data sets that networks were trained on; with those of the calibration on cards that do not tell them apart."""
        calibrated_on = set(self.calibrated_on)
        return DataSets(
            tuple(known for known in self.known_data_sets if known not in calibrated_on),
            tuple(stated for stated in self.simulations if stated not in calibrated_on),
        )


def data_lists(
    cards: Iterable[TrainingDataCard], trained_on: DataSets = _NONE, calibrated_on: DataSets = _NONE
) -> dict[str, tuple[str, ...]]:
    """Return `data_sets`, `simulations` and `calibrated_on` of an ensemble that is made from others.

    Args:
        cards: Data of the others.
        trained_on: Further data that a network was trained on.
        calibrated_on: Further data that the ensemble was calibrated on.
    """
    cards = list(cards)
    given = DataSets(*(tuple(of + more) for of, more in zip(trained_on, calibrated_on, strict=True)))
    # The other cards, those of earlier cascades, do not tell what of their data was for the calibration.
    told = [card.trained_on for card in cards if card.n_objects or card.calibrated_on]
    trained = {name for of in (*told, trained_on) for names in of for name in names}
    calibrated = [*(name for card in cards for name in card.calibrated_on), *calibrated_on.digests, *calibrated_on.simulations]
    return {
        "data_sets": _once(*(card.known_data_sets for card in cards), given.digests),
        "simulations": _once(*(card.simulations for card in cards), given.simulations),
        "calibrated_on": tuple(name for name in _once(calibrated) if name not in trained),
    }


def _once(*lists: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))
