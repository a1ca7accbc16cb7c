"""The card of an ensemble package: everything needed to run the package and to judge its scores."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from infra.frozen import Frozen
from infra.provenance import digest
from scanner.networks.architectures import ARCHITECTURES, NetworkSpec
from scanner.networks.combiner import Combiner, SoftmaxStack
from scanner.networks.log_odds import restated
from scanner.preprocess.channel import Channel
from scanner.purity import Cut, PurityTable
from scanner.vocabulary.geometry import GEOMETRIES
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import check_network_columns

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def check_name(name: str) -> str:
    """Return the name if it can be a file name on any system.

    Raises:
        ValueError: the name cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a name is 1-64 letters, digits, dots, dashes and underscores, got {name!r}")
    return name


class NetworkCard(Frozen, allow_inf_nan=False):
    """One network: its input, its weights file and its quality."""

    name: str
    architecture: str
    channels: tuple[Channel, ...] = Field(min_length=1)
    """Bands and their scales, in input order."""
    input_pixels: int
    geometry: str
    """Geometry of the stamps before they are resized to `input_pixels`."""
    classes: tuple[str, ...]
    """Classes of the outputs, in order."""
    turns: Literal[1, 2, 4, 8] = 1
    """Orientations of an image whose logits are averaged: 2: as it is and mirrored; 4: quarter turns; 8: both."""
    weights_file: str
    sha256: Sha256
    """Digest of the weights file."""
    n_parameters: int
    metrics: dict[str, float]
    """Metrics on objects that the network never saw; empty where unknown."""

    @field_validator("name")
    @classmethod
    def _usable_name(cls, value: str) -> str:
        check_network_columns([value])
        return check_name(value)

    @field_validator("weights_file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value) or not value.endswith(".safetensors"):
            raise ValueError(f"weights_file must be a plain file name ending in .safetensors, got {value!r}")
        return value

    @model_validator(mode="after")
    def _known_input(self) -> Self:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {sorted(ARCHITECTURES)}, got {self.architecture!r}")
        built = ARCHITECTURES[self.architecture]
        for what in ("input_pixels", "classes"):
            if getattr(self, what) != getattr(built, what):
                raise ValueError(f"{what} of {self.architecture} must be {getattr(built, what)}, got {getattr(self, what)}")
        if len(set(self.channels)) != len(self.channels):
            got = [f"{channel.band} {channel.scaling}" for channel in self.channels]
            raise ValueError(f"each channel may be read once, got {got}")
        return self

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the network's scores: the card without metrics."""
        # Cards that were written before networks could have turns keep their digest.
        return self.model_dump(mode="json", exclude={"metrics", "turns"} if self.turns == 1 else {"metrics"})

    @property
    def field_pixels(self) -> int:
        """Side of the middle of the input that decides the outputs."""
        return ARCHITECTURES[self.architecture].field_pixels or self.input_pixels

    @property
    def spec(self) -> NetworkSpec:
        """Specification of the network that holds the weights."""
        return NetworkSpec(self.name, self.architecture, self.channels)


class ExcludingNetwork(Frozen, allow_inf_nan=False):
    """A network that excludes objects: its calibration, its limit and what was measured of it."""

    combiner: SoftmaxStack
    """Calibration of the network alone, at the prevalence of `p_lens`."""
    exclude_below: float = Field(gt=0, lt=1)
    """Smallest `p_lens` of the network alone with which an object reaches the networks after it."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Share of objects that reach them, and of lenses lost up to here, on objects that no network saw; empty where unknown."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything but the network that decides which objects pass."""
        return {"combiner": self.combiner.what_decides(), "exclude_below": self.exclude_below}


class FirstStage(ExcludingNetwork):
    """A small network that looks at every object and excludes those that the committee need not see."""

    network: NetworkCard

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.combiner.networks != (self.network.name,):
            raise ValueError(f"the first stage must combine {self.network.name} alone, got {self.combiner.networks}")
        if len(self.combiner.centre) != len(self.network.classes) - 1:
            got, needed = len(self.combiner.centre), len(self.network.classes) - 1
            raise ValueError(f"the combiner of the first stage must read {needed} logit margins, got {got}")
        return self


class EarlyExit(ExcludingNetwork):
    """The network of a committee that looks first, and excludes objects that the other networks need not see."""

    network: str
    """Name of the network, one of the committee's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.combiner.networks != (self.network,):
            raise ValueError(f"the early exit must combine {self.network} alone, got {self.combiner.networks}")
        return self


class TrainingDataCard(Frozen, allow_inf_nan=False):
    """Data that the networks were trained on."""

    description: str
    digest: Sha256 | None
    """Digest of the shards; None where unknown."""
    n_objects: dict[str, int]
    """Split and kind to number of objects; empty where unknown."""
    data_sets: tuple[Sha256, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Digest of each data set that networks were trained or calibrated on; empty on cards that do not list them."""

    @property
    def known_data_sets(self) -> tuple[Sha256, ...]:
        """Digests of the data sets, or of the shards where the card lists no data sets; empty where unknown."""
        return self.data_sets or ((self.digest,) if self.digest else ())


class NonLensSampleCard(Frozen, allow_inf_nan=False):
    """Scores of non-lenses that no network saw, in a file beside the card."""

    file: str
    sha256: Sha256
    """Digest of the file."""
    ensemble_sha256: Sha256
    """Digest of the ensemble that scored the objects."""
    n_objects: int = Field(ge=1)
    n_stored: int = Field(ge=0)
    """Number of objects whose score is in the file: those of at least `least`."""
    least: float = Field(ge=0, le=1)
    description: str
    """Origin of the objects."""

    @field_validator("file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value) or not value.endswith(".parquet"):
            raise ValueError(f"file must be a plain file name ending in .parquet, got {value!r}")
        return value


class FeatureReferenceCard(Frozen, allow_inf_nan=False):
    """Reference that embeddings and anomalies are measured against, in a file beside the card."""

    file: str
    sha256: Sha256
    """Digest of the file."""
    ensemble_sha256: Sha256
    """Digest of the ensemble that scored the objects."""
    n_objects: int = Field(ge=1)
    """Number of objects that the networks describe: those that reach the committee, if there are stages."""
    n_natural: int = Field(ge=1)
    """Number of objects in the histogram of scores."""
    description: str
    """Origin of the objects."""

    @field_validator("file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value) or not value.endswith(".safetensors"):
            raise ValueError(f"file must be a plain file name ending in .safetensors, got {value!r}")
        return value


class EnsembleCard(Frozen, allow_inf_nan=False):
    """The content of `card.json`."""

    format_version: Literal[2]
    name: str
    description: str
    purpose: str = ""
    """Uses that the ensemble is fit for, in a few words."""
    licence: str
    geometry: str
    first: FirstStage | None = None
    """Stage that looks at every object; None: the networks below look at every object themselves."""
    early_exit: EarlyExit | None = Field(default=None, exclude_if=lambda value: value is None)
    """Network of the committee that looks before the others; None: all look at what the first stage passes."""
    networks: tuple[NetworkCard, ...] = Field(min_length=1)
    """The committee, or all networks of an ensemble without a first stage."""
    combiner: Combiner
    training_data: TrainingDataCard
    metrics: dict[str, float]
    """Metrics of the combination on objects that no network saw; empty where unknown."""
    calibration: str
    """Degree to which `p_lens` may be read as a probability."""
    assumed_prevalence: float | None = Field(gt=0, lt=1)
    """Fraction of lenses that `p_lens` assumes; None where it is not calibrated."""
    default_cut: float | None = Field(default=None, gt=0, lt=1)
    """Threshold on `p_lens` for candidates, chosen by the lenses that it loses; None: twice the prevalence."""
    cuts: tuple[Cut, ...] = ()
    """Purity and numbers for thresholds of `p_lens`, from `lensscan evaluate`, the lowest first; empty where unknown."""
    nonlens_sample: NonLensSampleCard | None = Field(default=None, exclude_if=lambda value: value is None)
    """Sample of non-lenses by which lists with a guaranteed purity are chosen; None: there are no such lists."""
    feature_reference: FeatureReferenceCard | None = Field(default=None, exclude_if=lambda value: value is None)
    """Objects that embeddings, anomalies and drift are measured against; None: scans store no embeddings."""
    probes: str = ""
    """Result of the bias probes in one line, from `lensscan evaluate --probes`; empty where unknown."""
    limits: tuple[str, ...]
    """Uses that the ensemble is not fit for, a sentence each."""
    citation: str

    _name = field_validator("name")(check_name)

    @property
    def candidate_threshold(self) -> float:
        """Default threshold on `p_lens`: the card's, or twice the prevalence, at most 0.5; 0.5 if not calibrated."""
        if self.default_cut is not None:
            return self.default_cut
        return 0.5 if self.assumed_prevalence is None else min(0.5, 2 * self.assumed_prevalence)

    @property
    def reference_sha256(self) -> str | None:
        """Digest of the file of the reference; None if there is none, or other weights made it."""
        about = self.feature_reference
        return about.sha256 if about is not None and about.ensemble_sha256 == self.sha256 else None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.geometry not in GEOMETRIES:
            raise ValueError(f"geometry must be one of {sorted(GEOMETRIES)}, got {self.geometry!r}")
        check_network_columns(network.name for network in self.all_networks)
        files = [network.weights_file for network in self.all_networks]
        if len({file.lower() for file in files}) != len(files):
            raise ValueError(f"weights_file must differ between networks, got {files}")
        strays = [network.name for network in self.all_networks if network.geometry != self.geometry]
        if strays:
            raise ValueError(f"every network must read the geometry {self.geometry}, but these do not: {strays}")
        n_logit_margins = {network.name: len(network.classes) - 1 for network in self.networks}
        missing = [name for name in self.combiner.networks if name not in n_logit_margins]
        if missing:
            raise ValueError(f"the combiner names networks that the package lacks: {missing}")
        pools = isinstance(self.combiner, SoftmaxStack) and self.combiner.pooling != "each"
        expected = len(KINDS) - 1 if pools else sum(n_logit_margins[name] for name in self.combiner.networks)
        if isinstance(self.combiner, SoftmaxStack) and len(self.combiner.centre) != expected:
            raise ValueError(f"the combiner must read {expected} logit margins, got {len(self.combiner.centre)}")
        if self.first and not isinstance(self.combiner, SoftmaxStack):
            raise ValueError(f"the committee after a first stage must be combined by softmax_stack, got {self.combiner.kind}")
        if self.first and self.first.combiner.prevalence != self.assumed_prevalence:
            got, needed = self.first.combiner.prevalence, self.assumed_prevalence
            raise ValueError(f"the first stage must assume the prevalence of p_lens, {needed}, got {got}")
        if self.early_exit:
            self._check_early_exit(self.early_exit)
        if self.cuts and self.assumed_prevalence is None:
            raise ValueError("cuts hold at an assumed prevalence only, but p_lens is not calibrated")
        PurityTable.of(self.cuts, self.assumed_prevalence)  # raises ValueError if the cuts are out of order
        return self

    def _check_early_exit(self, early_exit: EarlyExit) -> None:
        if self.first is None:
            raise ValueError("an early exit needs a first stage")
        n_logit_margins = {network.name: len(network.classes) - 1 for network in self.networks}
        if early_exit.network not in n_logit_margins or len(n_logit_margins) < 2:
            names = sorted(n_logit_margins)
            raise ValueError(
                f"the early exit must be one of at least two networks of the committee, {names}, got {early_exit.network}"
            )
        if len(early_exit.combiner.centre) != (needed := n_logit_margins[early_exit.network]):
            raise ValueError(f"the early exit must read {needed} logit margins, got {len(early_exit.combiner.centre)}")
        if early_exit.combiner.prevalence != self.assumed_prevalence:
            got, wanted = early_exit.combiner.prevalence, self.assumed_prevalence
            raise ValueError(f"the early exit must assume the prevalence of p_lens, {wanted}, got {got}")

    @property
    def all_networks(self) -> tuple[NetworkCard, ...]:
        """The first stage's network, if there is one, then the others."""
        return (self.first.network, *self.networks) if self.first else self.networks

    @property
    def first_stage_card(self) -> "EnsembleCard | None":
        """Card of the first stage as an ensemble of one network; None without a first stage."""
        if self.first is None:
            return None
        changed = {"first": None, "early_exit": None, "networks": (self.first.network,), "combiner": self.first.combiner}
        return self.model_copy(update={**changed, "cuts": (), "default_cut": None})

    @property
    def purity_table(self) -> PurityTable | None:
        """Expected purity and numbers for every `p_lens`; None where unknown."""
        shares = None
        if isinstance(self.combiner, SoftmaxStack):
            shares = self.combiner.fitted_compound_share, self.combiner.assumed_compound_share
        return PurityTable.of(self.cuts, self.assumed_prevalence, shares)

    def at_assumed_prevalence(self, p_network: NDArray[np.floating]) -> NDArray[np.float64]:
        """Move a network's probabilities of a lens `[object]` from the frequency of lenses in training to that of `p_lens`.

        The regression was fitted on the same mixture of objects as the networks. Without a calibration they stay as they are.
        """
        if not isinstance(self.combiner, SoftmaxStack) or self.assumed_prevalence is None:
            return p_network.astype(np.float64)
        return restated(p_network, self.combiner.fitted_prevalence, self.assumed_prevalence)

    @property
    def sha256(self) -> str:
        """Digest of everything that decides a score: inputs, weights and combiner, without metrics, cuts and texts."""
        networks = [network.what_decides() for network in self.networks]
        decides: dict[str, Any] = {"geometry": self.geometry, "networks": networks, "combiner": self.combiner.what_decides()}
        if self.first:
            decides["first"] = {"network": self.first.network.what_decides(), **self.first.what_decides()}
        if self.early_exit:
            decides["early_exit"] = {"network": self.early_exit.network, **self.early_exit.what_decides()}
        return digest(decides)


def data_sets_of(cards: Iterable[EnsembleCard]) -> tuple[Sha256, ...]:
    """Return the digests of the data sets of several ensembles, each once."""
    return tuple(dict.fromkeys(known for card in cards for known in card.training_data.known_data_sets))
