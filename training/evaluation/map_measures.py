"""Measurements of attribution maps, as a card keeps them."""

from collections.abc import Mapping
from typing import Literal, Self, get_args

from pydantic import Field

from infra.frozen import Frozen

Method = Literal["guided_grad_cam", "grad_cam", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)

PREFIX = "maps_"
"""Prefix of all metrics of maps on a card."""
LEAST_OBJECTS = 2
"""Least number of objects: each object is compared with another."""
MOST_ALIKE = 0.2
"""Largest rank correlation of two maps that count as different."""
_SURE = 1.96
"""Half a 95 % interval, in standard errors."""
_OCCLUDED_SHARE = 0.32


class CheckSize(Frozen, allow_inf_nan=False):
    """Numbers of objects, untrained networks and steps; the defaults take a few minutes for three small networks."""

    n_objects: int = Field(default=200, ge=LEAST_OBJECTS)
    n_occluded: int = Field(default=64, ge=LEAST_OBJECTS)
    """Number of these objects for occlusion maps, insertion and deletion, which take long."""
    n_randomised: int = Field(default=3, ge=1)
    """Number of untrained networks that each network is compared with."""
    n_steps: int = Field(default=20, ge=1)
    """Number of steps of insertion and deletion."""

    @classmethod
    def of(cls, n_objects: int) -> Self:
        """Return the size for `n_objects` objects, with occlusion and curves for about a third of them."""
        return cls(n_objects=n_objects, n_occluded=max(LEAST_OBJECTS, round(_OCCLUDED_SHARE * n_objects)))

    @property
    def n_steps_a_network(self) -> int:
        """Progress steps for each network: its maps, those with added noise, of each untrained network, and each method."""
        return 2 + self.n_randomised + len(METHODS)


class MethodCheck(Frozen, allow_inf_nan=False):
    """Check of one method on one network. Shares, correlations and areas are means over objects."""

    network: str
    method: Method
    n: int
    """Number of objects."""
    n_curves: int
    """Number of these objects for insertion and deletion."""
    hits: float
    """Share of maps whose highest pixel is on the arc (the pointing game)."""
    hits_of_others: float
    """The same with the map of another object: the share due to arcs lying near the middle."""
    hits_of_middle: float
    """The same with the cell in the middle of the stamp, whatever the map."""
    hits_error: float
    """Standard error of the mean difference, object by object, from the higher of others' and the middle's."""
    hits_at_random: float
    """The same with a random pixel."""
    hits_randomised: float
    """The same for untrained networks: no more than `hits_randomised_of_others` if maps depend on training."""
    hits_randomised_of_others: float
    hits_randomised_error: float
    """Standard error of the mean difference between the two, of an object's mean over the untrained networks."""
    empty: float
    """Share of constant maps, which count as misses."""
    mass: float
    """Share of the positive relevance that lies on the arc."""
    mass_at_random: float
    """Share of the pixels that lie on the arc."""
    correlation_randomised: float
    """Rank correlation in the middle 8 arcsec, with the maps of untrained networks."""
    correlation_others: float
    """Rank correlation with the map of another object."""
    correlation_noise: float
    """Rank correlation with the map of the same object after white noise of half the sky's sigma is added to its noise."""
    correlation_networks: float | None = None
    """Rank correlation with other networks' maps on a common grid; None for one network. They may differ in more than seeds."""
    correlation_networks_others: float | None = None
    """Rank correlation with the other networks' maps of another object."""
    insertion_auc: float
    """Mean lens probability while the most relevant pixels are shown first; the higher, the better the map."""
    insertion_auc_others: float
    """The same in the order of another object's map: as smooth, and as near to the middle."""
    insertion_auc_error: float
    """Standard error of the difference between the two."""
    insertion_auc_random: float
    """The same with the map's cells, which for the Grad-CAMs are pixels, in random order."""
    deletion_auc: float
    """Mean lens probability while the most relevant pixels are hidden first; the lower, the better the map."""
    deletion_auc_others: float
    deletion_auc_error: float
    deletion_auc_random: float

    def metrics(self) -> dict[str, float]:
        """Return the metrics for the card, named `maps_<method>_<figure>`."""
        figures = self.model_dump(exclude={"network", "method"}, exclude_none=True)
        return {f"{_prefix(self.method)}{name}": float(value) for name, value in figures.items()}

    @classmethod
    def of_metrics(cls, network: str, metrics: Mapping[str, float]) -> "list[MethodCheck]":
        """Read the checks from a card's metrics; a method with missing figures, as on an older card, is left out."""
        needed = {name for name, field in cls.model_fields.items() if field.is_required()} - {"network", "method"}
        checks = []
        for method in METHODS:
            prefix = _prefix(method)
            names = [name for name in cls.model_fields if f"{prefix}{name}" in metrics]
            if needed <= set(names):
                figures = {name: metrics[f"{prefix}{name}"] for name in names}
                checks.append(cls.model_validate({"network": network, "method": method, **figures}))
        return checks

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the failed checks.

        `pointing`: maps hit arcs no more often than maps of other objects, or the middle, do. `untrained pointing`: maps of
        untrained networks hit arcs more often than their maps of other objects do. `untrained ranks`: maps resemble untrained
        networks' maps of the same lens. `insertion`, `deletion`: maps of other objects do as well. All but the ranks are tested
        at 95 % confidence.
        """
        gain = self.hits - max(self.hits_of_others, self.hits_of_middle)
        gain_randomised = self.hits_randomised - self.hits_randomised_of_others
        is_failed = {
            "pointing": not _is_sure(gain, self.hits_error, self.n),
            "untrained pointing": _is_sure(gain_randomised, self.hits_randomised_error, self.n),
            "untrained ranks": self.correlation_randomised > MOST_ALIKE,
            "insertion": self.insertion_auc - self.insertion_auc_others <= _SURE * self.insertion_auc_error,
            "deletion": self.deletion_auc_others - self.deletion_auc <= _SURE * self.deletion_auc_error,
        }
        return tuple(name for name, failed in is_failed.items() if failed)


class MapChecks(Frozen, allow_inf_nan=False):
    """Checks of every method on every network."""

    n_bright_lenses: int
    checks: tuple[MethodCheck, ...]

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the metrics of each network, for its card."""
        by_network: dict[str, dict[str, float]] = {check.network: {} for check in self.checks}
        for check in self.checks:
            by_network[check.network] |= check.metrics()
        return by_network


def _prefix(method: Method) -> str:
    return f"{PREFIX}{method}_"


def _is_sure(gain: float, error: float, n: int) -> bool:
    """Return whether a difference of shares of n objects exceeds chance; a difference of one object never does."""
    return gain > _SURE * max(error, 1 / n)
