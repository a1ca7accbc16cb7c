"""An ensemble in memory: stamps in, one probability per network and their combination out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import compress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import LogitMargins, spread
from scanner.networks.log_odds import logit_margins
from scanner.preprocess.prepared_stamps import PreparedStamps
from scanner.preprocess.stamp_checks import check_finite, check_stamps
from scanner.vocabulary.geometry import GEOMETRIES, Geometry, Stamps


class Engine(Protocol):
    """Runs one network."""

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`."""
        ...

    def logits_and_features(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the same logits, and what the last layer reads, `[batch, feature]`."""
        ...


@dataclass(frozen=True)
class NetworkOutputs:
    """Outputs of some networks of an ensemble, by name."""

    logit_margins: LogitMargins
    """`[batch, class - 1]`: logit of each lens class minus that of non-lenses."""
    features: dict[str, NDArray[np.float32]]
    """`[batch, feature]`: what the last layer reads; empty if the ensemble was not asked for them."""

    def of(self, chosen: NDArray[np.bool_]) -> "NetworkOutputs":
        """Return the outputs of some rows, by a mask `[batch]`."""
        margins = {name: values[chosen] for name, values in self.logit_margins.items()}
        return NetworkOutputs(margins, {name: values[chosen] for name, values in self.features.items()})

    def __or__(self, other: "NetworkOutputs") -> "NetworkOutputs":
        """Return the outputs of more networks on the same rows."""
        return NetworkOutputs({**self.logit_margins, **other.logit_margins}, {**self.features, **other.features})


@dataclass(frozen=True)
class EnsembleScores:
    """Scores, `[batch]` each; None where the ensemble's combiner does not separate the kinds."""

    p_networks: dict[str, NDArray[np.float32]]
    """`EnsembleCard.p_of_network` of each network."""
    disagreement: NDArray[np.float32]
    """Standard deviation of the networks' own probabilities, before any calibration."""
    p_lens: NDArray[np.float32]
    p_compound: NDArray[np.float32] | None
    subclass: list[str] | None
    kinds_given_lens: NDArray[np.float32] | None = None
    """`[batch, kind of lens]`, in the order of `KINDS`: probability of each kind if the object is a lens; rows sum to 1."""
    stage: NDArray[np.int8] | None = None
    """Stage of a cascade that gave `p_lens`; None without stages."""
    p_first: NDArray[np.float32] | None = None
    """`p_lens` of the first stage of a cascade, for every row; None without stages."""
    features: NDArray[np.float32] | None = None
    """`[batch, feature]`: what the last layers of the networks read, one network after the other; NaN in rows that a committee
    does not see, and None if the ensemble was not asked for them."""

    p_exit: NDArray[np.float32] | None = None
    """`p_lens` of a committee's early exit alone, NaN in rows that the first stage excluded; None without an early exit."""
    p_committee: NDArray[np.float32] | None = None
    """`p_lens` before another network corrects that of the candidates, for every row; None where no network does."""
    p_corrected: NDArray[np.float32] | None = None
    """`p_lens` as that network corrects it, NaN in rows that it does not look at; None where no network does."""

    @property
    def p_of_sweep(self) -> NDArray[np.float32]:
        """The `p_lens` that a sweep computes for every row: that of the first stage, if there are stages."""
        return self.p_lens if self.p_first is None else self.p_first

    @property
    def p_uncorrected(self) -> NDArray[np.float32]:
        """The `p_lens` that the stages up to the committee give."""
        return self.p_lens if self.p_committee is None else self.p_committee

    def of(self, chosen: NDArray[np.bool_]) -> "EnsembleScores":
        """Return the scores of some rows, by a mask `[batch]`."""

        def some(name: str) -> Any:
            values = getattr(self, name)
            if values is None:
                return None
            return list(compress(values, chosen)) if name == "subclass" else values[chosen]

        p_networks = {name: values[chosen] for name, values in self.p_networks.items()}
        return EnsembleScores(
            p_networks, **{of.name: some(of.name) for of in fields(EnsembleScores) if of.name != "p_networks"}
        )


def joined(parts: Sequence[EnsembleScores]) -> EnsembleScores:
    """Return the scores of several batches as those of one; all parts have the same networks and the same fields."""

    def together(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if values[0] is None:
            return None
        return [item for some in values for item in some] if name == "subclass" else np.concatenate(values)

    p_networks = {name: np.concatenate([part.p_networks[name] for part in parts]) for name in parts[0].p_networks}
    return EnsembleScores(
        p_networks, **{of.name: together(of.name) for of in fields(EnsembleScores) if of.name != "p_networks"}
    )


class Ensemble:
    """The networks of a package and the package's card."""

    def __init__(
        self, card: EnsembleCard, engines: Mapping[str, Engine], *, checks_pixels: bool = True, features: bool = False
    ) -> None:
        """Take one engine per network of the card, by name.

        `checks_pixels` is False where pixels are known to be finite; with `features`, scores have the networks' features.
        """
        expected = [network.name for network in card.networks]
        if sorted(engines) != sorted(expected):
            raise ValueError(f"ensemble {card.name} needs engines for {expected}, got {sorted(engines)}")
        self.card = card
        self.name = card.name
        self.geometry: Geometry = GEOMETRIES[card.geometry]
        self.network_names = tuple(expected)
        self.sha256 = card.sha256
        self.engines = dict(engines)
        self._bands = tuple(dict.fromkeys(channel.band for network in card.networks for channel in network.channels))
        self._checks_pixels, self._gives_features = checks_pixels, features

    @property
    def committee(self) -> "Ensemble":
        """The networks that make candidates: all of them, because there is no first stage."""
        return self

    def score(self, stamps: Stamps) -> EnsembleScores:
        """Score stamps `[batch, y, x]` per band in the ensemble's geometry.

        Raises:
            StampsError: a band is missing or unknown, a shape is not that of the geometry, or a pixel is not finite.
            ValueError: a stamp is constant, and a network needs stamps that vary.
        """
        return self.combined(self.outputs(stamps))

    def outputs(self, stamps: Stamps, names: Collection[str] | None = None) -> NetworkOutputs:
        """Run the named networks, by default all, on stamps `[batch, y, x]` per band; a first step of `score`.

        Raises:
            StampsError, ValueError: as `score`.
        """
        check_stamps(stamps, self.geometry, self._bands)
        if self._checks_pixels:
            check_finite(stamps)
        return self._outputs(stamps, self.network_names if names is None else names)

    def combined(self, outputs: NetworkOutputs) -> EnsembleScores:
        """Return the scores that the outputs of all networks combine to."""
        margins = {name: outputs.logit_margins[name] for name in self.network_names}
        combined = self.card.combiner.combine(margins)
        p_networks = {name: self.card.p_of_network(name, of).astype(np.float32) for name, of in margins.items()}
        features = [outputs.features[name] for name in self.network_names] if self._gives_features else None
        return EnsembleScores(
            p_networks=p_networks,
            disagreement=spread(margins),
            p_lens=combined.p_lens,
            p_compound=combined.p_compound,
            subclass=combined.subclass,
            kinds_given_lens=combined.kinds_given_lens,
            features=None if features is None else np.concatenate(features, axis=1),
        )

    def logit_margins(self, stamps: Stamps) -> LogitMargins:
        """Return, by network name, `[batch, class - 1]`: logit of each lens class minus that of non-lenses."""
        return self._outputs(stamps, self.network_names).logit_margins

    def _outputs(self, stamps: Stamps, names: Collection[str]) -> NetworkOutputs:
        margins, features = {}, {}
        for name, inputs in self._inputs(stamps, names):
            if self._gives_features:
                logits, features[name] = self.engines[name].logits_and_features(inputs)
            else:
                logits = self.engines[name].logits(inputs)
            margins[name] = logit_margins(logits)
        return NetworkOutputs({name: margins[name] for name in self.network_names if name in margins}, features)

    def _inputs(self, stamps: Stamps, names: Collection[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield the name of each network and its inputs, `[batch, channel, y, x]`: the field that it sees."""
        prepared = PreparedStamps.of(stamps)
        wanted = [of for of in self.card.networks if of.name in names]
        for n_pixels, field_pixels in sorted({(of.input_pixels, of.field_pixels) for of in wanted}):
            networks = [of for of in wanted if (of.input_pixels, of.field_pixels) == (n_pixels, field_pixels)]
            # Each channel is prepared once per size, for every network that reads it.
            inputs = prepared.inputs([network.channels for network in networks], n_pixels, field_pixels)
            yield from ((network.name, inputs[network.channels]) for network in networks)
