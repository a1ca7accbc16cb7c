"""What is measured of maps, as it is kept on a card."""

from collections.abc import Mapping
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["guided_grad_cam", "grad_cam", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)

PREFIX = "maps_"
"""Of all figures of maps on a card."""
LEAST_OBJECTS = 2
"""Beside each, another is looked at."""
MOST_ALIKE = 0.2
"""Rank correlation up to which two maps are not alike."""
_SURE = 1.96
"""Standard errors."""
_OCCLUDED_SHARE = 0.32


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CheckSize(_Frozen):
    """How much is done; as it is by default, in a few minutes for three small networks."""

    n_objects: int = Field(default=200, ge=LEAST_OBJECTS)
    n_occluded: int = Field(default=64, ge=LEAST_OBJECTS)
    """Of these, for occlusion maps, insertion and deletion, which take long."""
    n_randomised: int = Field(default=3, ge=1)
    """Untrained networks beside each."""
    n_steps: int = Field(default=20, ge=1)
    """Of insertion and deletion."""

    @classmethod
    def of(cls, n_objects: int) -> Self:
        """For so many objects, occlusion and curves of every third of them."""
        return cls(n_objects=n_objects, n_occluded=max(LEAST_OBJECTS, round(_OCCLUDED_SHARE * n_objects)))

    @property
    def n_steps_a_network(self) -> int:
        """What progress counts: the maps as they are, with added noise and of each untrained network; then each method."""
        return 2 + self.n_randomised + len(METHODS)


class MethodCheck(_Frozen):
    """One method on one network. Shares, correlations and areas are means over objects."""

    network: str
    method: Method
    n: int
    """Objects."""
    n_curves: int
    """Of these, for insertion and deletion."""
    hits: float
    """Share whose highest place is on the arc (the pointing game)."""
    hits_of_others: float
    """The same with the map of another object: what is due to arcs lying near the middle."""
    hits_of_middle: float
    """The same with the cell in the middle of the stamp, whatever the map."""
    hits_error: float
    """Standard error of the mean difference, object by object, to the higher of others' and the middle's."""
    hits_at_random: float
    """The same with a place at random."""
    hits_randomised: float
    """The same of untrained networks: no more than `hits_randomised_of_others` where maps show what was learnt."""
    hits_randomised_of_others: float
    hits_randomised_error: float
    """Standard error of the mean difference between the two, of an object's mean over the untrained networks."""
    empty: float
    """Share of the maps that are the same everywhere, which count as misses."""
    mass: float
    """Share of the positive relevance that lies on the arc."""
    mass_at_random: float
    """Share of the pixels that do."""
    correlation_randomised: float
    """Of ranks in the middle 8 arcsec, with the maps of untrained networks."""
    correlation_others: float
    """With the map of another object."""
    correlation_noise: float
    """With the map of the same object with white noise of half the sky's sigma added to the noise it has."""
    correlation_networks: float | None = None
    """With the other networks' maps, on a common grid; None for a network alone. They may differ in more than seeds."""
    correlation_networks_others: float | None = None
    """With the other networks' maps of another object."""
    insertion_auc: float
    """Mean probability of a lens while the most relevant pixels are shown first; the higher, the better the map."""
    insertion_auc_others: float
    """The same in the order of another object's map: as smooth, and as near to the middle."""
    insertion_auc_error: float
    """Standard error of the difference between the two."""
    insertion_auc_random: float
    """The same with the map's cells, which for the Grad-CAMs are pixels, in random order."""
    deletion_auc: float
    """While they are hidden first; the lower, the better."""
    deletion_auc_others: float
    deletion_auc_error: float
    deletion_auc_random: float

    def metrics(self) -> dict[str, float]:
        """For the card: `maps_<method>_<figure>`."""
        figures = self.model_dump(exclude={"network", "method"}, exclude_none=True)
        return {f"{_prefix(self.method)}{name}": float(value) for name, value in figures.items()}

    @classmethod
    def of_metrics(cls, network: str, metrics: Mapping[str, float]) -> "list[MethodCheck]":
        """What a card says; nothing where it does not, or not all, as one that was written before there was a figure."""
        needed = {name for name, field in cls.model_fields.items() if field.is_required()} - {"network", "method"}
        found = []
        for method in METHODS:
            prefix = _prefix(method)
            names = [name for name in cls.model_fields if f"{prefix}{name}" in metrics]
            if needed <= set(names):
                figures = {name: metrics[f"{prefix}{name}"] for name in names}
                found.append(cls.model_validate({"network": network, "method": method, **figures}))
        return found

    @property
    def failed(self) -> tuple[str, ...]:
        """What does not speak for the maps.

        `pointing`: they hit arcs no more often than others' maps do, or than the middle does. `untrained pointing`: untrained
        networks' maps hit them more often than others' maps of theirs. `untrained ranks`: they look like untrained networks'
        maps of the same lens. `insertion`, `deletion`: others' maps would do as well. All but the ranks within 95 % of chance.
        """
        gain = self.hits - max(self.hits_of_others, self.hits_of_middle)
        gain_randomised = self.hits_randomised - self.hits_randomised_of_others
        told = {
            "pointing": not _is_sure(gain, self.hits_error, self.n),
            "untrained pointing": _is_sure(gain_randomised, self.hits_randomised_error, self.n),
            "untrained ranks": self.correlation_randomised > MOST_ALIKE,
            "insertion": self.insertion_auc - self.insertion_auc_others <= _SURE * self.insertion_auc_error,
            "deletion": self.deletion_auc_others - self.deletion_auc <= _SURE * self.deletion_auc_error,
        }
        return tuple(name for name, is_failed in told.items() if is_failed)


class MapChecks(_Frozen):
    """Every method on every network."""

    n_bright_lenses: int
    checks: tuple[MethodCheck, ...]

    def metrics(self) -> dict[str, dict[str, float]]:
        """Of each network, for its card."""
        found: dict[str, dict[str, float]] = {check.network: {} for check in self.checks}
        for check in self.checks:
            found[check.network] |= check.metrics()
        return found


def _prefix(method: Method) -> str:
    return f"{PREFIX}{method}_"


def _is_sure(gain: float, error: float, n: int) -> bool:
    """Is a difference of shares of n objects more than chance allows? That of one object never is."""
    return gain > _SURE * max(error, 1 / n)
